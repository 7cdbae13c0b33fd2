//! What a task says about itself at `GET /report` on its admin port.
//!
//! The control plane prefers these reports to CloudWatch: they are seconds old instead of minutes, and a producer knows
//! what was *offered*, while Kinesis counts only what it accepted. A value that the task does not know is absent,
//! never zero.

use serde::{Deserialize, Serialize};

/// The version of the document. It goes up when a member changes its meaning or goes away; new members keep it.
pub const VERSION: u32 = 1;

/// The admin port that serves the report, metrics and health on every task.
pub const ADMIN_PORT: u16 = 9464;

/// A task's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// When the report was made, in milliseconds since the Unix epoch, by the task's clock.
    pub at_ms: u64,
    /// The task's own id: the last part of its ECS task ARN, or a random id outside ECS.
    pub task_id: String,
    /// How much of its limits the task uses.
    pub resources: Resources,
    /// What the task does.
    pub role: Role,
}

/// A task's use of CPU and memory, against the limits of its task definition.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CPU time used in the last window, as a fraction of the task's CPU limit: 1.0 is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_fraction: Option<f64>,
    /// Resident memory now, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The task's memory limit, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
}

/// What a task does, with the figures of that role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Role {
    Producer(ProducerReport),
    Consumer(ConsumerReport),
}

/// A flow of records, averaged over the report's window (ten seconds).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    pub records_per_second: f64,
    pub bytes_per_second: f64,
}

/// What a producer task saw and did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProducerReport {
    /// The stream that the task writes to.
    pub stream: String,
    /// User records that clients asked to store, whatever became of them.
    pub offered: Rate,
    /// User records that Kinesis has confirmed.
    pub accepted: Rate,
    /// User records refused with 4xx or 5xx because a buffer was full or Kinesis did not take them in time.
    pub refused: Rate,
    /// Kinesis records that were sent (one may hold many user records): what counts against the shards' limits.
    pub sent: Rate,
    /// PutRecords requests under way.
    pub requests_in_flight: u64,
    /// Bytes of user records that wait to be sent.
    pub buffered_bytes: u64,
    /// Age of the oldest of them, in milliseconds; absent when nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_buffered_ms: Option<u64>,
    /// Per shard, what Kinesis took and what it throttled.
    pub shards: Vec<ProducerShard>,
}

/// One shard as a producer sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProducerShard {
    pub shard_id: String,
    /// Kinesis records that the shard took.
    pub sent: Rate,
    /// Kinesis records per second that the shard refused with `ProvisionedThroughputExceededException`.
    pub throttled_per_second: f64,
    /// Kinesis records per second that were sent again, for whatever reason.
    pub retried_per_second: f64,
    /// The share of the shard's bytes in each of 16 equal slices of its hash range, lowest first. A minute old counts
    /// 1/e. Empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<f32>,
    /// The hash key with the most bytes among those that records are bound to, by their partition key's bucket or an
    /// explicit hash key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heaviest: Option<KeyShare>,
}

/// A hash key's share of the bytes that a shard took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyShare {
    /// Decimal, as AWS writes hash keys.
    pub hash_key: String,
    /// 1.0 is all of them. A lower bound: the count behind it is a sketch.
    pub share: f64,
}

/// What a consumer task holds and does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConsumerReport {
    /// The stream that the task reads.
    pub stream: String,
    /// KCL's application name, which is the lease table's name.
    pub application: String,
    /// User records that the processor finished.
    pub processed: Rate,
    /// The largest [`LeaseReport::behind_ms`]; absent when no lease knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// How shards are read: `polling` or `fanout`; empty before that is decided.
    #[serde(default)]
    pub retrieval: String,
    /// Why so.
    #[serde(default)]
    pub retrieval_reason: String,
    /// The leases that the task holds.
    pub leases: Vec<LeaseReport>,
}

/// One lease as its owner sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LeaseReport {
    pub shard_id: String,
    /// User records that the processor finished.
    pub processed: Rate,
    /// How far the last record read is behind the newest one, as Kinesis says; absent before the first read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// Share of the window that the processor was at work: 1.0 means that it is the bottleneck.
    pub busy_fraction: f64,
    /// Age of the last checkpoint in milliseconds; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_age_ms: Option<u64>,
    /// Which record holds up the shard and why, in an operator's words; absent while nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}
