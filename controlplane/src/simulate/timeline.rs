//! What happened, minute by minute: all that a score is made of.

use serde::{Deserialize, Serialize};

use crate::decide::{Action, ActionResult, Service};

/// A run of one contender with one seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// AWS owned the shard count, and bills by volume.
    pub on_demand: bool,
    /// Consumers read with enhanced fan-out, which costs.
    pub fan_out: bool,
    #[serde(rename = "timeline")]
    pub minutes: Vec<Minute>,
}

/// One minute.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Minute {
    /// Minutes since the start.
    pub minute: u32,
    /// What clients wanted to store, in full shards: the minute's mean.
    pub demand_shards: f64,
    /// Open shards: the minute's mean.
    pub shards: f64,
    /// User records that clients wanted to store.
    pub records: f64,
    /// Those that found no room in the second in which they came.
    pub throttled_records: f64,
    /// Those that nobody tries to store any more.
    pub lost_records: f64,
    /// How far the slowest shard's consumer was behind, at worst, in seconds.
    pub lag_s: f64,
    /// Consumer tasks that are paid for: the minute's mean.
    pub tasks: f64,
    /// Producer tasks that are paid for: the minute's mean.
    pub producers: f64,
    pub actions: Vec<Call>,
}

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Seconds since the start.
    pub at_s: u32,
    pub call: CallKind,
    pub from: u32,
    pub to: u32,
    /// Absent when AWS did it; else its error, or `Unknown` where no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    UpdateShardCount,
    SplitShard,
    MergeShards,
    UpdateStreamWarmThroughput,
    UpdateProducerService,
    UpdateConsumerService,
}

impl CallKind {
    /// Whether it changes how many shards there are.
    #[must_use]
    pub fn reshards(self) -> bool {
        matches!(self, Self::UpdateShardCount | Self::SplitShard | Self::MergeShards)
    }
}

impl Call {
    pub(super) fn new(at_s: u32, action: &Action, result: &ActionResult) -> Self {
        let call = match action {
            Action::UpdateShardCount { .. } => CallKind::UpdateShardCount,
            Action::SplitShard { .. } => CallKind::SplitShard,
            Action::MergeShards { .. } => CallKind::MergeShards,
            Action::UpdateStreamWarmThroughput { .. } => CallKind::UpdateStreamWarmThroughput,
            Action::UpdateService { service: Service::Producer, .. } => CallKind::UpdateProducerService,
            Action::UpdateService { service: Service::Consumer, .. } => CallKind::UpdateConsumerService,
        };
        let (from, to) = action.from_to();
        let error = match result {
            ActionResult::Done => None,
            ActionResult::Refused { code, .. } => Some(code.clone()),
            ActionResult::Unknown { .. } => Some("Unknown".to_owned()),
            ActionResult::Skipped { reason } => Some(reason.clone()),
        };
        Self { at_s, call, from, to, error }
    }
}
