//! The producer rule: as many tasks as take what clients offer at the target use of CPU.
//!
//! While shards refuse writes clients try again, and tasks that only took more attempts would not help: then
//! only what is no retry asks for more tasks, while every attempt keeps those that there are.

use super::{
    Input, RuleReport, Tick, Verdict,
    demand::{attempts, known},
    floors::Floor,
    history::History,
    input,
    steer::{Hold, Steering, Wish},
    tasks::{self, Need, Tasks},
};
use crate::{
    observe::Observation,
    policy::{Policy, ProducerPolicy},
    units::{BytesPerSecond, Fraction, RecordsPerSecond, TaskCount},
};

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
    let Tick { policy, seen, now } = *tick;
    if seen.producer.name.is_empty() {
        return (Verdict::NotApplicable { reason: "the pipeline has no producer service of ours".to_owned() }, None);
    }
    let Some(tasks) = Tasks::of(&seen.producer) else {
        return (Hold::new("the counts of the producer service are not known").verdict(), None);
    };
    inputs.push(input("tasks", &TaskCount(tasks.running)));
    let targets = needs(policy, seen, tasks, inputs);
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

fn needs(policy: &Policy, seen: &Observation, tasks: Tasks, inputs: &mut Vec<Input>) -> Targets {
    let ProducerPolicy { target_cpu, target_records, target_bytes, .. } = policy.producer;
    let mut targets = Targets::default();
    let cpu = known(seen.producer.cpu).map(|used| {
        inputs.push(input("CPU", &Fraction(used)));
        tasks::by_cpu(tasks.running, used, target_cpu)
    });
    targets.add("their use of CPU", cpu);
    let attempts = attempts(&seen.load);
    let mut by_rate = |name, target: Option<f64>, offered: Option<f64>, show: fn(f64) -> String| {
        let Some(target) = target else { return };
        let need = offered.map(|offered| {
            inputs.push(input(name, &show(offered)));
            let need = |rate: f64| Need::within_tolerance(tasks.running, rate / target.max(1.0));
            let new = offered / attempts;
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
