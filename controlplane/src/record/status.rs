//! The status of a pipeline: the truth as last seen, which `ctl` reads and the control plane writes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    decide::{Decision, History},
    observe::Observation,
};

/// The version of the stored document.
pub const VERSION: u32 = 1;

/// A pipeline's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub version: u32,
    pub pipeline: String,
    /// When the control plane last finished a tick. An old heartbeat means that nobody is steering.
    pub heartbeat_at: Timestamp,
    /// Who wrote this: the leader's identity and epoch.
    pub leader: String,
    pub epoch: u64,
    /// Generation of the policy that the last tick used.
    pub observed_generation: u64,
    pub conditions: Vec<Condition>,
    pub observation: Observation,
    /// The last decision that changed or held something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<Decision>,
    /// What the leader remembers from one tick to the next, for the one that comes after it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub history: Option<History>,
}

/// What another version remembered is forgotten where it cannot be read.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<History>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A condition in the Kubernetes style.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: bool,
    /// One CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    pub last_transition_at: Timestamp,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ConditionKind {
    /// Everything is as the policy asks.
    Ready,
    /// A change is under way.
    Scaling,
    /// Shards refuse writes.
    Throttled,
    /// Consumers are behind the lag objective.
    Lagging,
    /// Something cannot be read or changed.
    Degraded,
    /// Scaling is paused by a person.
    Paused,
}

impl ConditionKind {
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Scaling, Self::Throttled, Self::Lagging, Self::Degraded, Self::Paused];

    /// As it stands in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Scaling => "Scaling",
            Self::Throttled => "Throttled",
            Self::Lagging => "Lagging",
            Self::Degraded => "Degraded",
            Self::Paused => "Paused",
        }
    }
}
