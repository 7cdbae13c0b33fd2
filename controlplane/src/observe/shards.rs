//! What single shards take, from reports or from CloudWatch, over the shards that are open. Pure.

use std::collections::BTreeMap;

use dataplane::report::ProducerShard;

use super::{KeyShare, SHARDS_SHOWN, ShardLoad, stream::OpenShard};
use crate::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    units::{BytesPerSecond, RecordsPerSecond},
};

/// The sum of what all producer tasks sent to each shard.
pub(super) fn reported<'a>(shards: impl Iterator<Item = &'a ProducerShard>) -> BTreeMap<String, ShardLoad> {
    let mut by_shard: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for shard in shards {
        by_shard.entry(shard.shard_id.clone()).or_default().push(shard);
    }
    by_shard.into_iter().map(|(id, shards)| (id.clone(), sum(id, &shards))).collect()
}

fn sum(shard_id: String, shards: &[&ProducerShard]) -> ShardLoad {
    let total = |of: fn(&ProducerShard) -> f64| shards.iter().map(|shard| of(shard)).sum::<f64>();
    let bytes = total(|shard| shard.sent.bytes_per_second);
    ShardLoad {
        shard_id,
        records: RecordsPerSecond(total(|shard| shard.sent.records_per_second)),
        bytes: BytesPerSecond(bytes),
        throttled: RecordsPerSecond(total(|shard| shard.throttled_per_second)),
        slices: slices(shards, bytes),
        heaviest: heaviest(shards, bytes),
        ..ShardLoad::default()
    }
}

/// How the bytes of all tasks spread over a shard's range; empty where one that sends does not know its part.
fn slices(shards: &[&ProducerShard], bytes: f64) -> Vec<f32> {
    let senders: Vec<_> = shards.iter().filter(|shard| shard.sent.bytes_per_second > 0.0).collect();
    let count = senders.first().map_or(0, |shard| shard.slices.len());
    if senders.iter().any(|shard| shard.slices.len() != count) {
        return Vec::new();
    }
    let share = |place: usize| {
        let weighed = senders.iter().map(|shard| f64::from(shard.slices[place]) * shard.sent.bytes_per_second);
        (weighed.sum::<f64>() / bytes) as f32
    };
    (0..count).map(share).collect()
}

/// The key that most bytes of all tasks have. A task knows its own heaviest key only, so the share is a lower bound.
fn heaviest(shards: &[&ProducerShard], bytes: f64) -> Option<KeyShare> {
    let mut keys: BTreeMap<u128, f64> = BTreeMap::new();
    for (shard, key) in shards.iter().filter_map(|shard| Some((shard, shard.heaviest.as_ref()?))) {
        let Ok(hash_key) = key.hash_key.parse() else { continue };
        *keys.entry(hash_key).or_default() += key.share * shard.sent.bytes_per_second;
    }
    let (hash_key, most) = keys.into_iter().max_by(|one, other| one.1.total_cmp(&other.1))?;
    (bytes > 0.0).then(|| KeyShare { hash_key, share: most / bytes })
}

/// Every open shard with its range, the busiest first. One that no load is known of takes nothing.
pub(super) fn of_open(open: &[OpenShard], mut loads: BTreeMap<String, ShardLoad>) -> Vec<ShardLoad> {
    let load = |shard: &OpenShard| ShardLoad {
        shard_id: shard.id.clone(),
        starting_hash_key: shard.range.map(|range| range.0),
        ending_hash_key: shard.range.map(|range| range.1),
        ..loads.remove(&shard.id).unwrap_or_default()
    };
    let mut shards: Vec<_> = open.iter().map(load).collect();
    shards.sort_by(|one, other| asked(other).total_cmp(&asked(one)));
    shards
}

/// As many of the busiest as an observation names.
pub(super) fn busiest(shards: &[ShardLoad]) -> Vec<ShardLoad> {
    shards.iter().filter(|shard| asked(shard) > 0.0).take(SHARDS_SHOWN).cloned().collect()
}

/// How much is asked of a shard, as a share of its limits.
fn asked(shard: &ShardLoad) -> f64 {
    let records = (shard.records.0 + shard.throttled.0) / SHARD_RECORDS.0;
    records.max(shard.bytes.0 / SHARD_BYTES.0)
}

#[cfg(test)]
mod tests {
    use dataplane::report::{self, Rate};

    use super::*;

    fn shard(id: &str, bytes: f64, slices: &[f32], heaviest: Option<(&str, f64)>) -> ProducerShard {
        ProducerShard {
            shard_id: id.to_owned(),
            sent: Rate { records_per_second: bytes / 100.0, bytes_per_second: bytes },
            slices: slices.to_vec(),
            heaviest: heaviest.map(|(key, share)| report::KeyShare { hash_key: key.to_owned(), share }),
            ..ProducerShard::default()
        }
    }

    #[test]
    fn the_slices_of_several_tasks_are_weighed_by_their_bytes() {
        let tasks = [shard("a", 300.0, &[1.0, 0.0], None), shard("a", 100.0, &[0.0, 1.0], None)];
        let load = &reported(tasks.iter())["a"];
        assert_eq!((load.bytes, load.slices.as_slice()), (BytesPerSecond(400.0), [0.75, 0.25].as_slice()));
    }

    #[test]
    fn where_one_sender_does_not_know_its_slices_nobody_does_and_who_sends_nothing_does_not_matter() {
        let unknown = [shard("a", 300.0, &[1.0, 0.0], None), shard("a", 100.0, &[], None)];
        assert!(reported(unknown.iter())["a"].slices.is_empty());
        let idle = [shard("a", 300.0, &[1.0, 0.0], None), shard("a", 0.0, &[], None)];
        assert_eq!(reported(idle.iter())["a"].slices, [1.0, 0.0]);
    }

    #[test]
    fn the_heaviest_key_of_all_is_a_share_of_all_bytes() {
        let tasks = [
            shard("a", 100.0, &[], Some(("7", 0.5))),
            shard("a", 100.0, &[], Some(("7", 0.3))),
            shard("a", 200.0, &[], Some(("9", 0.3))),
        ];
        let heaviest = reported(tasks.iter())["a"].heaviest.unwrap();
        assert_eq!(heaviest.hash_key, 7);
        assert!((heaviest.share - 0.2).abs() < 1e-9, "{heaviest:?}");
        assert_eq!(reported([shard("a", 0.0, &[], Some(("7", 1.0)))].iter())["a"].heaviest, None);
    }

    #[test]
    fn every_open_shard_is_there_with_its_range_and_a_closed_one_is_not() {
        let open = [("a", (0, 9)), ("b", (10, 19))];
        let open = open.map(|(id, range)| OpenShard { id: id.to_owned(), range: Some(range), ..OpenShard::default() });
        let tasks = [shard("b", 10.0, &[], None), shard("closed", 10.0, &[], None)];
        let shards = of_open(&open, reported(tasks.iter()));
        let shown: Vec<_> =
            shards.iter().map(|shard| (&*shard.shard_id, shard.ending_hash_key, shard.bytes.0)).collect();
        assert_eq!(shown, [("b", Some(19), 10.0), ("a", Some(9), 0.0)]);
        assert_eq!(busiest(&shards).len(), 1, "an idle shard is not worth storing");
    }
}
