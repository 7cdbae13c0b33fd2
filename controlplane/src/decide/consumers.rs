//! The consumer rule: as many tasks as process what comes in and drain what waits, but never more than can find work.

use super::{
    Input, RuleReport, Tick, Verdict,
    demand::{known, whole},
    effect::Sight,
    floors::Floor,
    history::History,
    holds, input,
    steer::{Hold, Steering, Wish},
    tasks::{self, Need, Tasks},
};
use crate::{
    observe::{Observation, Reading, ShardLoad},
    policy::ConsumerPolicy,
    units::{Fraction, Millis, RecordsPerSecond, TaskCount},
};

/// What a division of whole leases may lose.
const ROUNDING: f64 = 1e-9;

/// Below this busy share a processing rate says nothing about what a task could do.
const BUSY_MIN: f64 = 0.02;

/// Consumers that are behind although neither busy nor short of CPU wait for reads: more tasks read more at once.
const WAITING_GROWTH: f64 = 1.5;

/// The rule. `resharding` says that the stream is changing, `hot` are the shards that are hot alone.
pub(super) fn rule(
    tick: &Tick<'_>,
    resharding: bool,
    hot: &[&ShardLoad],
    floor: Option<Floor>,
    history: &mut History,
) -> RuleReport {
    let mut inputs = Vec::new();
    let (verdict, counterfactual) = conclude(tick, resharding, hot, floor, history, &mut inputs);
    RuleReport { verdict, inputs, counterfactual }
}

fn conclude(
    tick: &Tick<'_>,
    resharding: bool,
    hot: &[&ShardLoad],
    floor: Option<Floor>,
    history: &mut History,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<String>) {
    let Tick { policy, seen, now, .. } = *tick;
    if seen.consumer.name.is_empty() {
        return (Verdict::NotApplicable { reason: "the pipeline has no consumer service of ours".to_owned() }, None);
    }
    let Some(tasks) = Tasks::of(&seen.consumer) else {
        return (Hold::new("the counts of the consumer service are not known").verdict(), None);
    };
    inputs.push(input("tasks", &TaskCount(tasks.running)));
    let mut model = Model::of(&policy.consumer, seen, tasks, inputs);
    model.cpu = known(tasks::since(seen.consumer.cpu, &history.consumers));
    model.behind = tasks::since(seen.load.lag, &history.consumers).map(|lag| lag.value);
    if policy.stream.follow_time_of_day {
        model.growth = history.memory.season.growth(now);
    }
    let bounds = policy.consumer.min_tasks.0..=policy.consumer.max_tasks.0;
    if model.is_blind() && bounds.contains(&tasks.desired) {
        let reason = "what the consumers do is not known: no report and no metric has it";
        return (Hold::new(reason).verdict(), None);
    }
    model.work = model.work_now().map(|work| history.consumers.load.note(work, now));
    model.cpu = model.cpu.map(|used| tasks::smooth(used, tasks, &mut history.consumers.cpu, now));
    let (wish, idle) = model.wish(&policy.consumer);
    history.memory.consumers.look(tasks.desired, now);
    let (wish, urgent) = history.memory.consumers.answer(wish, &history.consumers, inputs, now);
    let sight = model.sight(policy.consumer.lag_objective);
    history.consumers.effect.look(sight, now);
    let mut holds = tasks::holds(tick, &seen.consumer, tasks, &history.memory.consumers);
    holds.up.extend(history.consumers.effect.hold(&cause(hot)));
    holds.down.extend(against_down(tick, &model, resharding));
    let rails = tasks::rails(&policy.guard, policy.consumer.min_tasks, policy.consumer.max_tasks, floor);
    let (refused, track) = (history.consumers.refused.clone(), &mut history.consumers);
    let (current, step) = (tasks.desired, tasks::step);
    let (verdict, bound) =
        Steering { current, wish, rails, holds, step, scarce: false, refused, urgent, track, now }.steer();
    if let Verdict::Fired { from, to, .. } = verdict {
        history.consumers.effect.begin(from, to, sight, now);
    }
    (verdict, bound.or(idle))
}

/// What more tasks cannot change.
fn cause(hot: &[&ShardLoad]) -> String {
    match hot.first() {
        Some(shard) => format!("{} is hot, and one task at a time reads it", shard.shard_id),
        None => "what the processor waits for may be the limit".to_owned(),
    }
}

/// What is known about the consumers.
struct Model {
    tasks: Tasks,
    busy: Option<f64>,
    cpu: Option<f64>,
    lag: Option<Millis>,
    /// The lag where it was seen since the last change.
    behind: Option<Millis>,
    /// User records per second that should be processed: what is offered, and what waits over the drain time. Where the
    /// producers are not ours, what is processed stands for what is offered: CloudWatch counts aggregated records.
    required: Option<f64>,
    /// How many times as much the time of day lets expect soon.
    growth: f64,
    processed: Option<f64>,
    leases: Option<u32>,
    /// What all leases together keep busy, in tasks, over the last minute.
    work: Option<f64>,
}

impl Model {
    fn of(policy: &ConsumerPolicy, seen: &Observation, tasks: Tasks, inputs: &mut Vec<Input>) -> Self {
        let load = &seen.load;
        let processed = known(load.processed_records);
        let offered = known(load.offered_records).or(processed);
        let drain = known(load.backlog).map_or(0.0, |backlog| backlog * 1e3 / policy.drain_time.0.max(1) as f64);
        let leases = load.processable_leases.or(seen.stream.open_shards).map(|leases| leases.value);
        let shown = [
            load.processed_records.map(|rate| input("processed", &rate.value)),
            offered.map(|rate| input("to process", &RecordsPerSecond(rate + drain))),
            load.backlog.map(|backlog| input("backlog", &backlog.value)),
            load.consumer_busy.map(|busy| input("busy", &busy.value)),
            seen.consumer.cpu.map(|cpu| input("CPU", &cpu.value)),
            load.lag.map(|lag| input("lag", &lag.value)),
            Some(input("lag objective", &policy.lag_objective)),
            leases.map(|leases| input("leases", &leases.0)),
        ];
        inputs.extend(shown.into_iter().flatten());
        Self {
            tasks,
            busy: known(load.consumer_busy),
            cpu: known(seen.consumer.cpu),
            lag: load.lag.map(|lag| lag.value),
            behind: None,
            required: offered.map(|rate| rate + drain),
            growth: 1.0,
            processed,
            leases: leases.map(|leases| leases.0),
            work: None,
        }
    }

    fn is_blind(&self) -> bool {
        self.busy.is_none() && self.cpu.is_none() && self.lag.is_none()
    }

    fn sight(&self, objective: Millis) -> Sight {
        let Tasks { desired, running } = self.tasks;
        Sight {
            count: running,
            rate: self.processed.unwrap_or_default(),
            short: self.processed.is_some() && self.lag.is_some_and(|lag| lag > objective),
            settled: desired == running,
        }
    }

    /// The wish, and what it would have been without the leases' cap.
    fn wish(&self, policy: &ConsumerPolicy) -> (Wish, Option<String>) {
        let (need, why) = self.need(policy);
        let Some(leases) = self.leases else { return (Wish { up: need.up, down: need.down, why }, None) };
        let spread = leases.div_ceil(policy.max_leases_per_task);
        let why = if spread > need.up {
            format!("{leases} leases at {} a task need {spread}", policy.max_leases_per_task)
        } else {
            why
        };
        let (up, down) = (need.up.min(leases.max(1)).max(spread), need.down.min(leases.max(1)).max(spread));
        let idle = (need.up > leases.max(1)).then(|| {
            format!("would have gone to {} with more shards: {leases} leases keep {leases} tasks at work", need.up)
        });
        (Wish { up, down, why }, idle)
    }

    /// By busy time, by CPU, by lag: whichever asks for most says why.
    fn need(&self, policy: &ConsumerPolicy) -> (Need, String) {
        let running = self.tasks.running;
        let tasks = TaskCount(running);
        let mut needs = Vec::new();
        if let Some((need, busy)) = self.by_rate(policy.target_busy).zip(self.busy) {
            let flow = self.required.map(|rate| format!(" for {}", RecordsPerSecond(rate))).unwrap_or_default();
            let (busy, target) = (Fraction(busy), policy.target_busy);
            needs.push((need, format!("{busy} busy with {tasks}; {target} busy{flow} needs {}", need.up)));
        }
        if let Some(cpu) = self.cpu {
            let (need, why) = tasks::by_cpu(running, cpu, policy.target_cpu);
            needs.push((Need { up: self.aligned(need.up), down: self.aligned(need.down) }, why));
        }
        if let Some(lag) = self.behind.filter(|lag| *lag > policy.lag_objective) {
            let up = self.aligned(whole(f64::from(running) * WAITING_GROWTH).max(running + 1));
            needs.push((
                Need { up, down: up },
                format!("{lag} behind is over the objective of {}", policy.lag_objective),
            ));
        }
        let fallback = (Need { up: running, down: running }, format!("{tasks} with nothing to measure them by"));
        needs.into_iter().reduce(|most, next| if next.0.up > most.0.up { next } else { most }).unwrap_or(fallback)
    }

    /// DS2's model: tasks so that the required rate keeps each busy for the target share of its time, where a task's true
    /// rate is what it processes per busy second. Leases are whole, so it is the task with most of them that must keep up.
    fn by_rate(&self, target: Fraction) -> Option<Need> {
        let running = self.tasks.running;
        let work = self.work? * self.growth;
        let Some(leases) = self.leases.filter(|leases| *leases > 0 && running > 0) else {
            return Some(Need::within_tolerance(running, work / target.0));
        };
        let enough = shared(work / f64::from(leases), leases, target.0);
        let busiest = work / f64::from(leases) * f64::from(leases.div_ceil(running));
        let busy_enough = busiest <= target.0 * (1.0 + tasks::TOLERANCE);
        Some(Need { up: if busy_enough { enough.min(running) } else { enough }, down: enough })
    }

    /// The fewest tasks of which none has more than its share of the leases when there are so many.
    fn aligned(&self, wanted: u32) -> u32 {
        match self.leases {
            Some(leases) if wanted < leases => leases.div_ceil((leases / wanted.max(1)).max(1)),
            _ => wanted,
        }
    }

    /// The same from this tick's reading alone.
    fn work_now(&self) -> Option<f64> {
        let running = self.tasks.running;
        let busy = self.busy?;
        let growth = match (self.required, self.processed) {
            (Some(required), Some(processed)) if processed > 0.0 && busy > BUSY_MIN => required / processed,
            _ => 1.0,
        };
        let share = match self.leases.filter(|leases| *leases > 0 && running > 0) {
            Some(leases) => f64::from(leases) / f64::from(leases.div_ceil(running)),
            None => f64::from(running),
        };
        Some(busy * growth * share)
    }
}

/// The fewest tasks among which no one is busier than `target`, when each lease keeps a task busy for `lease` of its time:
/// with 10 leases, 6 to 9 tasks would leave one with 2, as 5 tasks do.
fn shared(lease: f64, leases: u32, target: f64) -> u32 {
    let each = if lease > 0.0 { (target / lease + ROUNDING) as u32 } else { leases };
    match each.min(leases) {
        0 => whole(f64::from(leases) * lease / target),
        each => leases.div_ceil(each),
    }
}

fn against_down(tick: &Tick<'_>, model: &Model, resharding: bool) -> Vec<Hold> {
    let seen = tick.seen;
    let unknown = |name: &str| Hold::new(format!("never down on missing data: {name} is not known"));
    let parents = match seen.stream.undrained_parents.map(|Reading { value, .. }| value.0) {
        Some(0) => None,
        Some(parents) => Some(Hold::new(format!("{parents} closed shards are not read to their end"))),
        None => Some(unknown("whether closed shards are read to their end")),
    };
    let holds = [
        resharding.then(|| Hold::new("the stream is being resharded")),
        holds::behind(tick),
        parents,
        (model.busy.is_none() && model.cpu.is_none()).then(|| unknown("what the consumers use")),
        model.leases.is_none().then(|| unknown("the number of leases")),
    ];
    holds.into_iter().flatten().collect()
}
