//! How a stream's load lies over its hash keys: which shards are full, where one would be cut, and what equal ranges would
//! make of it.

use crate::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    observe::{KeyRange, LoadObservation, ShardLoad},
    units::Fraction,
};

/// Ranges whose widths differ by less than this are equal: what UpdateShardCount makes, or a rounding of it.
const EVEN_MAX: f64 = 1.25;

/// The share of its limit that a shard takes.
pub(super) fn use_of(shard: &ShardLoad) -> Fraction {
    Fraction(sane(shard.bytes.0 / SHARD_BYTES.0).max(sane(shard.records.0 / SHARD_RECORDS.0)))
}

/// The share of its limit that is asked of a shard, what it refuses included.
pub(super) fn asked_of(shard: &ShardLoad) -> Fraction {
    let (taken, refused) = (sane(shard.records.0), sane(shard.throttled.0));
    let growth = if taken > 0.0 { (taken + refused) / taken } else { 1.0 };
    let bytes = sane(shard.bytes.0 / SHARD_BYTES.0) * growth;
    Fraction(bytes.max((taken + refused) / SHARD_RECORDS.0))
}

/// What no measurement can be counts as nothing.
fn sane(number: f64) -> f64 {
    if number.is_finite() { number.max(0.0) } else { 0.0 }
}

/// The range of a shard, where it is known and holds a key.
pub(super) fn range_of(shard: &ShardLoad) -> Option<KeyRange> {
    let range = KeyRange { start: shard.starting_hash_key?, end: shard.ending_hash_key? };
    (range.start <= range.end).then_some(range)
}

/// Whether the ranges are unequal, as targeted splits and merges leave them. Unknown ranges are taken for equal.
pub(super) fn is_uneven(load: &LoadObservation) -> bool {
    let width = |shard: &ShardLoad| range_of(shard).map(|range| (range.end - range.start) as f64 + 1.0);
    let extremes = load.shards.iter().try_fold((f64::INFINITY, 0.0_f64), |(least, most), shard| {
        let width = width(shard)?;
        Some((least.min(width), most.max(width)))
    });
    extremes.is_some_and(|(least, most)| most > least * EVEN_MAX)
}

/// The shards in the order of their ranges, or nothing while one range is unknown.
pub(super) fn in_order(load: &LoadObservation) -> Option<Vec<(&ShardLoad, KeyRange)>> {
    let mut placed: Vec<_> = load.shards.iter().map(|shard| Some((shard, range_of(shard)?))).collect::<Option<_>>()?;
    placed.sort_by_key(|(_, range)| (range.start, range.end));
    (!placed.is_empty()).then_some(placed)
}

/// How full the fullest of `count` equal ranges would be, with today's load; nothing while one range is unknown.
pub(super) fn fullest_of_equal(load: &LoadObservation, count: u32) -> Option<Fraction> {
    let mut uses = vec![0.0; count.max(1) as usize];
    for (shard, range) in in_order(load)? {
        let (asked, shares) = (asked_of(shard).0, shares(shard));
        let (start, width) = (position(range.start), position(range.end) - position(range.start));
        let slice = width / shares.len() as f64;
        for (index, share) in shares.iter().enumerate() {
            spread(&mut uses, start + slice * index as f64, slice, asked * share);
        }
    }
    uses.into_iter().reduce(f64::max).map(Fraction)
}

/// Adds a load that lies evenly over `width` from `start`, both as shares of all hash keys, to equal ranges.
fn spread(uses: &mut [f64], start: f64, width: f64, load: f64) {
    let count = uses.len() as f64;
    let (from, to) = (start * count, (start + width) * count);
    let last = uses.len() - 1;
    let (first, end) = ((from as usize).min(last), (to as usize).min(last));
    for (bin, used) in uses.iter_mut().enumerate().take(end + 1).skip(first) {
        let overlap = to.min(bin as f64 + 1.0) - from.max(bin as f64);
        let share = if to > from { (overlap / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
        *used += load * share;
    }
}

/// Where a hash key lies among all of them, from 0 to 1.
fn position(key: u128) -> f64 {
    key as f64 / u128::MAX as f64
}

/// The shares of a shard's load in equal slices of its range, which add up to 1; one slice where nothing is known.
fn shares(shard: &ShardLoad) -> Vec<f64> {
    let slices: Vec<f64> = shard.slices.iter().map(|share| sane(f64::from(*share))).collect();
    let sum: f64 = slices.iter().sum();
    if sum > 0.0 { slices.into_iter().map(|share| share / sum).collect() } else { vec![1.0] }
}

/// Where a shard would be divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    /// The first hash key of the upper child.
    pub(super) key: u128,
    /// The share of the load that the fuller child would have.
    pub(super) larger: Fraction,
}

/// A cut between two slices is good enough where its fuller half has no more of the load than this.
const GOOD_CUT: f64 = 0.6;

/// The cut that divides the load best; nothing where the range is unknown or has one key only.
pub(super) fn best_cut(shard: &ShardLoad) -> Option<Cut> {
    let range = range_of(shard).filter(|range| range.start < range.end)?;
    let spread = Spread::of(shard, range);
    let cuts = spread.candidates().into_iter().filter(|key| range.start < *key && *key <= range.end);
    let larger = |key| {
        let below = spread.below(key);
        below.max(1.0 - below)
    };
    // How the load lies within a slice is a guess: what is known and good enough goes before what may be better.
    let is_guess = |cut: &Cut| !spread.edges.contains(&cut.key) || cut.larger.0 > GOOD_CUT;
    cuts.map(|key| Cut { key, larger: Fraction(larger(key)) })
        .min_by(|one, other| is_guess(one).cmp(&is_guess(other)).then_with(|| one.larger.0.total_cmp(&other.larger.0)))
}

/// How a shard's load lies over its range: evenly within each slice, and the heaviest key at its own place.
struct Spread {
    /// The first key of each slice, then the last key of the last.
    edges: Vec<u128>,
    shares: Vec<f64>,
    heaviest: Option<(u128, f64)>,
}

impl Spread {
    fn of(shard: &ShardLoad, range: KeyRange) -> Self {
        let mut shares = shares(shard);
        let count = shares.len() as u128;
        let width = range.end - range.start;
        let edge = |index: u128| range.start + width / count * index + width % count * index / count;
        let edges: Vec<_> = (0..=count).map(edge).collect();
        let within = |key: u128| range.start <= key && key <= range.end;
        let heaviest =
            shard.heaviest.filter(|heaviest| heaviest.share > 0.0 && within(heaviest.hash_key)).map(|heaviest| {
                let share = heaviest.share.min(1.0);
                let slice = edges[1..].iter().position(|edge| heaviest.hash_key < *edge).unwrap_or(shares.len() - 1);
                // The slices count its bytes, too.
                shares[slice] = (shares[slice] - share).max(0.0);
                (heaviest.hash_key, share)
            });
        let rest: f64 = shares.iter().sum();
        let whole = 1.0 - heaviest.map_or(0.0, |(_, share)| share);
        if rest > 0.0 {
            shares.iter_mut().for_each(|share| *share *= whole / rest);
        }
        Self { edges, shares, heaviest }
    }

    /// Edges of slices, both sides of the heaviest key, and in each slice where the load below becomes half.
    fn candidates(&self) -> Vec<u128> {
        let mut keys = self.edges.clone();
        if let Some((key, _)) = self.heaviest {
            keys.extend([key, key.saturating_add(1)]);
        }
        for (edges, share) in self.edges.windows(2).zip(&self.shares) {
            let missing = (0.5 - self.below(edges[0])) / share;
            if (0.0..=1.0).contains(&missing) {
                keys.push(edges[0] + ((edges[1] - edges[0]) as f64 * missing) as u128);
            }
        }
        // Without any load the middle is as good as another.
        keys.push(self.edges[0] + (self.edges[self.edges.len() - 1] - self.edges[0]) / 2 + 1);
        keys
    }

    /// The share of the load on keys below this one.
    fn below(&self, key: u128) -> f64 {
        let slices = self.edges.windows(2).zip(&self.shares).map(|(edges, share)| {
            let (from, to) = (edges[0], edges[1].max(edges[0].saturating_add(1)));
            if key >= to { *share } else { share * key.saturating_sub(from) as f64 / (to - from) as f64 }
        });
        let heaviest = self.heaviest.filter(|(heavy, _)| *heavy < key).map_or(0.0, |(_, share)| share);
        slices.sum::<f64>() + heaviest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observe::KeyShare,
        units::{BytesPerSecond, RecordsPerSecond},
    };

    const MIB: f64 = 1024.0 * 1024.0;

    fn shard(start: u128, end: u128, mib: f64, slices: &[f32]) -> ShardLoad {
        ShardLoad {
            bytes: BytesPerSecond(mib * MIB),
            records: RecordsPerSecond(10.0),
            starting_hash_key: Some(start),
            ending_hash_key: Some(end),
            slices: slices.to_vec(),
            ..ShardLoad::default()
        }
    }

    fn load(shards: Vec<ShardLoad>) -> LoadObservation {
        LoadObservation { shards, ..LoadObservation::default() }
    }

    #[test]
    fn a_shard_of_unknown_load_is_cut_in_the_middle() {
        assert!((499..=500).contains(&best_cut(&shard(0, 999, 1.0, &[])).unwrap().key));
        assert_eq!(best_cut(&shard(0, u128::MAX, 1.0, &[])).unwrap().key, 1 << 127);
    }

    #[test]
    fn a_cut_halves_the_load_and_not_the_range() {
        let cut = best_cut(&shard(0, 1_000, 1.0, &[0.8, 0.1, 0.05, 0.05])).unwrap();
        assert!((150..=160).contains(&cut.key) && cut.larger.0 < 0.51, "{cut:?}");
    }

    #[test]
    fn a_heavy_key_goes_to_the_side_that_has_less_beside_it() {
        let heaviest = Some(KeyShare { hash_key: 300, share: 0.6 });
        let cut = best_cut(&ShardLoad { heaviest, ..shard(0, 1_000, 1.0, &[]) }).unwrap();
        assert_eq!(cut.key, 301);
        assert!((0.71..=0.73).contains(&cut.larger.0), "the heavy key and 30 % of the others: {cut:?}");
    }

    #[test]
    fn a_range_of_one_key_cannot_be_cut_and_one_of_two_can() {
        assert_eq!(best_cut(&shard(7, 7, 1.0, &[])), None);
        assert_eq!(best_cut(&shard(7, 8, 1.0, &[])).unwrap().key, 8);
    }

    #[test]
    fn equal_ranges_would_gather_what_a_split_has_divided() {
        let eighth = u128::MAX / 8;
        let mut shards: Vec<_> = (2..8).map(|i| shard(eighth * i, eighth * (i + 1) - 1, 0.1, &[])).collect();
        shards.extend([shard(0, eighth - 1, 0.5, &[]), shard(eighth, eighth * 2 - 1, 0.5, &[])]);
        let fullest = |count| (fullest_of_equal(&load(shards.clone()), count).unwrap().0 * 100.0).round();
        assert_eq!([fullest(8), fullest(4), fullest(16)], [50.0, 100.0, 25.0]);
    }

    #[test]
    fn ranges_of_a_uniform_stream_are_even_and_those_of_a_split_are_not() {
        let half = u128::MAX / 2;
        let even = vec![shard(0, half, 0.1, &[]), shard(half + 1, u128::MAX, 0.1, &[])];
        let split = vec![shard(0, half / 2, 0.1, &[]), shard(half / 2 + 1, half, 0.1, &[]), even[1].clone()];
        assert_eq!((is_uneven(&load(even)), is_uneven(&load(split))), (false, true));
        assert!(!is_uneven(&load(vec![ShardLoad::default(), shard(0, 1, 0.0, &[])])), "unknown counts as even");
    }

    #[test]
    fn numbers_that_no_measurement_can_be_are_no_load() {
        let broken = ShardLoad {
            bytes: BytesPerSecond(f64::NAN),
            records: RecordsPerSecond(-1.0),
            throttled: RecordsPerSecond(f64::INFINITY),
            ..ShardLoad::default()
        };
        assert_eq!((use_of(&broken).0, asked_of(&broken).0), (0.0, 0.0));
    }
}
