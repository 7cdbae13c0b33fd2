//! Which shard a hash key belongs to, as far as the producer knows. Pure.
//!
//! The map serves balance and pace only. Kinesis places each record by its hash, so a map that is out of date puts a
//! record in another shard than expected, never in a wrong one.

use std::{ops::RangeInclusive, sync::Arc};

use rand::{Rng, RngExt};

use crate::aggregation::HashKey;

/// An open shard and the hash keys that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: Arc<str>,
    pub(crate) hash_keys: RangeInclusive<u128>,
}

/// The open shards of a stream, by hash key. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardMap {
    shards: Vec<Shard>,
}

impl ShardMap {
    /// The map before anything is known: one nameless shard takes everything.
    pub(crate) fn unknown() -> Self {
        Self { shards: vec![Shard { id: "".into(), hash_keys: 0..=u128::MAX }] }
    }

    /// `None` when there is no shard.
    pub(crate) fn new(mut shards: Vec<Shard>) -> Option<Self> {
        shards.sort_by_key(|shard| *shard.hash_keys.start());
        (!shards.is_empty()).then_some(Self { shards })
    }

    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The place in [`Self::shards`] of the shard that takes `hash`.
    pub(crate) fn position(&self, hash: HashKey) -> usize {
        self.shards.partition_point(|shard| *shard.hash_keys.end() < hash.0).min(self.shards.len() - 1)
    }

    /// The shard that takes `hash`.
    pub(crate) fn shard_of(&self, hash: HashKey) -> &Shard {
        &self.shards[self.position(hash)]
    }
}

impl Shard {
    /// A hash key somewhere in the shard, so that both halves of a shard that is being split get their part.
    pub(crate) fn any_hash(&self, random: &mut impl Rng) -> HashKey {
        HashKey(random.random_range(self.hash_keys.clone()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// `count` shards that divide the range evenly.
    pub(crate) fn even(count: u128) -> ShardMap {
        let width = u128::MAX / count;
        let shard = |index: u128| Shard {
            id: format!("shardId-{index:012}").into(),
            hash_keys: index * width..=if index + 1 == count { u128::MAX } else { (index + 1) * width - 1 },
        };
        ShardMap::new((0..count).map(shard).collect()).expect("at least one shard")
    }

    #[test]
    fn every_hash_key_belongs_to_the_shard_whose_range_holds_it() {
        let map = even(5);
        for (position, shard) in map.shards().iter().enumerate() {
            assert_eq!(map.position(HashKey(*shard.hash_keys.start())), position);
            assert_eq!(map.position(HashKey(*shard.hash_keys.end())), position);
            let hash = shard.any_hash(&mut StdRng::seed_from_u64(1));
            assert_eq!(map.position(hash), position);
        }
    }

    #[test]
    fn before_anything_is_known_one_shard_takes_everything() {
        let map = ShardMap::unknown();
        assert_eq!((map.position(HashKey(0)), map.position(HashKey(u128::MAX))), (0, 0));
        assert_eq!(ShardMap::new(Vec::new()), None);
    }
}
