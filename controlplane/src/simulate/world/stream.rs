//! The stream: its shards, what AWS lets one do to them, and how long that takes.

use std::collections::VecDeque;

use super::{
    super::{Physics, chance::Chance},
    keys::Keys,
};

/// AWS's rolling window of calls, in seconds.
const DAY_S: u32 = 24 * 3_600;

/// An open shard and its range of hash keys, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: u32,
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Shard {
    /// The range as numbers from 0 to 1.
    pub(super) fn range(&self) -> (f64, f64) {
        (at(self.first), if self.last == u128::MAX { 1.0 } else { at(self.last + 1) })
    }

    pub(super) fn name(&self) -> String {
        format!("shardId-{:012}", self.id)
    }
}

/// A hash key as a number from 0 to 1.
pub(super) fn at(hash_key: u128) -> f64 {
    hash_key as f64 / 2_f64.powi(128)
}

/// A number from 0 to 1 as a hash key.
pub(super) fn hash_key(at: f64) -> u128 {
    (at * 2_f64.powi(128)) as u128
}

/// AWS's answer to a call that it does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub(super) &'static str, pub(super) &'static str);

const IN_USE: Refused = Refused("ResourceInUseException", "the stream is UPDATING");
const NO_SUCH_SHARD: Refused = Refused("ResourceNotFoundException", "no such open shard");

#[derive(Debug)]
struct Change {
    done_s: u32,
    shards: Vec<Shard>,
}

/// The stream of a pipeline.
#[derive(Debug)]
pub(super) struct Stream {
    shards: Vec<Shard>,
    next_id: u32,
    change: Option<Change>,
    calls: VecDeque<u32>,
}

impl Stream {
    pub(super) fn new(count: u32) -> Self {
        let mut stream = Self { shards: Vec::new(), next_id: 0, change: None, calls: VecDeque::new() };
        stream.shards = stream.uniform(count);
        stream
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    pub(super) fn count(&self) -> u32 {
        self.shards.len() as u32
    }

    pub(super) fn is_updating(&self) -> bool {
        self.change.is_some()
    }

    /// Ends the change that is due, and tells whether there was one.
    pub(super) fn pass(&mut self, second: u32) -> bool {
        match self.change.take_if(|change| change.done_s <= second) {
            Some(change) => {
                self.shards = change.shards;
                true
            }
            None => false,
        }
    }

    /// Sets the count of an on-demand stream, which takes no time.
    pub(super) fn set(&mut self, count: u32) {
        self.shards = self.uniform(count);
    }

    /// UpdateShardCount with UNIFORM_SCALING.
    pub(super) fn update(
        &mut self,
        to: u32,
        second: u32,
        physics: &Physics,
        chance: &mut Chance,
    ) -> Result<(), Refused> {
        let from = self.count();
        if self.is_updating() {
            return Err(IN_USE);
        }
        if to == from || to == 0 {
            return Err(Refused("InvalidArgumentException", "the count must differ and be at least 1"));
        }
        if to > from.saturating_mul(2) || to < from.div_ceil(2) {
            return Err(Refused("InvalidArgumentException", "one call goes to between half and double"));
        }
        if to > physics.account_shards {
            return Err(Refused("LimitExceededException", "the account's shards"));
        }
        while self.calls.front().is_some_and(|called| called + DAY_S <= second) {
            self.calls.pop_front();
        }
        if self.calls.len() >= physics.daily_reshards as usize {
            return Err(Refused("LimitExceededException", "the calls in a rolling 24 hours"));
        }
        self.calls.push_back(second);
        let done_s = second + chance.between(duration(from, to, physics)) as u32;
        let shards = self.uniform(to);
        self.change = Some(Change { done_s, shards });
        Ok(())
    }

    /// SplitShard.
    pub(super) fn split(&mut self, name: &str, at: u128, second: u32, physics: &Physics) -> Result<(), Refused> {
        let index = self.position(name)?;
        let Shard { first, last, .. } = self.shards[index];
        if at <= first || at > last {
            return Err(Refused("InvalidArgumentException", "the hash key is not inside of the shard"));
        }
        if self.count() + 1 > physics.account_shards {
            return Err(Refused("LimitExceededException", "the account's shards"));
        }
        let (lower, upper) = (self.shard(first, at - 1), self.shard(at, last));
        let mut shards = self.shards.clone();
        shards.splice(index..=index, [lower, upper]);
        self.change = Some(Change { done_s: second + physics.single_reshard_s as u32, shards });
        Ok(())
    }

    /// MergeShards.
    pub(super) fn merge(&mut self, name: &str, other: &str, second: u32, physics: &Physics) -> Result<(), Refused> {
        let (one, other) = (self.position(name)?, self.position(other)?);
        let (low, high) = (one.min(other), one.max(other));
        if high != low + 1 {
            return Err(Refused("InvalidArgumentException", "the shards are not adjacent"));
        }
        let merged = self.shard(self.shards[low].first, self.shards[high].last);
        let mut shards = self.shards.clone();
        shards.splice(low..=high, [merged]);
        self.change = Some(Change { done_s: second + physics.single_reshard_s as u32, shards });
        Ok(())
    }

    /// The share of the load that each shard takes, in the order of [`Self::shards`].
    pub(super) fn shares(&self, keys: &Keys, minute: u32) -> impl Iterator<Item = f64> {
        self.shards.iter().map(move |shard| {
            let (low, high) = shard.range();
            keys.share(low, high, minute)
        })
    }

    fn position(&self, name: &str) -> Result<usize, Refused> {
        if self.is_updating() {
            return Err(IN_USE);
        }
        self.shards.iter().position(|shard| shard.name() == name).ok_or(NO_SUCH_SHARD)
    }

    fn uniform(&mut self, count: u32) -> Vec<Shard> {
        let count = u128::from(count.max(1));
        let width = u128::MAX / count;
        let last = |index| if index + 1 == count { u128::MAX } else { (index + 1) * width - 1 };
        (0..count).map(|index| self.shard(index * width, last(index))).collect()
    }

    fn shard(&mut self, first: u128, last: u128) -> Shard {
        self.next_id += 1;
        Shard { id: self.next_id - 1, first, last }
    }
}

/// How long UpdateShardCount takes at least and at most, in seconds. Double and half are one split or merge of every
/// shard; other counts go through shards that live for a moment only.
pub(in super::super) fn duration(from: u32, to: u32, physics: &Physics) -> [f64; 2] {
    let (rounds, operations) = if to == from * 2 || to * 2 == from {
        (1.0, from.min(to))
    } else if (to * 4).is_multiple_of(from) {
        (2.0, from.abs_diff(to) * 2)
    } else {
        (3.0, from.abs_diff(to) * 3)
    };
    let fixed = physics.reshard_base_s + rounds * physics.reshard_round_s;
    physics.reshard_operation_s.map(|each| fixed + f64::from(operations) * each)
}

#[cfg(test)]
mod tests {
    use super::{super::super::chance::Purpose, *};

    fn stream(count: u32) -> (Stream, Physics, Chance) {
        (Stream::new(count), Physics::default(), Chance::new(1, Purpose::Delays))
    }

    #[test]
    fn one_call_goes_to_between_half_and_double_and_only_one_at_a_time() {
        let (mut stream, physics, mut chance) = stream(5);
        for (to, code) in [(11, "InvalidArgumentException"), (2, "InvalidArgumentException")] {
            assert_eq!(stream.update(to, 0, &physics, &mut chance).unwrap_err().0, code);
        }
        stream.update(10, 0, &physics, &mut chance).unwrap();
        assert_eq!(stream.update(8, 1, &physics, &mut chance), Err(IN_USE));
        assert!(stream.is_updating() && !stream.pass(30) && stream.count() == 5);
        assert!(stream.pass(600) && stream.count() == 10);
    }

    #[test]
    fn the_eleventh_call_of_a_day_waits_for_the_first_to_be_a_day_old() {
        let (mut stream, physics, mut chance) = stream(4);
        for call in 0..10 {
            let to = if call % 2 == 0 { 8 } else { 4 };
            stream.update(to, call * 600, &physics, &mut chance).unwrap();
            assert!(stream.pass(call * 600 + 599));
        }
        assert_eq!(stream.update(8, 6_000, &physics, &mut chance).unwrap_err().0, "LimitExceededException");
        stream.update(8, DAY_S, &physics, &mut chance).unwrap();
    }

    #[test]
    fn ranges_always_cover_every_hash_key_once() {
        let (mut stream, physics, _) = stream(3);
        let name = stream.shards()[1].name();
        let middle = stream.shards()[1].first + 12_345;
        stream.split(&name, middle, 0, &physics).unwrap();
        assert!(stream.pass(30));
        let (one, other) = (stream.shards()[2].name(), stream.shards()[3].name());
        stream.merge(&one, &other, 30, &physics).unwrap();
        assert!(stream.pass(60));
        assert_eq!(stream.shards().first().map(|shard| shard.first), Some(0));
        assert_eq!(stream.shards().last().map(|shard| shard.last), Some(u128::MAX));
        assert!(stream.shards().windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
        assert_eq!(stream.count(), 3);
    }
}
