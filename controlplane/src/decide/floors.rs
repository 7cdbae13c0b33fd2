//! Schedules: floors for what is known beforehand, raised early enough for the steps up to end in time.

use jiff::Timestamp;

use super::{Input, RuleReport, Season, Tick, Verdict, after, input, tasks};
use crate::{
    policy::{Policy, Schedule},
    units::{Millis, ShardCount, TaskCount},
};

/// What one step of the shard count takes: "a few minutes", more for large streams (Kinesis API reference,
/// UpdateShardCount).
const SHARD_STEP: Millis = Millis(5 * 60_000);

/// What one step of a task count takes: the tasks start, and consumers take leases over (KCL: one to three minutes).
const TASK_STEP: Millis = Millis(3 * 60_000);

/// No count needs more doublings than its bits.
const STEPS_MAX: u32 = 32;

/// The lowest count that a schedule allows now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) count: u32,
    /// The schedule's name.
    pub(super) name: String,
}

/// The floors that hold now, each the highest of all schedules that are under way or soon will be.
#[derive(Debug, Clone, Default)]
pub(super) struct Floors {
    pub(super) shards: Option<Floor>,
    pub(super) producers: Option<Floor>,
    pub(super) consumers: Option<Floor>,
}

/// The floors, and where the policy has schedules, what they say.
pub(super) fn rule(tick: &Tick<'_>) -> (Floors, Option<RuleReport>) {
    let schedules = &tick.policy.schedules;
    let mut floors = Floors::default();
    let mut in_force = Vec::new();
    let mut next: Option<(Timestamp, &Schedule)> = None;
    for schedule in schedules {
        let end = schedule.current(tick.now);
        let begin = schedule.next(tick.now);
        if end.is_some() || begin.is_some_and(|begin| after(tick.now, lead(tick.policy, schedule)) >= begin) {
            floors.raise(schedule);
            in_force.push((end, begin, schedule));
        }
        next = next.into_iter().chain(begin.map(|begin| (begin, schedule))).min_by_key(|(begin, _)| *begin);
    }
    let report = || RuleReport { verdict: verdict(&in_force, next), inputs: inputs(&floors), counterfactual: None };
    let report = (!schedules.is_empty()).then(report);
    (floors, report)
}

impl Floors {
    /// Adds what the time of day asks for, and notes this tick's demand for days to come.
    pub(super) fn learn(&mut self, season: &mut Season, tick: &Tick<'_>) {
        if let Some(demand) = tick.demand {
            season.note(demand.shards, tick.now);
        }
        let learned = season.floor(tick.now);
        self.shards = self.shards.take().into_iter().chain(learned).max_by_key(|floor| floor.count);
    }

    fn raise(&mut self, schedule: &Schedule) {
        let higher = |floor: &mut Option<Floor>, count: Option<u32>| {
            if let Some(count) = count.filter(|count| floor.as_ref().is_none_or(|floor| floor.count < *count)) {
                *floor = Some(Floor { count, name: schedule.name.clone() });
            }
        };
        higher(&mut self.shards, schedule.min_shards.map(|count| count.0));
        higher(&mut self.producers, schedule.min_producers.map(|count| count.0));
        higher(&mut self.consumers, schedule.min_consumers.map(|count| count.0));
    }
}

/// How long before its begin a schedule counts: as long as the steps up from the policy's lowest counts take. Steps from
/// the counts of the moment would become fewer with each one, and the schedule would let go in between.
fn lead(policy: &Policy, schedule: &Schedule) -> Millis {
    let double = |current: u32, wanted: u32| wanted.min(current.saturating_mul(2));
    let Policy { stream, producer, consumer, .. } = policy;
    let shards = schedule.min_shards.map(|wanted| times(SHARD_STEP, steps(stream.min_shards.0, wanted.0, double)));
    let tasks = |wanted: Option<TaskCount>, lowest: TaskCount| {
        wanted.map(|wanted| times(TASK_STEP, steps(lowest.0, wanted.0, tasks::step)))
    };
    let producers = tasks(schedule.min_producers, producer.min_tasks);
    let consumers = tasks(schedule.min_consumers, consumer.min_tasks);
    [shards, producers, consumers].into_iter().flatten().max().unwrap_or_default()
}

/// How many steps lead from a count to the one that is wanted, one at least.
fn steps(lowest: u32, wanted: u32, step: fn(u32, u32) -> u32) -> u32 {
    let (mut current, mut steps) = (lowest.max(1), 0);
    while current < wanted && steps < STEPS_MAX {
        current = step(current, wanted);
        steps += 1;
    }
    steps.max(1)
}

fn times(span: Millis, count: u32) -> Millis {
    Millis(span.0 * u64::from(count))
}

type InForce<'a> = (Option<Timestamp>, Option<Timestamp>, &'a Schedule);

fn verdict(in_force: &[InForce<'_>], next: Option<(Timestamp, &Schedule)>) -> Verdict {
    let name = |schedule: &Schedule| format!("`{}`", schedule.name);
    match in_force {
        [] => Verdict::NotApplicable {
            reason: match next {
                Some((begin, schedule)) => format!("{} begins next, {begin:.0}", name(schedule)),
                None => "no schedule ever begins".to_owned(),
            },
        },
        [(None, begin, schedule)] => Verdict::Held {
            reason: format!("{} begins soon: its counts are raised before", name(schedule)),
            until: *begin,
        },
        several => Verdict::Held {
            reason: format!(
                "{} keeps counts up",
                several.iter().map(|(_, _, schedule)| name(schedule)).collect::<Vec<_>>().join(" and ")
            ),
            until: several.iter().filter_map(|(end, begin, _)| end.or(*begin)).min(),
        },
    }
}

fn inputs(floors: &Floors) -> Vec<Input> {
    let Floors { shards, producers, consumers } = floors;
    let shards = shards.as_ref().map(|floor| input("at least", &ShardCount(floor.count)));
    let tasks = [("producers at least", producers), ("consumers at least", consumers)];
    let tasks = tasks.into_iter().filter_map(|(name, floor)| Some(input(name, &TaskCount(floor.as_ref()?.count))));
    shards.into_iter().chain(tasks).collect()
}
