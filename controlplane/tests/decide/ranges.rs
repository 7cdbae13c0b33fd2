//! The shards of a scenario's stream: their ranges of hash keys, and what lies on them.

use controlplane::{
    observe::{KeyShare, ShardLoad},
    units::{BytesPerSecond, RecordsPerSecond},
};

const SLICES: u128 = 16;

/// What lies on the hash keys.
pub(crate) struct Keys<'a> {
    /// The load of equal parts of all hash keys.
    pub(crate) parts: &'a [f64],
    /// A single key: where it lies, from 0 to 1, and its load.
    pub(crate) heavy: Option<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Range {
    id: String,
    start: u128,
    end: u128,
}

/// The open shards in the order of their ranges; none until a shard is changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Ranges {
    open: Vec<Range>,
    next_id: u32,
}

impl Ranges {
    /// As they are, or equal ones where none was changed yet.
    pub(crate) fn or_equal(&self, count: u32) -> Self {
        let mut ranges = self.clone();
        if ranges.open.len() != count as usize {
            ranges.make_equal(count);
        }
        ranges
    }

    /// UpdateShardCount: new shards of equal ranges.
    pub(crate) fn make_equal(&mut self, count: u32) {
        let start = |index: u32| u128::MAX / u128::from(count) * u128::from(index);
        self.open.clear();
        for index in 0..count {
            let end = if index + 1 == count { u128::MAX } else { start(index + 1) - 1 };
            self.open(index as usize, start(index), end);
        }
    }

    pub(crate) fn split(&mut self, id: &str, key: u128) {
        let index = self.open.iter().position(|range| range.id == id).unwrap();
        let Range { start, end, .. } = self.open.remove(index);
        assert!(start < key && key <= end, "{key} is not strictly inside {start}..={end}");
        self.open(index, start, key - 1);
        self.open(index + 1, key, end);
    }

    pub(crate) fn merge(&mut self, lower: &str, upper: &str) {
        let index = self.open.iter().position(|range| range.id == lower).unwrap();
        let lower = self.open.remove(index);
        let merged = self.open.remove(index);
        assert!(merged.id == upper && lower.end + 1 == merged.start, "{lower:?} and {merged:?} are no neighbours");
        self.open(index, lower.start, merged.end);
    }

    fn open(&mut self, index: usize, start: u128, end: u128) {
        self.open.insert(index, Range { id: format!("shardId-{:012}", self.next_id), start, end });
        self.next_id += 1;
    }

    /// The load of each shard, the fullest first; nothing where nobody knows what lies on the keys.
    pub(crate) fn loads(&self, keys: &Keys<'_>, known: &dyn Fn(&str) -> bool) -> Vec<ShardLoad> {
        if keys.parts.is_empty() || !known("shard loads") {
            return Vec::new();
        }
        let mut loads: Vec<_> = self.open.iter().map(|range| range.load(keys, known)).collect();
        let asked = |load: &ShardLoad| load.records.0 + load.throttled.0;
        loads.sort_by(|one, other| asked(other).total_cmp(&asked(one)));
        loads
    }
}

impl Range {
    /// What is over 100 % is refused.
    fn load(&self, keys: &Keys<'_>, known: &dyn Fn(&str) -> bool) -> ShardLoad {
        let load = keys.between(self.start, self.end);
        let ranges = known("ranges");
        let slice = (self.end - self.start) / SLICES;
        let slices = (0..SLICES).map(|index| {
            let end = if index + 1 == SLICES { self.end } else { self.start + slice * (index + 1) - 1 };
            (keys.between(self.start + slice * index, end) / load) as f32
        });
        let heavy = keys.heavy.map(|(at, share)| (key(at), share / load));
        let heavy = heavy.filter(|(key, _)| self.start <= *key && *key <= self.end);
        ShardLoad {
            shard_id: self.id.clone(),
            records: RecordsPerSecond(load.min(1.0) * 1e3),
            bytes: BytesPerSecond(load.min(1.0) * 1024.0 * 1024.0),
            throttled: RecordsPerSecond((load - 1.0).max(0.0) * 1e3),
            starting_hash_key: ranges.then_some(self.start),
            ending_hash_key: ranges.then_some(self.end),
            slices: if known("slices") { slices.collect() } else { Vec::new() },
            heaviest: heavy.filter(|_| known("slices")).map(|(hash_key, share)| KeyShare { hash_key, share }),
        }
    }
}

impl Keys<'_> {
    fn between(&self, start: u128, end: u128) -> f64 {
        let count = self.parts.len() as f64;
        let (from, to) = (start as f64 / u128::MAX as f64 * count, end as f64 / u128::MAX as f64 * count);
        let even: f64 = self
            .parts
            .iter()
            .enumerate()
            .map(|(index, load)| {
                let index = index as f64;
                (to.min(index + 1.0) - from.max(index)).max(0.0) * load
            })
            .sum();
        let heavy = self.heavy.filter(|(at, _)| start <= key(*at) && key(*at) <= end);
        even + heavy.map_or(0.0, |(_, load)| load)
    }
}

fn key(at: f64) -> u128 {
    (at * u128::MAX as f64) as u128
}
