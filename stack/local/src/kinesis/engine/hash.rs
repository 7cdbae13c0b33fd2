//! Hash keys: which shard a record belongs to.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A position in the hash key space of a stream, `0..=2^128-1`.
pub(crate) type HashKey = u128;

/// The hash key of a partition key: its MD5.
pub(crate) fn of_partition_key(key: &[u8]) -> HashKey {
    HashKey::from_be_bytes(Md5::digest(key).into())
}

/// The keys of one shard, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HashRange {
    pub(crate) start: HashKey,
    pub(crate) end: HashKey,
}

impl HashRange {
    /// The ranges of `count` shards of equal size, which cover every key.
    pub(crate) fn uniform(count: u32) -> impl Iterator<Item = Self> {
        (0..count).map(move |part| Self {
            start: boundary(part, count),
            end: if part + 1 == count { HashKey::MAX } else { boundary(part + 1, count) - 1 },
        })
    }

    /// The keys below `key`, and the rest. None when one of them would be empty.
    pub(crate) fn split(self, key: HashKey) -> Option<(Self, Self)> {
        (self.start < key && key <= self.end)
            .then(|| (Self { start: self.start, end: key - 1 }, Self { start: key, end: self.end }))
    }
}

/// The first key of part `part` of `of` equal parts: `floor(part * 2^128 / of)`, for `part < of`.
///
/// Exact, so that the boundaries of `n` parts are boundaries of `2n` parts too and doubling only ever splits.
pub(crate) fn boundary(part: u32, of: u32) -> HashKey {
    let (part, of) = (HashKey::from(part), HashKey::from(of));
    let (quotient, remainder) = (HashKey::MAX / of, HashKey::MAX % of);
    part * quotient + part * (remainder + 1) / of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shards_have_the_ranges_that_aws_gives_them() {
        let starts: Vec<_> = HashRange::uniform(3).map(|range| range.start.to_string()).collect();
        assert_eq!(starts, ["0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"]);
    }

    #[test]
    fn doubling_keeps_every_boundary() {
        for count in 1..=200 {
            for part in 0..count {
                assert_eq!(boundary(part, count), boundary(2 * part, 2 * count), "part {part} of {count}");
            }
        }
    }

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        assert_eq!(of_partition_key(b""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    }
}
