//! The optimum as a contender: it knows the load beforehand and makes the planned calls in time.

use jiff::Timestamp;

use super::{
    Contender, Metrics, Physics, Scene,
    optimum::{Limits, Optimum, Point, TaskLimits, TaskOptimum, frontier, optimum, tasks},
    world::duration,
};
use crate::{
    decide::{Action, ActionResult, Outcome, Service},
    observe::Observation,
    policy::Policy,
    units::{ShardCount, TaskCount},
};

/// The name in tables and JSON.
pub const NAME: &str = "optimum";

const MINUTE_S: u32 = 60;

/// The best plan for a scene.
#[derive(Debug, Clone)]
pub struct Clairvoyant {
    start: Timestamp,
    shards: Optimum,
    tasks: TaskOptimum,
    /// Calls of UpdateShardCount, the last first: the second of each and where it goes.
    calls: Vec<(u32, u32)>,
}

impl Clairvoyant {
    /// Plans for the load that `seed` gives, within the bounds of a policy and the limits of the world.
    #[must_use]
    pub fn plan(scene: &Scene, policy: &Policy, seed: u64) -> Self {
        let Scene { physics, demand, .. } = scene;
        let needs = needs(scene, seed);
        let limits = limits(physics, policy);
        let shards = optimum(&needs, &limits);
        let task_limits = TaskLimits {
            min: policy.consumer.min_tasks.0,
            max: policy.consumer.max_tasks.0,
            start_minutes: (physics.task_start_s[1] + physics.lease_handover_s).div_ceil(MINUTE_S) as usize,
        };
        let busy: Vec<_> =
            demand.shards.iter().zip(&shards.shards).map(|(load, shards)| task_need(physics, *load, *shards)).collect();
        let calls = calls(&shards, physics);
        Self { start: demand.start, tasks: tasks(&busy, task_limits), shards, calls }
    }

    /// Shard-hours of the plan.
    #[must_use]
    pub fn shard_hours(&self) -> f64 {
        self.shards.shard_hours()
    }

    /// Hours of consumer tasks of the plan.
    #[must_use]
    pub fn task_hours(&self) -> f64 {
        self.tasks.task_hours()
    }

    fn consumers(&self, seen: &Observation, minute: usize) -> Option<Action> {
        let to = TaskCount(*self.tasks.tasks.get(minute)?);
        let from = seen.consumer.desired?.value;
        let name = seen.consumer.name.clone();
        (to != from).then_some(Action::UpdateService { service: Service::Consumer, name, from, to })
    }

    /// The call that is due. It is made until AWS takes it: the one before may still be under way.
    fn reshard(&self, seen: &Observation, second: u32) -> Option<Action> {
        let (_, to) = *self.calls.last().filter(|(at, _)| *at <= second)?;
        let from = seen.stream.open_shards?.value;
        Some(Action::UpdateShardCount { stream: seen.stream.name.clone(), from, to: ShardCount(to) })
    }
}

/// What policies of a simple family need and throttle in a scene, who know no more of the load than Weir does.
#[must_use]
pub fn same_information(scene: &Scene, policy: &Policy, seed: u64) -> Vec<Point> {
    let Scene { physics, demand, .. } = scene;
    let seconds: Vec<_> =
        (0..).zip(&demand.shards).map(|(minute, mean)| physics.seconds(seed, minute, *mean)).collect();
    frontier(demand, &seconds, physics.shard_burst_s, &limits(physics, policy))
}

fn limits(physics: &Physics, policy: &Policy) -> Limits {
    Limits {
        min: policy.stream.min_shards.0,
        max: policy.stream.max_shards.0,
        start: physics.shards_at_start,
        calls: physics.daily_reshards,
        // It looks only every so often.
        reshard_s: [
            physics.reshard_base_s + f64::from(physics.tick_s),
            physics.reshard_round_s,
            physics.reshard_operation_s[1],
        ],
        ..Limits::default()
    }
}

/// When to call so that more shards are there in the planned minute, whatever AWS draws, and fewer not before it.
fn calls(plan: &Optimum, physics: &Physics) -> Vec<(u32, u32)> {
    let mut from = physics.shards_at_start;
    let mut calls = Vec::with_capacity(plan.calls.len());
    for (minute, to) in &plan.calls {
        let opened = plan.shards[*minute..].iter().position(|open| open == to).unwrap_or_default();
        let [least, most] = duration(from, *to, physics);
        let done = (*minute + opened) as u32 * MINUTE_S;
        let before = if *to > from { most.ceil() as u32 + physics.tick_s } else { least as u32 };
        calls.push((done.saturating_sub(before), *to));
        from = *to;
    }
    calls.reverse();
    calls
}

impl Contender for Clairvoyant {
    fn name(&self) -> &str {
        NAME
    }

    fn tick(&mut self, seen: &Observation, _metrics: &Metrics, now: Timestamp) -> Vec<Action> {
        let passed = u32::try_from(now.duration_since(self.start).as_secs()).unwrap_or_default();
        // The last look of a minute acts for the next.
        let minute = ((passed + 1) / MINUTE_S) as usize;
        let producers = producers(seen);
        self.reshard(seen, passed).into_iter().chain(self.consumers(seen, minute)).chain(producers).collect()
    }

    fn note(&mut self, outcome: &Outcome) {
        if matches!((&outcome.action, &outcome.result), (Action::UpdateShardCount { .. }, ActionResult::Done)) {
            self.calls.pop();
        }
    }
}

/// Producers are not what the optimum is about: it has plenty.
fn producers(seen: &Observation) -> Option<Action> {
    const PLENTY: TaskCount = TaskCount(8);
    let from = seen.producer.desired?.value;
    let name = seen.producer.name.clone();
    (from != PLENTY).then_some(Action::UpdateService { service: Service::Producer, name, from, to: PLENTY })
}

/// The fewest evenly used shards that take every second of each minute.
fn needs(scene: &Scene, seed: u64) -> Vec<u32> {
    let Scene { physics, demand, .. } = scene;
    let whole = |(minute, mean): (u32, &f64)| {
        let seconds = physics.seconds(seed, minute, *mean);
        // What rounding adds does not need another shard.
        ((rate(&seconds, physics.shard_burst_s) - 1e-6).ceil() as u32).max(1)
    };
    (0..).zip(&demand.shards).map(whole).collect()
}

/// The least rate at which a bucket that holds `burst_s` seconds of it never runs dry: over each run of seconds, what comes
/// in it over what it takes.
fn rate(seconds: &[f64], burst_s: f64) -> f64 {
    let mut most = 0.0_f64;
    for first in 0..seconds.len() {
        let mut sum = 0.0;
        for (length, load) in seconds[first..].iter().enumerate() {
            sum += load;
            most = most.max(sum / (length as f64 + 1.0 + burst_s));
        }
    }
    most
}

/// The fewest tasks of which none has more to do than it can, when leases are whole.
fn task_need(physics: &Physics, load: f64, shards: u32) -> u32 {
    let task = physics.in_shards(physics.consumer_task_mib);
    let lease = load / f64::from(shards.max(1));
    let leases = if lease > 0.0 { ((task / lease + 1e-9) as u32).max(1) } else { shards.max(1) };
    shards.div_ceil(leases).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_a_second_is_taken_from_the_bucket_and_a_longer_one_is_not() {
        assert_eq!(rate(&[0.0, 2.0, 0.0], 1.0), 1.0);
        assert_eq!(rate(&[0.0, 2.0, 0.0], 0.0), 2.0);
        assert_eq!(rate(&[2.0; 9], 1.0), 1.8);
    }

    #[test]
    fn tasks_share_whole_leases() {
        let physics = Physics::default();
        let need = |load, shards| task_need(&physics, load, shards);
        assert_eq!([need(0.0, 4), need(8.0, 8), need(9.0, 8), need(12.0, 12)], [1, 4, 8, 6]);
    }
}
