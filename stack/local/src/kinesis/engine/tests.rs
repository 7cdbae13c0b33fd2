//! What holds of a stream whatever is done to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::{
    hash::{self, HashKey},
    shard::{Shard, ShardId, Start},
    stream::{Mode, NewStream, Stream},
};
use crate::kinesis::{moment::Moment, settings::Settings};

const STARTED: Moment = Moment::from_millis(1_763_865_600_000);

fn generous() -> Settings {
    Settings {
        shard_count_updates_per_day: usize::MAX,
        write_bytes_per_second: u64::MAX >> 12,
        write_records_per_second: u64::MAX >> 12,
        ..Settings::default()
    }
}

fn stream(shards: u32) -> Stream {
    let new = NewStream {
        name: "orders".to_owned(),
        account: "000000000000".to_owned(),
        arn: "arn:aws:kinesis:eu-central-1:000000000000:stream/orders".to_owned(),
        mode: Mode::Provisioned,
        shards,
        record_kib_max: 1024,
        tags: BTreeMap::new(),
    };
    let mut stream = Stream::new(new, STARTED, STARTED);
    stream.advance(STARTED);
    stream
}

/// Something done to a stream. Fractions pick a shard or a key among those there are.
#[derive(Debug, Clone)]
enum Deed {
    Split { shard: f64, at: f64 },
    Merge { pair: f64 },
    Update { target: f64 },
    Put { records: u8 },
    Wait { millis: u64 },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let fraction = || 0.0..1.0_f64;
    let deed = prop_oneof![
        (fraction(), fraction()).prop_map(|(shard, at)| Deed::Split { shard, at }),
        fraction().prop_map(|pair| Deed::Merge { pair }),
        fraction().prop_map(|target| Deed::Update { target }),
        (1..40_u8).prop_map(|records| Deed::Put { records }),
        (1..9_000_u64).prop_map(|millis| Deed::Wait { millis }),
    ];
    vec(deed, 1..40)
}

fn pick(count: usize, fraction: f64) -> usize {
    (count as f64 * fraction) as usize
}

/// A stream, its clock, and the data it was given.
struct World {
    stream: Stream,
    settings: Settings,
    now: Moment,
    put: BTreeSet<Bytes>,
}

impl World {
    fn new(shards: u32) -> Self {
        Self { stream: stream(shards), settings: generous(), now: STARTED, put: BTreeSet::new() }
    }

    fn perform(&mut self, deed: &Deed) {
        let open: Vec<(String, HashKey, HashKey)> =
            self.stream.open_shards().map(|shard| (shard.id.to_string(), shard.range.start, shard.range.end)).collect();
        // Refusals are right, too: a stream that is being resharded, shards that cannot be split further.
        match *deed {
            Deed::Split { shard, at } => {
                let (id, start, end) = &open[pick(open.len(), shard)];
                let key = start + (end - start) / 1000 * pick(1000, at) as HashKey;
                let _ = self.stream.split(id, &key.to_string(), |_| Ok(()), &self.settings, self.now);
            }
            Deed::Merge { pair } => {
                let lower = pick(open.len(), pair);
                let upper = (lower + 1).min(open.len() - 1);
                let _ = self.stream.merge(&open[upper].0, &open[lower].0, &self.settings, self.now);
            }
            Deed::Update { target } => {
                let target = open.len().div_ceil(2) + pick(open.len() * 3 / 2, target);
                let target = u32::try_from(target).unwrap();
                let _ = self.stream.update_shard_count(target, |_| Ok(()), &self.settings, self.now);
            }
            Deed::Put { records } => (0..records).for_each(|_| self.put()),
            Deed::Wait { millis } => {
                self.now = self.now.plus(Duration::from_millis(millis));
                self.stream.advance(self.now);
            }
        }
    }

    fn put(&mut self) {
        let data = Bytes::from(self.put.len().to_string());
        let hash = hash::of_partition_key(&data);
        let stored = self.stream.put(hash, data.clone(), data.clone(), &self.settings, self.now);
        assert!(stored.is_ok(), "{stored:?}");
        self.put.insert(data);
    }

    fn settle(&mut self) {
        while let Some(at) = self.stream.next_change() {
            self.now = self.now.max(at);
            self.stream.advance(self.now);
            assert_tiled(&self.stream);
        }
    }
}

fn assert_tiled(stream: &Stream) {
    let mut expected = Some(0);
    for shard in stream.open_shards() {
        assert_eq!(Some(shard.range.start), expected, "the open shards have a hole or an overlap at {}", shard.id);
        expected = shard.range.end.checked_add(1);
    }
    assert_eq!(expected, None, "the open shards end before the last hash key");
}

fn read_all(shard: &Shard, now: Moment) -> Vec<(String, Bytes)> {
    let mut index = shard.index(Start::TrimHorizon);
    let mut all = Vec::new();
    loop {
        let batch = shard.read(index, 7, u64::MAX, now);
        if batch.records.is_empty() {
            return all;
        }
        all.extend(batch.numbered().map(|(number, record)| (number.to_string(), record.data.clone())));
        index = batch.next;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn open_shards_cover_every_hash_key_once_whatever_is_done(shards in 1..6_u32, deeds in deeds()) {
        let mut world = World::new(shards);
        for deed in &deeds {
            world.perform(deed);
            assert_tiled(&world.stream);
        }
        world.settle();
    }

    #[test]
    fn every_record_is_read_once_parents_before_children_in_growing_numbers(shards in 1..6_u32, deeds in deeds()) {
        let mut world = World::new(shards);
        for deed in &deeds {
            world.perform(deed);
        }
        world.settle();
        let mut read = BTreeSet::new();
        let mut last_of: BTreeMap<ShardId, String> = BTreeMap::new();
        for shard in &world.stream.shards {
            let parents = shard.parent.iter().chain(&shard.adjacent_parent);
            let mut last = parents.map(|parent| last_of[parent].clone()).max().unwrap_or_default();
            for (number, data) in read_all(shard, world.now) {
                prop_assert!(number > last, "{number} follows {last} in {}", shard.id);
                last = number;
                prop_assert!(read.insert(data), "a record was read twice");
            }
            last_of.insert(shard.id, shard.last_number().map_or(last, |number| number.to_string()));
        }
        prop_assert_eq!(read, world.put);
    }
}

#[test]
fn update_shard_count_reaches_every_allowed_target_with_equal_shards() {
    for from in 1..=40_u32 {
        for to in from.div_ceil(2)..=2 * from {
            let mut world = World::new(from);
            let asked = world.stream.update_shard_count(to, |_| Ok(()), &world.settings, STARTED);
            assert_eq!(asked.is_ok(), from != to, "{from} -> {to}");
            world.settle();
            let open: Vec<_> = world.stream.open_shards().map(|shard| shard.range).collect();
            assert_eq!(open, hash::HashRange::uniform(to).collect::<Vec<_>>(), "{from} -> {to}");
            let childless = |shard: &&Shard| shard.closed.is_some() && world.stream.children(shard.id).next().is_none();
            assert_eq!(world.stream.shards.iter().find(childless).map(|shard| shard.id), None, "{from} -> {to}");
        }
    }
}

#[test]
fn a_target_outside_half_to_double_is_refused() {
    let mut world = World::new(5);
    for target in [1, 2, 11, 50] {
        let refused = world.stream.update_shard_count(target, |_| Ok(()), &world.settings, STARTED);
        assert_eq!(refused.unwrap_err().code, "LimitExceededException", "5 -> {target}");
    }
}

#[test]
fn the_eleventh_update_in_a_day_is_refused_and_allowed_when_the_first_is_a_day_old() {
    let mut world = World::new(2);
    let settings = Settings { write_bytes_per_second: 1, ..Settings::default() };
    for call in 0..10 {
        let target = if call % 2 == 0 { 4 } else { 2 };
        world.stream.update_shard_count(target, |_| Ok(()), &settings, world.now).unwrap();
        world.settle();
    }
    let refused = world.stream.update_shard_count(4, |_| Ok(()), &settings, world.now).unwrap_err();
    assert_eq!(refused.code, "LimitExceededException", "{refused}");
    let a_day_later = STARTED.plus(Duration::from_secs(24 * 3600));
    world.stream.update_shard_count(4, |_| Ok(()), &settings, a_day_later).unwrap();
}

#[test]
fn expired_records_are_gone_and_their_closed_shard_after_them() {
    let mut world = World::new(1);
    world.put();
    world.stream.update_shard_count(2, |_| Ok(()), &world.settings, world.now).unwrap();
    world.settle();
    let closed = world.now;
    let retention = world.stream.retention();
    world.stream.advance(STARTED.plus(retention).plus(Duration::from_secs(2)));
    assert_eq!((world.stream.bytes(), world.stream.shards.len()), (0, 3), "the record expires before its shard");
    world.stream.advance(closed.plus(retention).plus(Duration::from_secs(2)));
    assert_eq!(world.stream.shards.len(), 2);
    assert_tiled(&world.stream);
}

#[test]
fn the_oldest_records_are_dropped_first() {
    let mut world = World::new(2);
    for _ in 0..20 {
        world.put();
        world.now = world.now.plus(Duration::from_millis(10));
    }
    let half = world.stream.bytes() / 2;
    world.stream.drop_oldest(half, world.now);
    let kept: BTreeSet<u64> = world.stream.records().map(|(_, _, record)| record.arrived.millis()).collect();
    let newest = world.now.millis() - 10;
    assert!(!kept.is_empty() && kept.iter().all(|arrived| *arrived > newest - 10 * kept.len() as u64), "{kept:?}");
}
