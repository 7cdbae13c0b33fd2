//! The simulator agrees with localcloud: the same load on both leads to the same decisions.
//!
//! On localcloud runs a whole control plane: it elects itself, reads Kinesis, ECS, CloudWatch, DynamoDB and the tasks'
//! reports over HTTP, decides, and makes its calls. The load is written with PutRecords and read with GetRecords, and
//! both clocks are tokio's, which is paused: twenty minutes pass as fast as the work of them is done. What localcloud
//! leaves to others is the same on both sides: how fast a task processes, how long AWS takes for a reshard, and the size
//! of a record, which is small so that 1,000 of them fill a shard.

mod cloud;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "a world with other settings than the default")]
mod common;
mod consumers;
mod fleet;
#[path = "../common/in_process.rs"]
#[expect(dead_code, reason = "a control plane with an admin port of its own")]
mod in_process;
mod producers;
mod terms;

use controlplane::{
    decide::{Action, ActionResult, Service},
    policy::Policy,
    simulate::{CallKind, Demand, Scene, Weir},
};
use jiff::Timestamp;

use cloud::Cloud;
use terms::{POLICY, physics};

/// A call, and the tick in which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    tick: i64,
    call: CallKind,
    from: u32,
    to: u32,
}

const KINDS: [CallKind; 5] = [
    CallKind::UpdateShardCount,
    CallKind::SplitShard,
    CallKind::MergeShards,
    CallKind::UpdateProducerService,
    CallKind::UpdateConsumerService,
];

/// A load of so many full shards for so many minutes each.
fn demand(parts: &[(f64, usize)]) -> Demand {
    let shards: Vec<f64> = parts.iter().flat_map(|(shards, minutes)| vec![*shards; *minutes]).collect();
    Demand { start: Timestamp::UNIX_EPOCH, known: vec![true; shards.len()], shards }
}

fn on_the_simulator(demand: &Demand) -> Vec<Step> {
    let scene = Scene { physics: physics(), ..Scene::new(demand.clone()) };
    let timeline = scene.run(&mut Weir::new(Policy::parse(POLICY).unwrap()), 1);
    let calls = timeline.minutes.into_iter().flat_map(|minute| minute.actions);
    let step = |call: controlplane::simulate::Call| {
        assert_eq!(call.error, None, "{call:?}");
        Step { tick: tick(f64::from(call.at_s)), call: call.call, from: call.from, to: call.to }
    };
    calls.map(step).collect()
}

async fn on_localcloud(demand: &Demand) -> Vec<Step> {
    let cloud = Cloud::start().await;
    let began = cloud.play(demand).await;
    let decisions = cloud.table().decisions("weir", None, 1_000).await.unwrap();
    cloud.stop().await;
    let mut outcomes: Vec<_> = decisions.into_iter().flat_map(|decision| decision.outcomes).collect();
    outcomes.sort_by_key(|outcome| outcome.at);
    let step = |outcome: controlplane::decide::Outcome| {
        assert_eq!(outcome.result, ActionResult::Done, "{outcome:?}");
        let (from, to) = outcome.action.from_to();
        let passed = outcome.at.duration_since(began).as_secs_f64();
        Step { tick: tick(passed), call: kind(&outcome.action), from, to }
    };
    outcomes.into_iter().map(step).collect()
}

fn tick(second: f64) -> i64 {
    (second / f64::from(physics().tick_s)) as i64
}

fn kind(action: &Action) -> CallKind {
    match action {
        Action::UpdateShardCount { .. } => CallKind::UpdateShardCount,
        Action::SplitShard { .. } => CallKind::SplitShard,
        Action::MergeShards { .. } => CallKind::MergeShards,
        Action::UpdateStreamWarmThroughput { .. } => CallKind::UpdateStreamWarmThroughput,
        Action::UpdateService { service: Service::Producer, .. } => CallKind::UpdateProducerService,
        Action::UpdateService { service: Service::Consumer, .. } => CallKind::UpdateConsumerService,
    }
}

/// Each part of the pipeline sees the same calls in the same order, each within a tick of the other's.
fn agree(simulated: &[Step], local: &[Step]) -> bool {
    let of = |steps: &[Step], kind| steps.iter().filter(|step| step.call == kind).copied().collect::<Vec<_>>();
    KINDS.into_iter().all(|kind| {
        let (one, other) = (of(simulated, kind), of(local, kind));
        let alike = |one: &Step, other: &Step| {
            (one.from, one.to) == (other.from, other.to) && (one.tick - other.tick).abs() <= 1
        };
        one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| alike(one, other))
    })
}

async fn both_agree_on(demand: Demand, calls: &[CallKind]) {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: tasks report at loopback addresses of their own, which only Linux has");
        return;
    }
    let simulated = on_the_simulator(&demand);
    for wanted in calls {
        assert!(simulated.iter().any(|step| step.call == *wanted), "the load says nothing about {wanted:?}");
    }
    let local = on_localcloud(&demand).await;
    assert!(agree(&simulated, &local), "simulated: {simulated:#?}\non localcloud: {local:#?}");
}

/// A load, as all here, in which a second more or less in any delay moves no call by more than a tick: what is compared is the worlds,
/// and not on which side of a threshold the last digit falls.
#[tokio::test(start_paused = true)]
async fn a_step_up_and_a_fall_lead_to_the_same_calls_within_a_tick() {
    let calls = [CallKind::UpdateShardCount, CallKind::UpdateConsumerService];
    both_agree_on(demand(&[(0.8, 4), (2.2, 7), (0.4, 9)]), &calls).await;
}

#[tokio::test(start_paused = true)]
async fn stairs_lead_to_the_same_calls_within_a_tick() {
    let stairs = demand(&[(0.5, 5), (1.0, 4), (1.5, 4), (2.0, 4), (2.5, 3)]);
    both_agree_on(stairs, &[CallKind::UpdateShardCount, CallKind::UpdateConsumerService]).await;
}
