//! The producer rule: as many tasks as take what clients offer at the target use of CPU.
//!
//! While shards refuse writes clients try again, and tasks that only took more attempts would not help: then
//! only what is no retry asks for more tasks, while every attempt keeps those that there are.

use super::{
    Input, RuleReport, Tick, Verdict,
    demand::{self, known},
    floors::Floor,
    history::History,
    input,
    steer::{Hold, Steering, Wish},
    tasks::{self, Need, Tasks},
};
use crate::{
    policy::ProducerPolicy,
    units::{BytesPerSecond, Fraction, RecordsPerSecond, TaskCount},
};

/// Below this use of CPU what a task takes besides the load counts too much.
const TELLING_MIN: f64 = 0.1;

/// From this use on more may be offered than tasks get to.
const SATURATED: f64 = 0.95;

pub(super) fn rule(tick: &Tick<'_>, floor: Option<Floor>, history: &mut History) -> RuleReport {
    let mut inputs = Vec::new();
    let (verdict, counterfactual) = conclude(tick, floor, history, &mut inputs);
    RuleReport { verdict, inputs, counterfactual }
}

fn conclude(
    tick: &Tick<'_>,
    floor: Option<Floor>,
    history: &mut History,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<String>) {
    let Tick { policy, seen, now, .. } = *tick;
    if seen.producer.name.is_empty() {
        return (Verdict::NotApplicable { reason: "the pipeline has no producer service of ours".to_owned() }, None);
    }
    let Some(tasks) = Tasks::of(&seen.producer) else {
        return (Hold::new("the counts of the producer service are not known").verdict(), None);
    };
    inputs.push(input("tasks", &TaskCount(tasks.running)));
    let targets = needs(tick, tasks, history, inputs);
    let bounds = policy.producer.min_tasks.0..=policy.producer.max_tasks.0;
    if targets.known.is_empty() && bounds.contains(&tasks.desired) {
        return (Hold::new("what the producers use is not known: no report and no metric has it").verdict(), None);
    }
    history.memory.producers.look(tasks.desired, now);
    let (wish, urgent) = history.memory.producers.answer(targets.wish(tasks), &history.producers, inputs, now);
    let blind =
        targets.missing.first().map(|name| Hold::new(format!("never down on missing data: {name} is not known")));
    let mut holds = tasks::holds(tick, &seen.producer, tasks, &history.memory.producers);
    holds.down.extend(blind);
    let rails = tasks::rails(&policy.guard, policy.producer.min_tasks, policy.producer.max_tasks, floor);
    let (refused, track) = (history.producers.refused.clone(), &mut history.producers);
    let (current, step) = (tasks.desired, tasks::step);
    Steering { current, wish, rails, holds, step, scarce: false, refused, urgent, track, now }.steer()
}

/// What each target of the policy asks for.
#[derive(Default)]
struct Targets {
    known: Vec<(Need, String)>,
    missing: Vec<&'static str>,
}

impl Targets {
    fn add(&mut self, name: &'static str, need: Option<(Need, String)>) {
        match need {
            Some(need) => self.known.push(need),
            None => self.missing.push(name),
        }
    }

    /// The target that asks for most decides, and says why.
    fn wish(&self, tasks: Tasks) -> Wish {
        let most = self.known.iter().max_by_key(|(need, _)| (need.up, need.down));
        let Some((_, why)) = most else {
            return Wish {
                up: tasks.desired,
                down: tasks.desired,
                why: "what the producers use is not known".to_owned(),
            };
        };
        let Need { up, down } = self.known.iter().map(|(need, _)| *need).fold(Need { up: 0, down: 0 }, Need::max);
        Wish { up, down, why: why.clone() }
    }
}

fn needs(tick: &Tick<'_>, tasks: Tasks, history: &mut History, inputs: &mut Vec<Input>) -> Targets {
    let Tick { policy, seen, now, .. } = *tick;
    let ProducerPolicy { target_cpu, target_records, target_bytes, .. } = policy.producer;
    let mut targets = Targets::default();
    let flow = Flow::of(tick);
    let first = flow.map_or_else(|| demand::new(1.0, &seen.load, None), Flow::first);
    let cpu = known(tasks::since(seen.producer.cpu, &history.producers)).map(|used| {
        inputs.push(input("CPU", &Fraction(used)));
        history.producer_rate = flow.and_then(|flow| flow.rate(tasks, used)).or(history.producer_rate);
        let growth = if policy.stream.follow_time_of_day { history.memory.season.growth(now) } else { 1.0 };
        let used = tasks::smooth(used, tasks, &mut history.producers.cpu, now);
        by_cpu(tasks, used, growth, flow.zip(history.producer_rate), target_cpu)
    });
    targets.add("their use of CPU", cpu);
    let mut by_rate = |name, target: Option<f64>, offered: Option<f64>, show: fn(f64) -> String| {
        let Some(target) = target else { return };
        let need = offered.map(|offered| {
            inputs.push(input(name, &show(offered)));
            let need = |rate: f64| Need::within_tolerance(tasks.running, rate / target.max(1.0));
            let new = offered * first;
            let need = Need { up: need(new).up, down: need(offered).down };
            (need, format!("clients offer {}; at {} a task that needs {}", show(new), show(target), need.up))
        });
        targets.add(name, need);
    };
    let records = |rate| RecordsPerSecond(rate).to_string();
    by_rate("offered records", target_records.map(f64::from), known(seen.load.offered_records), records);
    let bytes = |rate| BytesPerSecond(rate).to_string();
    by_rate("offered bytes", target_bytes.map(f64::from), known(seen.load.offered_bytes), bytes);
    targets
}

/// What clients offer to the producers.
#[derive(Clone, Copy)]
struct Flow {
    /// User bytes per second, every attempt.
    offered: f64,
    /// What of it is offered for the first time.
    new: f64,
}

impl Flow {
    fn of(tick: &Tick<'_>) -> Option<Self> {
        let offered = known(tick.seen.load.offered_bytes)?;
        Some(Self { offered, new: demand::new(offered, &tick.seen.load, tick.held) })
    }

    /// Which share of what is offered is offered for the first time.
    fn first(self) -> f64 {
        if self.offered > 0.0 { self.new / self.offered } else { 1.0 }
    }

    /// What one task would take with all of its CPU, where its use is between idle and full.
    fn rate(self, tasks: Tasks, used: f64) -> Option<f64> {
        let telling = (TELLING_MIN..SATURATED).contains(&used) && tasks.desired == tasks.running && tasks.running > 0;
        telling.then(|| self.offered / (used * f64::from(tasks.running)))
    }
}

/// Tasks by their use of CPU, and where what a task takes is known, by what is offered to them: tasks without CPU left do
/// not show how many are missing.
fn by_cpu(tasks: Tasks, used: f64, growth: f64, known: Option<(Flow, f64)>, target: Fraction) -> (Need, String) {
    let (need, why) = tasks::by_cpu(tasks.running, used * growth, target);
    if used < SATURATED {
        return (need, why);
    }
    let enough = known.map_or_else(
        || tasks.running.saturating_mul(2),
        |(flow, rate)| demand::whole(flow.new * growth / (rate * target.0)),
    );
    let up = need.up.max(enough);
    (
        Need { up, down: need.down.max(up) },
        format!("{} have no CPU left; what is offered needs {up}", TaskCount(tasks.running)),
    )
}
