//! Which leases a stream's shards need. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{checkpoint::Checkpoint, lease::Lease, settings::InitialPosition};

/// A shard as Kinesis lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    pub(crate) is_open: bool,
    /// First and last hash key, in decimal.
    pub(crate) hash_keys: Option<(String, String)>,
}

/// The leases to create, parents before children.
///
/// An open shard without a lease needs one, and so does each of its ancestors that has none, up to those that have:
/// what descends from a shard with a lease starts at its first record, or records between the two would be skipped.
/// Only a shard without such an ancestor starts at the initial position. A closed shard that is nobody's missing
/// ancestor is left alone: its lease was there, and was cleaned up.
pub(crate) fn missing_leases(shards: &[Shard], leased: &BTreeSet<&str>, initial: InitialPosition) -> Vec<Lease> {
    let by_id = shards.iter().map(|shard| (shard.id.as_str(), shard)).collect();
    let mut walk = Walk { by_id, leased, initial, descends: BTreeMap::new(), missing: Vec::new() };
    for shard in shards.iter().filter(|shard| shard.is_open) {
        walk.visit(&shard.id);
    }
    walk.missing
}

struct Walk<'a> {
    by_id: BTreeMap<&'a str, &'a Shard>,
    leased: &'a BTreeSet<&'a str>,
    initial: InitialPosition,
    /// Shards that were visited: whether they have a lease or descend from one that has.
    descends: BTreeMap<&'a str, bool>,
    missing: Vec<Lease>,
}

impl<'a> Walk<'a> {
    /// Notes the missing leases of a shard and its ancestors. Returns whether one of them has a lease already.
    fn visit(&mut self, id: &'a str) -> bool {
        if self.leased.contains(id) {
            return true;
        }
        if let Some(known) = self.descends.get(id) {
            return *known;
        }
        // A parent that is no longer listed has outlived its records.
        let Some(shard) = self.by_id.get(id).copied() else { return false };
        let descends = shard.parents.iter().fold(false, |descends, parent| self.visit(parent) | descends);
        self.descends.insert(id, descends);
        let start = match (descends, self.initial) {
            (true, _) | (false, InitialPosition::TrimHorizon) => Some(Checkpoint::TrimHorizon),
            (false, InitialPosition::Latest) => shard.is_open.then_some(Checkpoint::Latest),
        };
        let lease = |start| Lease::new(shard.id.clone(), start, shard.parents.clone(), shard.hash_keys.clone());
        self.missing.extend(start.map(lease));
        descends
    }
}

/// Finished leases of shards that Kinesis has forgotten.
pub(crate) fn outlived_leases<'a>(shards: &[Shard], leases: impl Iterator<Item = &'a Lease>) -> Vec<String> {
    let listed: BTreeSet<_> = shards.iter().map(|shard| shard.id.as_str()).collect();
    let outlived = leases.filter(|lease| lease.is_finished() && !listed.contains(lease.shard_id.as_str()));
    // A stream without shards does not exist: the listing says nothing.
    outlived.filter(|_| !listed.is_empty()).map(|lease| lease.shard_id.clone()).collect()
}

/// Finished leases that nobody needs any more: every shard that follows has a lease and has begun, and those that came
/// before are gone. The rule of the KCL.
pub(crate) fn completed_leases<'a>(shards: &[Shard], leases: impl Iterator<Item = &'a Lease>) -> Vec<String> {
    let leases: BTreeMap<_, _> = leases.map(|lease| (lease.shard_id.as_str(), lease)).collect();
    let has_begun = |child: &Shard| {
        let lease = leases.get(child.id.as_str());
        lease.is_some_and(|lease| matches!(lease.checkpoint, Checkpoint::At(..) | Checkpoint::ShardEnd))
    };
    let is_needless = |lease: &&&Lease| {
        let mut children = shards.iter().filter(|shard| shard.parents.contains(&lease.shard_id)).peekable();
        let orphaned = lease.parents.iter().all(|parent| !leases.contains_key(parent.as_str()));
        lease.is_finished() && orphaned && children.peek().is_some() && children.all(has_begun)
    };
    leases.values().filter(is_needless).map(|lease| lease.shard_id.clone()).collect()
}

/// Leases without a hash range, as old versions of the KCL wrote them, and the range that is theirs.
pub(crate) fn without_range<'a>(
    shards: &'a [Shard],
    leases: impl Iterator<Item = &'a Lease>,
) -> Vec<(&'a str, &'a (String, String))> {
    let ranges: BTreeMap<_, _> =
        shards.iter().filter_map(|shard| Some((shard.id.as_str(), shard.hash_keys.as_ref()?))).collect();
    let bare = leases.filter(|lease| lease.hash_keys.is_none() && !lease.is_finished());
    bare.filter_map(|lease| Some((lease.shard_id.as_str(), *ranges.get(lease.shard_id.as_str())?))).collect()
}

/// The first part of the hash range that no unfinished lease covers: records that fall there are read by nobody.
/// `None` also where some lease does not know its range.
pub(crate) fn hole<'a>(leases: impl Iterator<Item = &'a Lease>) -> Option<(u128, u128)> {
    let ranges = leases.filter(|lease| !lease.is_finished()).map(|lease| {
        let (first, last) = lease.hash_keys.as_ref()?;
        Some((first.parse::<u128>().ok()?, last.parse::<u128>().ok()?))
    });
    let mut ranges: Vec<_> = ranges.collect::<Option<_>>()?;
    ranges.sort_unstable();
    let mut next = Some(0);
    for (first, last) in ranges {
        let Some(expected) = next else { break };
        if first > expected {
            return Some((expected, first - 1));
        }
        next = last.checked_add(1).map(|after| after.max(expected));
    }
    next.map(|from| (from, u128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], is_open: bool) -> Shard {
        let parents = parents.iter().map(ToString::to_string).collect();
        Shard { id: id.to_owned(), parents, is_open, hash_keys: None }
    }

    /// a ─split─▶ b, c;  b, c ─merge─▶ d;  e stands alone.
    fn family() -> Vec<Shard> {
        vec![
            shard("a", &[], false),
            shard("b", &["a"], false),
            shard("c", &["a"], false),
            shard("d", &["b", "c"], true),
            shard("e", &[], true),
        ]
    }

    fn missing(leased: &[&str], initial: InitialPosition) -> Vec<(String, Checkpoint)> {
        let leased = leased.iter().copied().collect();
        let missing = missing_leases(&family(), &leased, initial);
        missing.into_iter().map(|lease| (lease.shard_id, lease.checkpoint)).collect()
    }

    fn at(checkpoint: &Checkpoint, ids: &[&str]) -> Vec<(String, Checkpoint)> {
        ids.iter().map(|id| (id.to_string(), checkpoint.clone())).collect()
    }

    #[test]
    fn an_empty_table_gets_a_lease_for_every_shard_parents_first() {
        let expected = at(&Checkpoint::TrimHorizon, &["a", "b", "c", "d", "e"]);
        assert_eq!(missing(&[], InitialPosition::TrimHorizon), expected);
    }

    #[test]
    fn an_empty_table_at_latest_gets_the_open_shards_only() {
        assert_eq!(missing(&[], InitialPosition::Latest), at(&Checkpoint::Latest, &["d", "e"]));
    }

    #[test]
    fn descendants_of_a_leased_shard_start_at_their_first_record_whatever_the_initial_position() {
        let mut expected = at(&Checkpoint::TrimHorizon, &["b", "c", "d"]);
        expected.extend(at(&Checkpoint::Latest, &["e"]));
        assert_eq!(missing(&["a"], InitialPosition::Latest), expected);
        assert_eq!(missing(&["c", "e"], InitialPosition::TrimHorizon), at(&Checkpoint::TrimHorizon, &["a", "b", "d"]));
    }

    #[test]
    fn a_closed_shard_whose_descendants_have_leases_is_not_read_again() {
        assert_eq!(missing(&["d", "e"], InitialPosition::TrimHorizon), []);
    }

    #[test]
    fn only_finished_leases_of_unlisted_shards_are_outlived() {
        let lease = |id: &str, checkpoint| Lease::new(id.to_owned(), checkpoint, Vec::new(), None);
        let leases = [
            lease("gone", Checkpoint::ShardEnd),
            lease("going", Checkpoint::TrimHorizon),
            lease("a", Checkpoint::ShardEnd),
        ];
        assert_eq!(outlived_leases(&family(), leases.iter()), ["gone"]);
        assert!(outlived_leases(&[], leases.iter()).is_empty());
    }

    #[test]
    fn a_finished_lease_goes_once_those_that_follow_have_begun_and_those_before_are_gone() {
        let at = || Checkpoint::At("7".parse().expect("a number"), 0);
        let lease = |id: &str, checkpoint, parents: &[&str]| {
            Lease::new(id.to_owned(), checkpoint, parents.iter().map(ToString::to_string).collect(), None)
        };
        let completed = |leases: &[Lease]| completed_leases(&family(), leases.iter());
        let (a, b) = (lease("a", Checkpoint::ShardEnd, &[]), lease("b", Checkpoint::ShardEnd, &["a"]));
        let c = |checkpoint| lease("c", checkpoint, &["a"]);
        assert!(completed(&[a.clone(), b.clone(), c(Checkpoint::TrimHorizon)]).is_empty(), "c has not begun");
        assert!(completed(&[a.clone(), b.clone()]).is_empty(), "c has no lease");
        assert_eq!(completed(&[a, b.clone(), c(at())]), ["a"], "and b waits until a is gone and d has begun");
        assert_eq!(completed(&[b, c(at()), lease("d", at(), &["b", "c"])]), ["b"]);
    }

    #[test]
    fn a_hole_in_the_hash_range_is_found() {
        let lease = |id: &str, checkpoint, first: u128, last: u128| {
            Lease::new(id.to_owned(), checkpoint, Vec::new(), Some((first.to_string(), last.to_string())))
        };
        let trim = |id, first, last| lease(id, Checkpoint::TrimHorizon, first, last);
        let holes = |leases: &[Lease]| hole(leases.iter());
        assert_eq!(holes(&[trim("a", 0, 9), trim("b", 10, u128::MAX)]), None);
        assert_eq!(holes(&[trim("p", 0, u128::MAX), trim("a", 0, 9)]), None, "a child beside its parent");
        assert_eq!(holes(&[trim("a", 0, 9), trim("b", 12, u128::MAX)]), Some((10, 11)));
        assert_eq!(holes(&[trim("a", 0, 9)]), Some((10, u128::MAX)));
        let finished = lease("a", Checkpoint::ShardEnd, 0, 9);
        assert_eq!(holes(&[finished, trim("b", 10, u128::MAX)]), Some((0, 9)));
        let unknown = Lease::new("c".to_owned(), Checkpoint::TrimHorizon, Vec::new(), None);
        assert_eq!(holes(&[unknown, trim("b", 10, u128::MAX)]), None);
    }
}
