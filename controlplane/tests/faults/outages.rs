//! The control table or half of AWS is away for a while (F4, F6, F9).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use controlplane::record::ConditionKind;
use tokio::time::Instant;

use crate::{
    process::{LEASE, Process, at_least, settled, shards, status, until, world},
    proxy::Fate,
};

const TABLE: [&str; 6] = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"];

#[tokio::test]
async fn without_the_control_table_nothing_is_changed_and_all_goes_on_when_it_is_back() {
    let (world, table, kinesis) = world("version = 1").await;
    let process = Process::start(&world).await;
    status(&table, "a first status", |_| true).await;
    let away = |call: &crate::proxy::Call| TABLE.contains(&call.operation.as_str());
    process.proxy.rule(move |call| if away(call) { Fate::Refuse(503, "ServiceUnavailable") } else { Fate::Pass });
    table.apply_policy("weir", &at_least(2), 1, "ann", jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    // Longer than the lease, so that the lead is lost with certainty.
    let lost = Instant::now() + LEASE * 2;
    until("an outage longer than the lease", async || (Instant::now() > lost).then_some(())).await;
    assert!(process.proxy.writes().is_empty(), "{:?}", process.proxy.writes());
    assert_eq!(shards(&kinesis).await.0, 1);
    process.proxy.rule(|_| Fate::Pass);
    let back = Instant::now();
    settled(&kinesis, 2).await;
    let took = Instant::now() - back;
    assert!(took <= Duration::from_secs(60), "{took:?}");
    drop(process);
    world.stop().await;
}

#[tokio::test]
async fn with_half_of_all_calls_throttled_the_stream_still_gets_its_shards_once() {
    let (world, _, kinesis) = world(&at_least(2)).await;
    let process = Process::start(&world).await;
    let mut chance = 7_u64;
    let heard = Arc::new(AtomicUsize::new(0));
    let counting = heard.clone();
    process.proxy.rule(move |call| {
        // Knuth's generator: one half of the calls, in step with nothing.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if chance >> 63 == 0 {
            return Fate::Refuse(400, "ThrottlingException");
        }
        counting.fetch_add(usize::from(call.is_write()), Ordering::Relaxed);
        Fate::Pass
    });
    settled(&kinesis, 2).await;
    assert_eq!(heard.load(Ordering::Relaxed), 1, "{:?}", process.proxy.writes());
    drop(process);
    world.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_told_and_its_services_are_left_alone() {
    let (world, table, _) = world("version = 1\n[producer]\nmin_tasks = 2").await;
    let process = Process::start(&world).await;
    let told = status(&table, "the complaint", |status| {
        let degraded = status.conditions.iter().find(|condition| condition.kind == ConditionKind::Degraded);
        degraded.is_some_and(|condition| condition.status && condition.message.contains("ClusterNotFound"))
    })
    .await;
    status(&table, "more ticks", |status| status.heartbeat_at > told.heartbeat_at + Duration::from_secs(2)).await;
    assert!(process.proxy.writes().is_empty(), "{:?}", process.proxy.writes());
    drop(process);
    world.stop().await;
}
