//! (Policy, Observation, History, now) -> Decision. Pure: no clock, no randomness, no AWS.

mod clients;
mod cold_merge;
mod consumers;
mod decision;
mod demand;
mod drift;
mod effect;
mod evidence;
mod floors;
mod history;
mod holds;
mod hot_shard;
mod layout;
mod level;
mod memory;
mod producers;
mod season;
mod shards;
mod steer;
mod tasks;
mod warm;

pub use clients::Clients;
pub use decision::{
    Action, ActionResult, Decision, Input, Outcome, Plan, Report, RuleReport, Service, VERSION, Verdict,
};
pub(crate) use demand::{is_throttled, throttled_share};
pub use drift::{Before, Drift, Owned};
pub use effect::{Effect, Trial};
pub use evidence::{ColdPair, Heat};
pub use history::{Asked, History, Refusal, Track, after, elapsed};
pub use level::Level;
pub use memory::{Memory, Split};
pub use season::Season;

use jiff::Timestamp;

use crate::{observe::Observation, policy::Policy, units::TaskCount};
use clients::Held;
use demand::Demand;

/// What one tick concludes, and what the next one must remember.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    pub plan: Plan,
    pub report: Report,
    pub history: History,
}

/// What one tick looks at.
#[derive(Clone, Copy)]
struct Tick<'a> {
    policy: &'a Policy,
    seen: &'a Observation,
    now: Timestamp,
    /// What the stream is asked to take; nothing when that is not known.
    demand: Option<Demand>,
    /// What waits outside of the stream; nothing where producers do not tell.
    held: Option<Held>,
}

/// What a rule that changes the stream concludes.
struct Ruled {
    report: RuleReport,
    action: Option<Action>,
}

/// Decides what to do about one pipeline.
///
/// Shards come before tasks: consumers are capped by the leases that exist, and go down only when no shard is changing
/// and every closed shard is read to its end. A tick changes a stream once at most: the count first, then a hot shard,
/// then cold ones.
pub fn decide(policy: &Policy, seen: &Observation, history: &History, now: Timestamp) -> Conclusion {
    let mut history = history.clone();
    history.tick(now);
    let held = history.clients.note(&seen.load, now);
    let demand = history.demand(&seen.load, held, now);
    let tick = &Tick { policy, seen, now, demand, held };
    history.reshards = history.reshards_before(now);
    history.memory.forget(&seen.load, now);
    let (mut floors, schedule) = floors::rule(tick);
    if policy.stream.follow_time_of_day {
        floors.learn(&mut history.memory.season, tick);
    }
    let lowest = floors.shards.as_ref().map_or(0, |floor| floor.count).max(policy.stream.min_shards.0);
    let hot = hot_shard::find(tick);
    let shards = shards::rule(tick, &hot, floors.shards, &mut history);
    let resharding = shards.action.is_some();
    let hot_shard = hot_shard::rule(tick, resharding, &hot, &mut history);
    let resharding = resharding || hot_shard.action.is_some();
    let cold_merge = cold_merge::rule(tick, resharding, lowest, &mut history);
    let resharding = resharding || cold_merge.action.is_some() || !is_active(seen);
    let warm = warm::rule(tick, &mut history);
    let producers = producers::rule(tick, floors.producers, &mut history);
    let consumers = consumers::rule(tick, resharding, &hot, floors.consumers, &mut history);
    let tasks = [
        tasks(&producers, Service::Producer, &seen.producer.name),
        tasks(&consumers, Service::Consumer, &seen.consumer.name),
    ];
    let (warm, warmed) = warm.map_or((None, None), |warm| (Some(warm.report), warm.action));
    let stream = [shards.action, hot_shard.action, cold_merge.action, warmed];
    let report = Report {
        shards: shards.report,
        producers,
        consumers,
        hot_shard: Some(hot_shard.report),
        cold_merge: Some(cold_merge.report),
        warm,
        schedule,
        freeze: holds::freeze_rule(tick),
    };
    Conclusion { plan: Plan { actions: stream.into_iter().chain(tasks).flatten().collect() }, report, history }
}

fn tasks(rule: &RuleReport, service: Service, name: &str) -> Option<Action> {
    let Verdict::Fired { from, to, .. } = rule.verdict else { return None };
    Some(Action::UpdateService { service, name: name.to_owned(), from: TaskCount(from), to: TaskCount(to) })
}

fn is_active(seen: &Observation) -> bool {
    seen.stream.status.as_ref().is_some_and(|status| status.value == "ACTIVE")
}

fn input(name: &str, value: &dyn ToString) -> Input {
    Input { name: name.to_owned(), value: value.to_string() }
}
