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
}
