//! Whole control planes on localcloud.

mod common;
#[path = "common/in_process.rs"]
mod in_process;
#[path = "common/ledger.rs"]
mod ledger;
#[path = "common/within.rs"]
mod within;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{CONTROL_TABLE, World, create_table};
use controlplane::{
    decide::{Action, ActionResult},
    record::{ConditionKind, Pause, PauseScope, Status, Table},
    units::ShardCount,
};
use in_process::Controlplane;
use jiff::Timestamp;
use ledger::ledger;
use tokio::time::Instant;
use within::within;

/// The longest that anything here may take: a takeover after a release is one look, two seconds.
const PATIENCE: Duration = Duration::from_secs(20);

const TICK: Duration = Duration::from_millis(200);

const AT: Timestamp = Timestamp::UNIX_EPOCH;

async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

async fn status(table: &Table, wanted: impl Fn(&Status) -> bool) -> Option<Status> {
    table.status("weir").await.unwrap().filter(|status| wanted(status))
}

/// Writes a policy with an error past every check, as an older or a foreign program could.
async fn break_policy(world: &World) {
    let s = |value: &str| AttributeValue::S(value.to_owned());
    let put = aws_sdk_dynamodb::Client::new(&world.config).put_item().table_name(CONTROL_TABLE);
    let put = put.item("pk", s("pipeline#weir")).item("sk", s("policy")).item("text", s("version = 7"));
    let put = put.item("generation", AttributeValue::N("2".to_owned())).item("applied_by", s("eve"));
    put.item("applied_at", s("1970-01-01T00:00:00Z")).send().await.unwrap();
}

#[tokio::test]
async fn of_two_control_planes_one_acts_and_the_other_takes_over_after_a_release() {
    let world = World::start().await;
    let table = world.table();
    let first = Controlplane::start(world.config.clone(), TICK);
    let leading = until("a first status", || status(&table, |_| true)).await;
    assert_eq!(leading.epoch, 1);
    let second = Controlplane::start(world.config.clone(), TICK);
    let later = until("ten more ticks", || {
        status(&table, |status| status.heartbeat_at > leading.heartbeat_at + Duration::from_secs(2))
    })
    .await;
    assert_eq!((later.epoch, &later.leader), (1, &leading.leader));

    first.stop().await;
    let released = Instant::now();
    let taken = until("a takeover", || status(&table, |status| status.epoch == 2)).await;
    assert_ne!(taken.leader, leading.leader);
    assert!(Instant::now() - released < Duration::from_secs(4), "a released lead is taken at the next look");
    second.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_world_that_cannot_be_read_is_degraded_and_nothing_is_done() {
    let world = World::start().await;
    let table = world.table();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let status = until("a status", || status(&table, |_| true)).await;
    assert!(status.observation.blind_spots.iter().any(|line| line.contains("stream")), "{status:?}");
    insta::assert_snapshot!(status.observation.blind_spots.join("\n"));
    let decisions = table.decisions("weir", None, 10).await.unwrap();
    assert!(decisions.iter().all(|decision| decision.plan.actions.is_empty()), "{decisions:?}");
    assert_eq!(decisions.len(), 1, "an idle tick is not stored");
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_changed_policy_is_in_force_within_a_tick_and_a_broken_one_is_not() {
    let world = World::start().await;
    let table = world.table();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    table.apply_policy("weir", "version = 1", 0, "ann", AT).await.unwrap();
    until("the policy", || status(&table, |status| status.observed_generation == 1)).await;
    break_policy(&world).await;
    let broken = until("the complaint", || {
        status(&table, |status| status.conditions.iter().any(|condition| condition.reason == "PolicyInvalid"))
    })
    .await;
    assert_eq!(broken.observed_generation, 1, "the last good policy stays in force");
    table.apply_policy("weir", "version = 1", 2, "ann", AT).await.unwrap();
    until("the cure", || status(&table, |status| status.observed_generation == 3)).await;
    controlplane.stop().await;
    world.stop().await;
}

/// A stream of one shard and an empty lease table.
async fn stream(world: &World) -> aws_sdk_kinesis::Client {
    create_table(&world.config, "weir-consumer", &["leaseKey"]).await;
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    kinesis.create_stream().stream_name("weir").shard_count(1).send().await.unwrap();
    kinesis
}

async fn open_shards(kinesis: &aws_sdk_kinesis::Client) -> i32 {
    let summary = kinesis.describe_stream_summary().stream_name("weir").send().await.unwrap();
    summary.stream_description_summary.unwrap().open_shard_count
}

async fn has_shards(kinesis: &aws_sdk_kinesis::Client, count: i32) -> Option<()> {
    (open_shards(kinesis).await == count).then_some(())
}

#[tokio::test]
async fn a_stream_below_the_minimum_is_resharded_once_and_the_decision_tells_of_it() {
    let world = World::start().await;
    let (table, kinesis) = (world.table(), stream(&world).await);
    table.apply_policy("weir", "version = 1\n[stream]\nmin_shards = 2", 0, "ann", AT).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    until("a second shard", || has_shards(&kinesis, 2)).await;
    let settled = until("the end of the reshard", || {
        status(&table, |status| status.observation.stream.open_shards.is_some_and(|open| open.value == ShardCount(2)))
    })
    .await;
    assert_eq!(settled.epoch, 1);

    let decisions = table.decisions("weir", None, 100).await.unwrap();
    let outcomes: Vec<_> = decisions.iter().flat_map(|decision| &decision.outcomes).collect();
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    assert_eq!(outcomes[0].result, ActionResult::Done);
    let action = Action::UpdateShardCount { stream: "weir".into(), from: ShardCount(1), to: ShardCount(2) };
    assert_eq!(outcomes[0].action, action);
    assert_eq!(ledger(&world).await, ["done"]);
    let events = table.events("weir", 100).await.unwrap();
    let scaling = events.iter().rev().filter(|event| event.condition == ConditionKind::Scaling);
    let scaling: Vec<_> = scaling.map(|event| (event.status, event.reason.as_str())).collect();
    assert_eq!(scaling.first(), Some(&(true, "Changed")), "{events:#?}");
    assert!(scaling.windows(2).all(|pair| pair[0].0 != pair[1].0), "each change once: {scaling:?}");
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_pause_holds_every_change_and_lifting_it_lets_them_go_on() {
    let world = World::start().await;
    let (table, kinesis) = (world.table(), stream(&world).await);
    let pause = Pause { scope: PauseScope::All, until: None, reason: "launch day".into(), by: "ann".into(), at: AT };
    table.set_pause("weir", &pause).await.unwrap();
    table.apply_policy("weir", "version = 1\n[stream]\nmin_shards = 2", 0, "ann", AT).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let held = until("a skipped action", || {
        status(&table, |status| status.last_decision.as_ref().is_some_and(|decision| !decision.outcomes.is_empty()))
    })
    .await;
    let reason = "scaling is paused by ann: launch day".to_owned();
    assert_eq!(held.last_decision.unwrap().outcomes[0].result, ActionResult::Skipped { reason });
    assert!(held.conditions.iter().any(|condition| condition.kind == ConditionKind::Paused && condition.status));
    assert_eq!(ledger(&world).await, [""; 0]);
    assert_eq!(open_shards(&kinesis).await, 1);

    table.resume("weir").await.unwrap();
    until("a second shard", || has_shards(&kinesis, 2)).await;
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_dry_run_decides_and_changes_nothing() {
    let world = World::start().await;
    let (table, kinesis) = (world.table(), stream(&world).await);
    let policy = "version = 1\n[stream]\nmin_shards = 2\n[guard]\ndry_run = true";
    table.apply_policy("weir", policy, 0, "ann", AT).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let first = until("a decision", || {
        status(&table, |status| status.last_decision.as_ref().is_some_and(|decision| !decision.outcomes.is_empty()))
    })
    .await;
    until("five more ticks", || {
        status(&table, |status| status.heartbeat_at > first.heartbeat_at + Duration::from_secs(1))
    })
    .await;
    let told = table.decisions("weir", None, 100).await.unwrap();
    assert_eq!(told.iter().filter(|decision| !decision.outcomes.is_empty()).count(), 1, "told once, not each tick");
    assert_eq!(open_shards(&kinesis).await, 1);
    controlplane.stop().await;
    world.stop().await;
}
