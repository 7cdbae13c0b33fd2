//! Resizing a stream by one split or merge after the other.
//!
//! Source: awslabs/amazon-kinesis-scaling-utils, tag V.9.6.0, `StreamScaler.java` (`scaleStream`): what it falls back to
//! when UpdateShardCount is refused. From the lowest hash key up, every shard is cut or joined to the width that all
//! shards of the target count would have.

use crate::{decide::Action, observe::ShardLoad};

/// Widths that differ by less are the same.
const SAME: f64 = 1e-6;

const KEYS: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;

/// The next call on the way to `target` shards of one width; `None` at the end, or where the count of `max` is reached.
pub(super) fn next(stream: &str, shards: &[ShardLoad], target: u32, max: u32) -> Option<Action> {
    let mut open: Vec<(&str, u128, u128)> = shards
        .iter()
        .filter_map(|shard| Some((shard.shard_id.as_str(), shard.starting_hash_key?, shard.ending_hash_key?)))
        .collect();
    open.sort_by_key(|shard| shard.1);
    if target >= max && open.len() as u32 == max {
        return None;
    }
    let wanted = 1.0 / f64::from(target.max(1));
    for (index, (id, first, last)) in open.iter().enumerate() {
        let width = (last - first) as f64 / KEYS;
        if (width - wanted).abs() < SAME {
            continue;
        }
        if width > wanted {
            return Some(split(stream, id, *first, wanted));
        }
        let (higher, first, last) = open.get(index + 1)?;
        let above = (last - first) as f64 / KEYS;
        if width + above > wanted + SAME {
            return Some(split(stream, higher, *first, wanted - width));
        }
        return Some(Action::MergeShards {
            stream: stream.to_owned(),
            shard_id: (*id).to_owned(),
            adjacent_shard_id: (*higher).to_owned(),
        });
    }
    None
}

fn split(stream: &str, shard_id: &str, first: u128, share: f64) -> Action {
    let at = first.saturating_add((share * KEYS) as u128);
    Action::SplitShard {
        stream: stream.to_owned(),
        shard_id: shard_id.to_owned(),
        new_starting_hash_key: at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries calls out until there are none, and tells how many splits and merges that took.
    fn resized(from: u32, target: u32) -> (Vec<ShardLoad>, usize, usize) {
        let width = u128::MAX / u128::from(from);
        let shard = |name: usize, first, last| ShardLoad {
            shard_id: name.to_string(),
            starting_hash_key: Some(first),
            ending_hash_key: Some(last),
            ..ShardLoad::default()
        };
        let last = |index: u128| if index + 1 == u128::from(from) { u128::MAX } else { (index + 1) * width - 1 };
        let mut shards: Vec<_> =
            (0..u128::from(from)).map(|index| shard(index as usize, index * width, last(index))).collect();
        let (mut splits, mut merges) = (0, 0);
        while let Some(action) = next("s", &shards, target, 100) {
            assert!(splits + merges < 200, "an end");
            let name = 1_000 + 2 * (splits + merges);
            match action {
                Action::SplitShard { shard_id, new_starting_hash_key, .. } => {
                    splits += 1;
                    let index = shards.iter().position(|shard| shard.shard_id == shard_id).expect("a shard");
                    let at: u128 = new_starting_hash_key.parse().expect("a number");
                    let (first, last) =
                        (shards[index].starting_hash_key.unwrap(), shards[index].ending_hash_key.unwrap());
                    shards.splice(index..=index, [shard(name, first, at - 1), shard(name + 1, at, last)]);
                }
                Action::MergeShards { shard_id, adjacent_shard_id, .. } => {
                    merges += 1;
                    let index = shards.iter().position(|shard| shard.shard_id == shard_id).expect("a shard");
                    assert_eq!(shards[index + 1].shard_id, adjacent_shard_id);
                    let (first, last) =
                        (shards[index].starting_hash_key.unwrap(), shards[index + 1].ending_hash_key.unwrap());
                    shards.splice(index..=index + 1, [shard(name, first, last)]);
                }
                other => panic!("{other:?}"),
            }
        }
        (shards, splits, merges)
    }

    #[test]
    fn any_count_is_reached_with_equal_widths() {
        for (from, target, splits, merges) in [(2, 4, 2, 0), (4, 2, 0, 2), (4, 6, 4, 2), (3, 2, 1, 2), (15, 14, 13, 14)]
        {
            let (shards, split, merged) = resized(from, target);
            assert_eq!((shards.len() as u32, split, merged), (target, splits, merges), "{from} to {target}");
        }
    }
}
