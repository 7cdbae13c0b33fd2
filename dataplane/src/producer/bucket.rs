//! Which keyed records may share an aggregate. Pure.
//!
//! The hash range is divided into a fixed number of equal buckets. A record with a partition key is bound to the lowest
//! hash of the bucket that its key's MD5 falls in, the bucket's *pin*, and all records of a bucket may share aggregates.
//!
//! # Order
//! The pin is a function of the key and the number of buckets: not of the shard map, not of the load, not of the task.
//! Wherever a record's key was posted before, by whatever task, through whatever splits and merges, it went to the same
//! hash, and so to the same shard or an ancestor of it, which consumers finish first.
//!
//! # The number
//! A shard gets one bucket more or less than its share, so with eight buckets a shard no shard has more than an eighth
//! above the mean. Each bucket costs a Kinesis record per linger where its keys are many, and a shard takes 1,000 a
//! second, so more buckets than are needed for balance make packing worse. It cannot follow the shard count by itself:
//! tasks would learn of a new count at different times, and until all of them have, a key would have two places.
//!
//! # Changing the number
//! It is a power of two, so that each bucket of the larger number lies in one of the smaller number. While tasks of both
//! run side by side, a key has two pins, but both in the same bucket of the smaller number: where no shard boundary cuts
//! that bucket they are in the same shard, and order holds throughout. That is every bucket while the shards are a power
//! of two, evenly divided, and not more than the smaller number of buckets. Of other streams the keys in cut buckets, at
//! most one bucket a boundary, can be overtaken once, unless the consumers have caught up in between.

use super::pack::{Incoming, Place};
use crate::aggregation::HashKey;

/// So many are enough for 32 shards, and few enough for one.
pub(crate) const DEFAULT: u32 = 256;

/// Eight for each of 8,192 shards.
const MAX: u32 = 1 << 16;

/// With fewer for each shard, some shards get visibly more than others.
const PER_SHARD_MIN: usize = 4;

/// A division of the hash range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buckets {
    bits: u32,
}

impl Buckets {
    /// `count` buckets, rounded up to a power of two.
    pub(crate) fn new(count: u32) -> Self {
        Self { bits: count.clamp(1, MAX).next_power_of_two().trailing_zeros() }
    }

    /// Where records go whose key has this hash.
    pub(crate) fn pin(self, hash: HashKey) -> HashKey {
        HashKey(hash.0 & !(u128::MAX >> self.bits))
    }

    /// Where each record goes.
    pub(crate) fn places(self, records: &[Incoming<'_>]) -> Vec<Place> {
        let by_key = |record: &Incoming<'_>| record.explicit_hash_key.is_none();
        let keys: Vec<_> =
            records.iter().filter(|record| by_key(record)).filter_map(|record| record.partition_key).collect();
        let mut hashes = HashKey::of_all(&keys).into_iter();
        let place = |record: &Incoming<'_>| match (record.explicit_hash_key, record.partition_key) {
            (Some(hash), _) => Place::At(hash),
            (None, Some(_)) => hashes.next().map_or(Place::Anywhere, |hash| Place::At(self.pin(hash))),
            (None, None) => Place::Anywhere,
        };
        records.iter().map(place).collect()
    }

    /// Whether so many shards get about as much as each other.
    pub(crate) fn suffice(self, shards: usize) -> bool {
        (1_usize << self.bits) >= shards * PER_SHARD_MIN
    }
}

/// Reads the number of buckets.
pub(crate) fn parse(text: &str) -> Result<u32, String> {
    let count: u32 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if count.is_power_of_two() && count <= MAX {
        Ok(count)
    } else {
        Err(format!("{count} is not a power of two between 1 and {MAX}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::producer::route::tests::even;

    proptest! {
        #[test]
        fn a_pin_is_the_lowest_hash_of_its_bucket(hash: u128, bits in 0..=16_u32) {
            let buckets = Buckets::new(1 << bits);
            let pin = buckets.pin(HashKey(hash));
            prop_assert!(pin.0 <= hash);
            prop_assert_eq!(buckets.pin(pin), pin);
            prop_assert_eq!(hash.checked_shr(128 - bits).unwrap_or(0), pin.0.checked_shr(128 - bits).unwrap_or(0));
        }

        #[test]
        fn the_pins_of_two_numbers_are_in_one_shard_where_no_boundary_cuts_the_larger_bucket(
            hash: u128, few in 0..=10_u32, more in 0..=6_u32, shards in 0..=10_u32,
        ) {
            prop_assume!(shards <= few);
            let map = even(1 << shards);
            let pins = [few, few + more].map(|bits| Buckets::new(1 << bits).pin(HashKey(hash)));
            prop_assert_eq!(map.position(pins[0]), map.position(pins[1]));
        }

        #[test]
        fn no_shard_gets_more_than_one_bucket_above_the_mean(shards in 1..=64_u128) {
            let (map, buckets) = (even(shards), Buckets::new(DEFAULT));
            let mut counts = vec![0_u128; map.shards().len()];
            for bucket in 0..u128::from(DEFAULT) {
                counts[map.position(buckets.pin(HashKey(bucket << 120)))] += 1;
            }
            let mean = u128::from(DEFAULT) / shards;
            prop_assert!(counts.iter().all(|count| (mean..=mean + 1).contains(count)), "{:?}", counts);
        }
    }

    #[test]
    fn the_number_of_buckets_is_a_power_of_two() {
        assert_eq!((parse("1"), parse("256"), parse("65536")), (Ok(1), Ok(256), Ok(65_536)));
        for wrong in ["0", "3", "131072", "many"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
