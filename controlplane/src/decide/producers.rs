//! The producer rule: as many tasks as take what clients offer at the target use of CPU.

use jiff::Timestamp;

use super::{
    Input, RuleReport, Verdict,
    demand::known,
    history::Track,
    input,
    steer::{Hold, Holds, Steering, Wish},
    tasks::{self, Need, Tasks},
};
use crate::{observe::Observation, policy::Policy, units::TaskCount};

pub(super) fn rule(policy: &Policy, seen: &Observation, track: &mut Track, now: Timestamp) -> RuleReport {
    let mut inputs = Vec::new();
    let (verdict, counterfactual) = conclude(policy, seen, track, now, &mut inputs);
    RuleReport { verdict, inputs, counterfactual }
}

fn conclude(
    policy: &Policy,
    seen: &Observation,
    track: &mut Track,
    now: Timestamp,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<String>) {
    let Some(tasks) = Tasks::of(&seen.producer) else {
        return (Hold::new("the counts of the producer service are not known").verdict(), None);
    };
    inputs.push(input("tasks", &TaskCount(tasks.running)));
    let targets = needs(policy, seen, tasks, inputs);
    let bounds = policy.producer.min_tasks.0..=policy.producer.max_tasks.0;
    if targets.known.is_empty() && bounds.contains(&tasks.desired) {
        return (Hold::new("what the producers use is not known: no report and no metric has it").verdict(), None);
    }
    let wish = targets.wish(tasks);
    let blind =
        targets.missing.first().map(|name| Hold::new(format!("never down on missing data: {name} is not known")));
    let unsettled = tasks.unsettled();
    let holds = Holds { up: unsettled.iter().cloned().collect(), down: unsettled.into_iter().chain(blind).collect() };
    let rails = tasks::rails(&policy.guard, policy.producer.min_tasks, policy.producer.max_tasks);
    Steering { current: tasks.desired, wish, rails, holds, step: tasks::step, track, now }.steer()
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
    let wanted = &policy.producer;
    let mut targets = Targets::default();
    let cpu = seen.producer.cpu.filter(|_| known(seen.producer.cpu).is_some());
    targets.add(
        "their use of CPU",
        cpu.map(|cpu| {
            inputs.push(input("CPU", &cpu.value));
            let need = Need::by_use(tasks.running, cpu.value.0, wanted.target_cpu);
            let TaskCount(up) = TaskCount(need.up);
            (
                need,
                format!(
                    "{} use {} of their CPU; at {} they need {up}",
                    TaskCount(tasks.running),
                    cpu.value,
                    wanted.target_cpu
                ),
            )
        }),
    );
    if let Some(target) = wanted.target_records {
        let offered = seen.load.offered_records.filter(|_| known(seen.load.offered_records).is_some());
        targets.add(
            "the offered rate of records",
            offered.map(|offered| {
                inputs.push(input("offered records", &offered.value));
                let need = Need::within_tolerance(tasks.running, offered.value.0 / target.0.max(1.0));
                (need, format!("clients offer {}; at {target} a task that needs {}", offered.value, need.up))
            }),
        );
    }
    if let Some(target) = wanted.target_bytes {
        let offered = seen.load.offered_bytes.filter(|_| known(seen.load.offered_bytes).is_some());
        targets.add(
            "the offered rate of bytes",
            offered.map(|offered| {
                inputs.push(input("offered bytes", &offered.value));
                let need = Need::within_tolerance(tasks.running, offered.value.0 / target.0.max(1.0));
                (need, format!("clients offer {}; at {target} a task that needs {}", offered.value, need.up))
            }),
        );
    }
    targets
}
