//! What the world looked like at one moment.
//!
//! A [`Reading`] is a value with its time and its source. A missing reading is `None` and never zero: rules that need it
//! hold instead of guessing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::units::{BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond, ShardCount, TaskCount};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading<T> {
    pub value: T,
    pub at: Timestamp,
    pub source: Source,
}

/// Everything that one tick saw of one pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub at: Timestamp,
    pub stream: StreamObservation,
    pub producer: ServiceObservation,
    pub consumer: ServiceObservation,
    pub load: LoadObservation,
    /// What could not be read in this tick, one line each, for people.
    #[serde(default)]
    pub blind_spots: Vec<String>,
}

/// The stream as Kinesis describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamObservation {
    pub name: String,
    /// `ACTIVE`, `UPDATING`, ...; absent when the stream could not be described.
    pub status: Option<Reading<String>>,
    /// True when AWS owns the shard count.
    pub on_demand: bool,
    pub open_shards: Option<Reading<ShardCount>>,
    /// Shards that are closed but not yet read to their end by the consumers.
    pub undrained_parents: Option<Reading<ShardCount>>,
}

/// An ECS service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceObservation {
    pub name: String,
    pub desired: Option<Reading<TaskCount>>,
    pub running: Option<Reading<TaskCount>>,
    pub pending: Option<Reading<TaskCount>>,
    /// Mean CPU use of the tasks against their limit.
    pub cpu: Option<Reading<Fraction>>,
}

/// What flows through the pipeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadObservation {
    /// User records that clients offered to the producers.
    pub offered_records: Option<Reading<RecordsPerSecond>>,
    pub offered_bytes: Option<Reading<BytesPerSecond>>,
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
}

/// How many shards an observation names: enough to see a pattern, few enough to store with every decision.
pub const SHARDS_SHOWN: usize = 8;

/// What one shard takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardLoad {
    pub shard_id: String,
    pub records: RecordsPerSecond,
    pub bytes: BytesPerSecond,
    /// Kinesis records that the shard refused.
    pub throttled: RecordsPerSecond,
}
