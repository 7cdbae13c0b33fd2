//! A decision: the plan, and for every rule why it fired, held or did not apply.
//!
//! The TUI, `ctl explain`, the log and the stored decision all render this one value.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Memory;
use crate::{
    observe::Observation,
    units::{ShardCount, TaskCount},
};

/// The version of the stored document.
pub const VERSION: u32 = 1;

/// One tick's decision about one pipeline, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    pub version: u32,
    /// Time-ordered, unique.
    pub id: String,
    pub pipeline: String,
    pub at: Timestamp,
    /// Generation of the policy that was in force.
    pub policy_generation: u64,
    /// Epoch of the leader that decided.
    pub epoch: u64,
    pub observation: Observation,
    pub plan: Plan,
    pub report: Report,
    /// What later decisions must know of earlier ones.
    #[serde(default)]
    pub memory: Memory,
    /// What became of the plan's actions; written after they were tried.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
}

/// What to do: absolute targets, so that doing it twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    pub actions: Vec<Action>,
}

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    UpdateShardCount {
        stream: String,
        from: ShardCount,
        to: ShardCount,
    },
    UpdateService {
        service: Service,
        name: String,
        from: TaskCount,
        to: TaskCount,
    },
    /// Divides one shard; the upper child begins at this hash key, a decimal number.
    SplitShard {
        stream: String,
        shard_id: String,
        new_starting_hash_key: String,
    },
    /// Makes one shard of two whose ranges of hash keys touch.
    MergeShards {
        stream: String,
        shard_id: String,
        adjacent_shard_id: String,
    },
    /// Sets what an on-demand stream takes without growing first, in MiB/s.
    UpdateStreamWarmThroughput {
        stream: String,
        from_mib: u32,
        to_mib: u32,
    },
}

impl Action {
    /// What there is before and after: a split makes two shards of one, a merge one of two.
    #[must_use]
    pub fn from_to(&self) -> (u32, u32) {
        match self {
            Self::UpdateShardCount { from, to, .. } => (from.0, to.0),
            Self::UpdateService { from, to, .. } => (from.0, to.0),
            Self::SplitShard { .. } => (1, 2),
            Self::MergeShards { .. } => (2, 1),
            Self::UpdateStreamWarmThroughput { from_mib, to_mib, .. } => (*from_mib, *to_mib),
        }
    }
}

/// Which of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    Producer,
    Consumer,
}

/// Why: one entry for every rule, in a fixed order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[must_use = "an unread report is not actionable"]
pub struct Report {
    pub shards: RuleReport,
    pub producers: RuleReport,
    pub consumers: RuleReport,
    /// One shard that takes much more than its share; absent in documents of before this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot_shard: Option<RuleReport>,
    /// Neighbouring shards that have little to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_merge: Option<RuleReport>,
    /// Where the stream is on-demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<RuleReport>,
    /// Where the policy has schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<RuleReport>,
    /// Where the policy has freezes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<RuleReport>,
}

impl Report {
    /// Every rule that has something to say, with its name, in their fixed order.
    #[must_use]
    pub fn rules(&self) -> Vec<(&'static str, &RuleReport)> {
        // Destructured, so that a new rule cannot be forgotten here.
        let Self { shards, producers, consumers, hot_shard, cold_merge, warm, schedule, freeze } = self;
        let counts = [("shards", Some(shards)), ("producers", Some(producers)), ("consumers", Some(consumers))];
        let others = [
            ("hot shard", hot_shard.as_ref()),
            ("cold merge", cold_merge.as_ref()),
            ("warm", warm.as_ref()),
            ("schedule", schedule.as_ref()),
            ("freeze", freeze.as_ref()),
        ];
        counts.into_iter().chain(others).filter_map(|(name, rule)| Some((name, rule?))).collect()
    }
}

/// One rule's input, arithmetic and verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleReport {
    pub verdict: Verdict,
    /// The numbers that the rule used, in the order of its arithmetic.
    pub inputs: Vec<Input>,
    /// What the rule would have done without the limit that stopped it: "would have gone to 9 without the cap of 8".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterfactual: Option<String>,
}

/// A number that a rule used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    pub name: String,
    /// With its unit, as people read it.
    pub value: String,
}

/// What a rule concluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The rule asks for a change.
    Fired { from: u32, to: u32, reason: String },
    /// The rule wants a change, or cannot know, and something stops it.
    Held { reason: String, until: Option<Timestamp> },
    /// Nothing to do.
    NotApplicable { reason: String },
}

/// What became of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    pub action: Action,
    pub at: Timestamp,
    pub result: ActionResult,
}

/// The result of one AWS call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum ActionResult {
    Done,
    Refused {
        code: String,
        message: String,
    },
    /// No answer came; the next tick looks instead of calling again.
    Unknown {
        message: String,
    },
    /// Not called: a dry run, a pause, or the lead was lost meanwhile.
    Skipped {
        reason: String,
    },
}
