//! How the bytes that a shard takes spread over its hash range, so that a hot shard can be split where it helps. Pure.
//!
//! Noted once for each Kinesis record, in bounded memory: a sum for each of 16 slices, and the heaviest hash keys by the
//! space-saving algorithm (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
//! Streams, 2005).

use std::{ops::RangeInclusive, time::Duration};

use tokio::time::Instant;

use crate::{aggregation::HashKey, report::KeyShare};

/// Slices of a shard's range. A split at a slice's edge is then at most 1/32 of the range from the best place.
const SLICES: usize = 16;

/// Hash keys that are counted at once. One with more than 1/16 of the shard's bytes is always among them.
const COUNTERS: usize = 16;

/// After so long a byte counts 1/e.
const MEMORY: Duration = Duration::from_secs(60);

/// How often the sums are made to fade.
const FADE_INTERVAL: Duration = Duration::from_secs(1);

/// Where one shard's bytes went.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    hash_keys: RangeInclusive<u128>,
    slices: [f64; SLICES],
    counters: Vec<Counter>,
    faded_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    hash: HashKey,
    bytes: f64,
    /// How much of `bytes` may be another key's, whose counter this was before.
    doubtful: f64,
}

impl Spread {
    /// Nothing yet, in a shard of this range.
    pub(crate) fn new(hash_keys: RangeInclusive<u128>, now: Instant) -> Self {
        Self { hash_keys, slices: [0.0; SLICES], counters: Vec::new(), faded_at: now }
    }

    /// Notes a Kinesis record at `hash`. `bound` tells that its records cannot go anywhere else.
    pub(crate) fn add(&mut self, hash: HashKey, bound: bool, bytes: u64, now: Instant) {
        self.fade(now);
        self.slices[self.slice(hash)] += bytes as f64;
        if bound {
            self.count(hash, bytes as f64);
        }
    }

    /// Each slice's share of the bytes. Empty while there are none.
    pub(crate) fn slices(&self) -> Vec<f32> {
        let total = self.total();
        if total > 0.0 { self.slices.iter().map(|bytes| (bytes / total) as f32).collect() } else { Vec::new() }
    }

    /// The key with the most bytes that are certainly its own.
    pub(crate) fn heaviest(&self) -> Option<KeyShare> {
        let total = self.total();
        let heaviest = self.counters.iter().max_by(|a, b| a.certain().total_cmp(&b.certain()))?;
        let share = heaviest.certain() / total;
        (share > 0.0).then(|| KeyShare { hash_key: heaviest.hash.to_string(), share })
    }

    fn total(&self) -> f64 {
        self.slices.iter().sum()
    }

    fn slice(&self, hash: HashKey) -> usize {
        let (start, end) = (*self.hash_keys.start(), *self.hash_keys.end());
        let width = (end - start) / SLICES as u128 + 1;
        let slice = hash.0.saturating_sub(start) / width;
        usize::try_from(slice).map_or(SLICES - 1, |slice| slice.min(SLICES - 1))
    }

    fn count(&mut self, hash: HashKey, bytes: f64) {
        if let Some(counter) = self.counters.iter_mut().find(|counter| counter.hash == hash) {
            counter.bytes += bytes;
        } else if self.counters.len() < COUNTERS {
            self.counters.push(Counter { hash, bytes, doubtful: 0.0 });
        } else if let Some(least) = self.counters.iter_mut().min_by(|a, b| a.bytes.total_cmp(&b.bytes)) {
            *least = Counter { hash, bytes: least.bytes + bytes, doubtful: least.bytes };
        }
    }

    fn fade(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.faded_at);
        if elapsed < FADE_INTERVAL {
            return;
        }
        self.faded_at = now;
        let left = (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        for slice in &mut self.slices {
            *slice *= left;
        }
        for counter in &mut self.counters {
            counter.bytes *= left;
            counter.doubtful *= left;
        }
    }
}

impl Counter {
    fn certain(&self) -> f64 {
        self.bytes - self.doubtful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread() -> (Spread, Instant) {
        let now = Instant::now();
        (Spread::new(1600..=3199, now), now)
    }

    #[test]
    fn bytes_are_counted_in_the_slice_that_their_hash_falls_in() {
        let (mut spread, now) = spread();
        assert!(spread.slices().is_empty());
        for (hash, bytes) in [(1600, 100), (1699, 100), (1700, 600), (3199, 200)] {
            spread.add(HashKey(hash), true, bytes, now);
        }
        let slices = spread.slices();
        assert_eq!((slices.len(), slices[0], slices[1], slices[15]), (16, 0.2, 0.6, 0.2));
    }

    #[test]
    fn the_whole_hash_range_has_slices_too() {
        let now = Instant::now();
        let mut spread = Spread::new(0..=u128::MAX, now);
        spread.add(HashKey(0), true, 1, now);
        spread.add(HashKey(u128::MAX), true, 1, now);
        assert_eq!((spread.slices()[0], spread.slices()[15]), (0.5, 0.5));
    }

    #[test]
    fn a_heavy_key_is_found_among_thousands_with_nearly_its_share() {
        let (mut spread, now) = spread();
        for round in 0..10_000 {
            spread.add(HashKey(1600 + round % 1500), true, 70, now);
            spread.add(HashKey(3150), true, 30, now);
        }
        let heaviest = spread.heaviest().expect("a heaviest key");
        assert_eq!(heaviest.hash_key, "3150");
        assert!((0.29..0.301).contains(&heaviest.share), "{}", heaviest.share);
        assert_eq!(spread.counters.len(), COUNTERS);
    }

    #[test]
    fn what_can_go_anywhere_is_never_the_heaviest_key() {
        let (mut spread, now) = spread();
        spread.add(HashKey(1600), false, 900, now);
        assert_eq!(spread.heaviest(), None);
        spread.add(HashKey(1700), true, 100, now);
        assert_eq!(spread.heaviest(), Some(KeyShare { hash_key: "1700".to_owned(), share: 0.1 }));
    }

    #[test]
    fn old_bytes_fade() {
        let (mut spread, now) = spread();
        spread.add(HashKey(1600), true, 1_000_000, now);
        spread.add(HashKey(3199), true, 1000, now + 10 * MEMORY);
        assert!(spread.slices()[15] > 0.9, "{:?}", spread.slices());
        assert_eq!(spread.heaviest().map(|key| key.hash_key).as_deref(), Some("3199"));
    }
}
