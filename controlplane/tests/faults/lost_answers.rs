//! Calls that AWS carries out and whose answer never comes, and calls that it refuses (F6, F7).

use controlplane::decide::ActionResult;

use crate::{
    ledger::ledger,
    process::{Process, at_least, settled, shards, status, until, world},
    proxy::Fate,
};

#[tokio::test]
async fn a_reshard_whose_answer_is_lost_is_not_asked_for_again_and_the_next_look_settles_it() {
    let (world, table, kinesis) = world(&at_least(2)).await;
    let process = Process::start(&world).await;
    process.proxy.rule(|call| if call.is_write() { Fate::LoseAnswer } else { Fate::Pass });
    settled(&kinesis, 2).await;
    until("a settled ledger", async || (ledger(&world).await == ["done"]).then_some(())).await;
    let told = table.decisions("weir", None, 100).await.unwrap();
    let results: Vec<_> = told.iter().flat_map(|decision| &decision.outcomes).map(|outcome| &outcome.result).collect();
    assert!(matches!(results[..], [ActionResult::Unknown { .. }]), "{results:?}");
    assert_eq!(process.proxy.writes().len(), 1);
    drop(process);
    world.stop().await;
}

#[tokio::test]
async fn a_reached_quota_is_reported_with_the_time_of_the_next_try_and_the_call_is_not_repeated() {
    let (world, table, kinesis) = world(&at_least(2)).await;
    let process = Process::start(&world).await;
    process.proxy.rule(|call| if call.is_write() { Fate::Refuse(400, "LimitExceededException") } else { Fate::Pass });
    let refused = status(&table, "a refusal", |status| {
        let shards = status.last_decision.as_ref().map(|decision| &decision.report.shards.verdict);
        matches!(shards, Some(controlplane::decide::Verdict::Held { until: Some(_), .. }))
    })
    .await;
    let later = refused.heartbeat_at + std::time::Duration::from_secs(3);
    status(&table, "ten more ticks", |status| status.heartbeat_at > later).await;
    assert_eq!(process.proxy.writes().len(), 1);
    assert_eq!(shards(&kinesis).await.0, 1);
    assert_eq!(ledger(&world).await, ["refused"]);
    drop(process);
    world.stop().await;
}
