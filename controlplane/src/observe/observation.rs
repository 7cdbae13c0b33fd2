//! What the world looked like at one moment.
//!
//! A [`Reading`] is a value with its time and its source. A missing reading is `None` and never zero: rules that need it
//! hold instead of guessing.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash_key;
use crate::units::{ByteCount, BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond, ShardCount, TaskCount};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Kinesis's own description of the stream.
    Kinesis,
    /// ECS's own description of the service.
    Ecs,
    /// A CloudWatch metric: a minute's sum, one to three minutes late.
    CloudWatch,
    /// The tasks' own reports, seconds old.
    TaskReports,
    /// The consumers' lease table.
    LeaseTable,
}

/// A value with its time and source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading<T> {
    pub value: T,
    pub at: Timestamp,
    pub source: Source,
}

/// Everything that one tick saw of one pipeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    pub at: Timestamp,
    pub stream: StreamObservation,
    pub producer: ServiceObservation,
    pub consumer: ServiceObservation,
    pub load: LoadObservation,
    /// Who else changes the counts of this pipeline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignScaler>,
    /// What could not be read in this tick, one line each, for people.
    #[serde(default)]
    pub blind_spots: Vec<String>,
}

/// The stream as Kinesis describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StreamObservation {
    pub name: String,
    /// `ACTIVE`, `UPDATING`, ...; absent when the stream could not be described.
    pub status: Option<Reading<String>>,
    /// True when AWS owns the shard count.
    pub on_demand: bool,
    pub open_shards: Option<Reading<ShardCount>>,
    /// Shards that are closed but not yet read to their end by the consumers.
    pub undrained_parents: Option<Reading<ShardCount>>,
    /// What an on-demand stream takes without growing first, in MiB/s; absent where the account has no such setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput_mib: Option<Reading<u32>>,
    /// How many more shards the account may have in this region (DescribeLimits: the limit less what is open).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_shards_left: Option<Reading<u32>>,
}

/// Somebody else who changes a count: two who steer would undo each other's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignScaler {
    /// The name of the stream or the service whose count it changes.
    pub target: String,
    /// What it is, for people: "Application Auto Scaling".
    pub kind: String,
}

/// An ECS service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ServiceObservation {
    /// Empty where the pipeline has no such service of ours.
    pub name: String,
    pub desired: Option<Reading<TaskCount>>,
    pub running: Option<Reading<TaskCount>>,
    pub pending: Option<Reading<TaskCount>>,
    /// Mean CPU use of the tasks against their limit.
    pub cpu: Option<Reading<Fraction>>,
}

/// What flows through the pipeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LoadObservation {
    /// User records that clients offered to the producers.
    pub offered_records: Option<Reading<RecordsPerSecond>>,
    pub offered_bytes: Option<Reading<BytesPerSecond>>,
    /// User bytes that producers refused: clients offer them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_bytes: Option<Reading<BytesPerSecond>>,
    /// User bytes that wait in the producers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_bytes: Option<Reading<ByteCount>>,
    /// Kinesis records and bytes that the shards took: what counts against their limits.
    pub incoming_records: Option<Reading<RecordsPerSecond>>,
    pub incoming_bytes: Option<Reading<BytesPerSecond>>,
    /// Kinesis records that the shards refused.
    pub throttled_records: Option<Reading<RecordsPerSecond>>,
    /// User records that the consumers finished.
    pub processed_records: Option<Reading<RecordsPerSecond>>,
    /// How far the slowest shard's consumer is behind.
    pub lag: Option<Reading<Millis>>,
    /// Share of time that the busiest consumers' processors work.
    pub consumer_busy: Option<Reading<Fraction>>,
    /// User records that wait in the stream.
    #[serde(default)]
    pub backlog: Option<Reading<RecordCount>>,
    /// Leases that consumers can work on now: a shard whose parents are not read to their end is none.
    #[serde(default)]
    pub processable_leases: Option<Reading<ShardCount>>,
    /// The busiest shards, the busiest first, at most [`SHARDS_SHOWN`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busiest_shards: Vec<ShardLoad>,
    /// Every open shard, in any order; empty when the load of single shards is not known. Too much to store.
    #[serde(skip)]
    pub shards: Vec<ShardLoad>,
}

/// How many shards an observation names: enough to see a pattern, few enough to store with every decision.
pub const SHARDS_SHOWN: usize = 8;

/// What one shard takes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ShardLoad {
    pub shard_id: String,
    pub records: RecordsPerSecond,
    pub bytes: BytesPerSecond,
    /// Kinesis records that the shard refused.
    pub throttled: RecordsPerSecond,
    /// The first hash key of the shard's range.
    #[serde(default, with = "hash_key::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub starting_hash_key: Option<u128>,
    /// The last hash key of the shard's range.
    #[serde(default, with = "hash_key::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ending_hash_key: Option<u128>,
    /// The share of the shard's bytes in each of equal slices of its range, in order; empty when it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<f32>,
    /// The hash key that most of the shard's bytes have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heaviest: Option<KeyShare>,
}

/// Hash keys from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRange {
    #[serde(with = "hash_key")]
    #[schemars(with = "String")]
    pub start: u128,
    #[serde(with = "hash_key")]
    #[schemars(with = "String")]
    pub end: u128,
}

impl KeyRange {
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// One hash key and its share of a shard's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyShare {
    #[serde(with = "hash_key")]
    #[schemars(with = "String")]
    pub hash_key: u128,
    /// From 0 to 1.
    pub share: f64,
}
