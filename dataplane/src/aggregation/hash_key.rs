//! Where a record falls in the range that the shards divide among themselves.

use std::{fmt, num::ParseIntError, str::FromStr};

use md5::{Digest, Md5};

use super::md5::digests;

/// A point of the hash key range 0..2^128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(pub u128);

impl HashKey {
    /// The hash key of a partition key: its MD5, read as a big-endian integer.
    #[must_use]
    pub fn of(partition_key: &str) -> Self {
        Self(u128::from_be_bytes(Md5::digest(partition_key).into()))
    }

    /// The hash keys of many partition keys, computed together.
    #[must_use]
    pub fn of_all(partition_keys: &[&str]) -> Vec<Self> {
        let keys: Vec<_> = partition_keys.iter().map(|key| key.as_bytes()).collect();
        digests(&keys).into_iter().map(|digest| Self(u128::from_be_bytes(digest))).collect()
    }
}

/// Decimal, as every API writes hash keys.
impl fmt::Display for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for HashKey {
    type Err = ParseIntError;

    fn from_str(decimal: &str) -> Result<Self, ParseIntError> {
        decimal.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_partition_key_is_its_md5_as_a_big_endian_number() {
        // RFC 1321: MD5("a") = 0cc175b9c0f1b6a831c399e269772661
        assert_eq!(HashKey::of("a"), HashKey(0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661));
    }

    #[test]
    fn hash_keys_are_written_and_read_in_decimal() {
        let largest = HashKey(u128::MAX);
        assert_eq!(largest.to_string(), "340282366920938463463374607431768211455");
        assert_eq!(largest.to_string().parse(), Ok(largest));
        assert!("340282366920938463463374607431768211456".parse::<HashKey>().is_err());
        assert!("-1".parse::<HashKey>().is_err());
    }
}
