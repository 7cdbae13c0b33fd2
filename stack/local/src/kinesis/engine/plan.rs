//! Which splits and merges bring a stream to a number of shards of equal size.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::hash::{self, HashKey};

/// One step of a reshard, named by the boundary that it makes or removes. It says nothing of shard ids, so every step
/// of a plan is right whatever shards the steps before it have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Split the shard that holds this key, so that the key begins the upper child.
    Split(HashKey),
    /// Merge the shard that begins at this key with the one below it.
    Merge(HashKey),
}

/// The steps from shards that begin at `starts` (ascending, the first at zero) to `target` uniform ones.
///
/// As `UpdateShardCount` does it: every missing boundary is split first, then every superfluous one merged away, so
/// there are short-lived shards when the target is no multiple of the count, but never less capacity than at the start.
pub(crate) fn uniform(starts: impl Iterator<Item = HashKey>, target: u32) -> Vec<Change> {
    let present: BTreeSet<HashKey> = starts.skip(1).collect();
    let wanted: BTreeSet<HashKey> = (1..target).map(|part| hash::boundary(part, target)).collect();
    let splits = wanted.difference(&present).copied().map(Change::Split);
    splits.chain(present.difference(&wanted).copied().map(Change::Merge)).collect()
}

/// The most shards open at any time while `changes` are applied to `open` shards.
pub(crate) fn peak(open: usize, changes: &[Change]) -> usize {
    let splits = changes.iter().filter(|change| matches!(change, Change::Split(_))).count();
    open + splits
}

#[cfg(test)]
mod tests {
    use super::{super::hash::HashRange, *};

    fn plan(from: u32, to: u32) -> Vec<Change> {
        uniform(HashRange::uniform(from).map(|range| range.start), to)
    }

    #[test]
    fn doubling_splits_each_shard_once() {
        let changes = plan(3, 6);
        assert_eq!(changes.len(), 3);
        assert!(changes.iter().all(|change| matches!(change, Change::Split(_))), "{changes:?}");
    }

    #[test]
    fn halving_merges_each_pair_once() {
        let changes = plan(8, 4);
        assert_eq!(changes.len(), 4);
        assert!(changes.iter().all(|change| matches!(change, Change::Merge(_))), "{changes:?}");
    }

    #[test]
    fn two_to_three_goes_by_short_lived_shards() {
        let third = hash::boundary(1, 3);
        let half = hash::boundary(1, 2);
        let changes = plan(2, 3);
        assert_eq!(changes, [Change::Split(third), Change::Split(hash::boundary(2, 3)), Change::Merge(half)]);
        assert_eq!(peak(2, &changes), 4);
    }
}
