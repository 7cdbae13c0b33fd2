//! (Policy, Observation, History, now) -> Decision. Pure: no clock, no randomness, no AWS.

mod consumers;
mod decision;
mod demand;
mod history;
mod hot_shard;
mod producers;
mod shards;
mod steer;
mod tasks;

pub use decision::{
    Action, ActionResult, Decision, Input, Outcome, Plan, Report, RuleReport, Service, VERSION, Verdict,
};
pub(crate) use demand::{is_throttled, throttled_share};
pub use history::{Asked, History, Refusal, Track, after, elapsed};

use jiff::Timestamp;

use crate::{
    observe::Observation,
    policy::Policy,
    units::{ShardCount, TaskCount},
};
use steer::Hold;

/// What one tick concludes, and what the next one must remember.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    pub plan: Plan,
    pub report: Report,
    pub history: History,
}

/// Decides what to do about one pipeline.
///
/// Shards come before tasks: consumers are capped by the leases that exist, and go down only when no shard is changing
/// and every closed shard is read to its end.
pub fn decide(policy: &Policy, seen: &Observation, history: &History, now: Timestamp) -> Conclusion {
    let mut history = history.clone();
    history.reshards = history.reshards_before(now);
    let skewed = hot_shard::find(&policy.stream, seen).is_some();
    let shards = shards::rule(policy, seen, skewed, &mut history, now);
    let resharding = matches!(shards.verdict, Verdict::Fired { .. }) || !is_active(seen);
    let producers = producers::rule(policy, seen, &mut history.producers, now);
    let consumers = consumers::rule(policy, seen, resharding, &mut history.consumers, now);
    let hot_shard = Some(hot_shard::rule(&policy.stream, seen));
    let report = Report { shards, producers, consumers, hot_shard };
    Conclusion { plan: plan(&report, seen), report, history }
}

fn plan(report: &Report, seen: &Observation) -> Plan {
    let fired = |rule: &RuleReport| match rule.verdict {
        Verdict::Fired { from, to, .. } => Some((from, to)),
        Verdict::Held { .. } | Verdict::NotApplicable { .. } => None,
    };
    let shards = fired(&report.shards).map(|(from, to)| Action::UpdateShardCount {
        stream: seen.stream.name.clone(),
        from: ShardCount(from),
        to: ShardCount(to),
    });
    let tasks = |rule, service, name: &str| {
        fired(rule).map(|(from, to)| Action::UpdateService {
            service,
            name: name.to_owned(),
            from: TaskCount(from),
            to: TaskCount(to),
        })
    };
    let producers = tasks(&report.producers, Service::Producer, &seen.producer.name);
    let consumers = tasks(&report.consumers, Service::Consumer, &seen.consumer.name);
    Plan { actions: [shards, producers, consumers].into_iter().flatten().collect() }
}

fn is_active(seen: &Observation) -> bool {
    seen.stream.status.as_ref().is_some_and(|status| status.value == "ACTIVE")
}

/// What the lag says against going down.
fn behind(policy: &Policy, seen: &Observation) -> Option<Hold> {
    let objective = policy.consumer.lag_objective;
    match seen.load.lag.map(|lag| lag.value) {
        Some(lag) if lag > objective => Some(Hold::new(format!("consumers are {lag} behind, over {objective}"))),
        Some(_) => None,
        None => Some(Hold::new("never down on missing data: how far consumers are behind is not known")),
    }
}

fn input(name: &str, value: &dyn ToString) -> Input {
    Input { name: name.to_owned(), value: value.to_string() }
}
