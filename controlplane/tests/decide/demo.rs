//! The README's load on a model of localcloud: 6,000 records of 500 bytes a second for three minutes, from one shard.
//!
//! Clients send what is due and make good what they could not send, up to what producers let through; averages tell of
//! the last ten seconds; resharding takes three.

use std::collections::VecDeque;

use controlplane::{
    decide::{Action, ActionResult, History, Outcome, Service, decide},
    policy::Policy,
};
use jiff::{SignedDuration, Timestamp};

use crate::scenario::World;

const TICK: usize = 2;
const AVERAGED: usize = 10;
const RESHARDING: usize = 3;
const LOAD_ENDS: usize = 180;
const RECORDS_PER_MIB: f64 = 1_048_576.0 / 500.0;
const LOAD: f64 = 6_000.0 / RECORDS_PER_MIB;
/// The most that was seen of this load's clients: 10,400 attempts a second.
const OFFERED_MAX: f64 = 10_400.0 / RECORDS_PER_MIB;

/// MiB of one second.
#[derive(Clone, Copy, Default)]
struct Second {
    offered: f64,
    accepted: f64,
    refused: f64,
}

struct Model {
    /// How much more clients offer than the shards take while these refuse, retries and what they make good, up to
    /// [`OFFERED_MAX`].
    eagerness: f64,
    world: World,
    resharding: Option<(usize, u32)>,
    debt: f64,
    seconds: VecDeque<Second>,
}

impl Model {
    fn new(eagerness: f64) -> Self {
        let world = World { shards: 1, lag_s: 0.5, producer_work: 0.3, consumer_work: 0.2, ..World::default() };
        Self { eagerness, world, resharding: None, debt: 0.0, seconds: VecDeque::from([Second::default(); AVERAGED]) }
    }

    fn pass(&mut self, second: usize) {
        if let Some((_, to)) = self.resharding.filter(|(done, _)| *done <= second) {
            (self.world.shards, self.resharding) = (to, None);
        }
        let due = self.debt + if second < LOAD_ENDS { LOAD } else { 0.0 };
        let taken = due.min(f64::from(self.world.shards));
        self.debt = due - taken;
        let throttled = self.debt > 0.0;
        let now = Second {
            offered: if throttled { due.min(taken * self.eagerness).min(OFFERED_MAX) } else { taken },
            accepted: taken,
            refused: if throttled { taken * 0.1 } else { 0.0 },
        };
        self.seconds.push_back(now);
        self.seconds.pop_front();
        self.show();
    }

    fn show(&mut self) {
        let mean = |of: fn(&Second) -> f64| self.seconds.iter().map(of).sum::<f64>() / AVERAGED as f64;
        let (offered, accepted, refused) = (mean(|one| one.offered), mean(|one| one.accepted), mean(|one| one.refused));
        // About 46 Kinesis records of aggregated user records make a MiB.
        let world = &mut self.world;
        (world.offered_mib, world.offered_records) = (offered, offered * RECORDS_PER_MIB);
        (world.incoming_mib, world.incoming_records) = (Some(accepted), Some(accepted * 46.0));
        (world.throttled, world.processed) = (refused * 46.0, Some(accepted * RECORDS_PER_MIB));
        world.status = if self.resharding.is_some() { "UPDATING" } else { "ACTIVE" }.to_owned();
    }

    fn apply(&mut self, second: usize, action: &Action) {
        match action {
            Action::UpdateShardCount { to, .. } => self.resharding = Some((second + RESHARDING, to.0)),
            Action::UpdateService { service, to, .. } => {
                *match service {
                    Service::Producer => &mut self.world.producers,
                    Service::Consumer => &mut self.world.consumers,
                } = to.0;
            }
            action => panic!("the demo has no reason for {action:?}"),
        }
    }
}

/// What was done to the shards, and the most producers there were.
struct Run {
    steps: Vec<(usize, u32, u32)>,
    producers: u32,
}

fn run(eagerness: f64) -> Run {
    let policy = Policy::parse(include_str!("../../examples/policy-demo.toml")).unwrap();
    let (mut model, mut history) = (Model::new(eagerness), History::default());
    let mut run = Run { steps: Vec::new(), producers: 0 };
    for second in 0..LOAD_ENDS + 240 {
        model.pass(second);
        if second % TICK > 0 {
            continue;
        }
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second as i64);
        let conclusion = decide(&policy, &model.world.observation(at), &history, at);
        history = conclusion.history;
        for action in conclusion.plan.actions {
            if let Action::UpdateShardCount { from, to, .. } = action {
                run.steps.push((second, from.0, to.0));
            }
            model.apply(second, &action);
            history.note(&Outcome { action, at, result: ActionResult::Done });
        }
        run.producers = run.producers.max(model.world.producers);
    }
    run
}

#[test]
fn the_demo_reaches_its_shards_in_few_calls_and_comes_back_to_one() {
    for eagerness in [1.0, 1.3, 1.7, 2.5] {
        let Run { steps, producers } = run(eagerness);
        let ups: Vec<_> = steps.iter().filter(|(_, from, to)| from < to).collect();
        let peak = ups.last().map(|(_, _, to)| *to);
        assert!(ups.len() <= 4, "{} calls up, {eagerness}: {steps:?}", ups.len());
        assert!(matches!(peak, Some(5 | 6)), "{peak:?} shards at last, {eagerness}: {steps:?}");
        assert!(steps.len() <= ups.len() + 3, "more than three calls down, {eagerness}: {steps:?}");
        assert_eq!(steps.last().map(|(_, _, to)| *to), Some(1), "{eagerness}: {steps:?}");
        assert!(steps.len() <= 8, "{} calls, {eagerness}: {steps:?}", steps.len());
        assert_eq!(producers, 2, "producers, {eagerness}: {steps:?}");
    }
}
