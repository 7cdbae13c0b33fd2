//! What a later leader must know and cannot see: it is stored with every decision.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, ActionResult, Season, Service, drift::Owned, history::elapsed};
use crate::{
    observe::{KeyRange, LoadObservation},
    units::{Fraction, Millis},
};

/// More splits than this of one stream are no exceptions any more.
const SPLITS_MAX: usize = 32;

/// How long a split that did not help is remembered: keys of last week may have lost their weight.
const USELESS_FOR: Millis = Millis(7 * 24 * 3_600_000);

/// How soon the list of shards shows what a split has made.
const SETTLED: Millis = Millis(5 * 60_000);

/// What outlives a leader.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Memory {
    /// Splits of hot shards whose effect still matters, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// The split that the last decision asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_split: Option<Split>,
    /// What the stream took at each time of the last days.
    #[schemars(with = "String")]
    pub season: Season,
    pub shards: Owned,
    pub producers: Owned,
    pub consumers: Owned,
}

/// A split of a hot shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    pub at: Timestamp,
    /// The shard that was divided.
    pub shard_id: String,
    pub range: KeyRange,
    /// The first hash key of the upper child, decimal.
    pub key: String,
    /// The share of the stream's load that was on the shard.
    pub share: Fraction,
    /// The child that became as hot as the shard had been: one key is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot_child: Option<KeyRange>,
}

impl Memory {
    /// Remembers what became of the split that was asked for.
    pub(super) fn split(&mut self, result: &ActionResult) {
        let asked = self.asked_split.take();
        if let ActionResult::Done | ActionResult::Unknown { .. } = result {
            self.splits.extend(asked);
            let excess = self.splits.len().saturating_sub(SPLITS_MAX);
            self.splits.drain(..excess);
        }
    }

    /// Remembers a call of ours, so that what it changes is not taken for somebody else's.
    pub(super) fn asked(&mut self, action: &Action, at: Timestamp) {
        let (from, to) = action.from_to();
        match action {
            Action::UpdateShardCount { .. } => self.shards.asked(from, to, at),
            Action::SplitShard { .. } | Action::MergeShards { .. } => self.shards.asked_one(to > from, at),
            Action::UpdateService { service: Service::Producer, .. } => self.producers.asked(from, to, at),
            Action::UpdateService { service: Service::Consumer, .. } => self.consumers.asked(from, to, at),
            Action::UpdateStreamWarmThroughput { .. } => {}
        }
    }

    /// Forgets splits that are undone and those that are too old to matter.
    pub(super) fn forget(&mut self, load: &LoadObservation, now: Timestamp) {
        self.asked_split = None;
        let complete = !load.shards.is_empty() && load.shards.iter().all(|shard| shard.starting_hash_key.is_some());
        self.splits.retain(|split| {
            let age = elapsed(split.at, now);
            let undone = complete && age > SETTLED && !starts_at(load, &split.key);
            if split.hot_child.is_some() { age <= USELESS_FOR } else { !undone }
        });
    }
}

fn starts_at(load: &LoadObservation, key: &str) -> bool {
    let key: Option<u128> = key.parse().ok();
    load.shards.iter().any(|shard| shard.starting_hash_key == key)
}
