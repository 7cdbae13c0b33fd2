//! `kill -9` of the leader at each point of a reshard that anybody else can see (F1).

use tokio::time::Instant;

use crate::{
    process::{Process, TAKEOVER, at_least, settled, status, world},
    proxy::{Call, Fate},
};

/// Which call a crash hits: it sees a call and how many writes to AWS came before.
type Point = fn(&Call, usize) -> bool;

/// A leader is killed at `point` and another takes over. Whatever the first one had come to, the stream is asked to change
/// once and comes to rest at the two shards of the policy.
async fn one_reshard_in_spite_of(fate: Fate, point: Point) {
    let (world, table, kinesis) = world(&at_least(2)).await;
    let mut first = Process::start(&world).await;
    let mut writes = 0;
    first.proxy.rule(move |call| {
        let hit = point(call, writes);
        writes += usize::from(call.is_write());
        if hit { fate } else { Fate::Pass }
    });
    first.ended().await;
    let killed = Instant::now();
    let second = Process::start(&world).await;
    let taken = status(&table, "a takeover", |status| status.epoch == 2).await;
    let took = Instant::now() - killed;
    assert!(took <= TAKEOVER, "the takeover took {took:?}");
    settled(&kinesis, 2).await;
    let later = taken.heartbeat_at + std::time::Duration::from_secs(2);
    status(&table, "ticks after the reshard", |status| {
        status.heartbeat_at > later && status.observation.stream.open_shards.is_some_and(|open| open.value.0 == 2)
    })
    .await;
    let heard = first.proxy.writes().len() - usize::from(fate == Fate::KillBefore && ends_with_write(&first));
    assert_eq!(heard + second.proxy.writes().len(), 1, "{:?}", second.proxy.writes());
    drop(second);
    world.stop().await;
}

/// Whether the call that the process died of was to change something.
fn ends_with_write(process: &Process) -> bool {
    process.proxy.calls().last().is_some_and(Call::is_write)
}

#[tokio::test]
async fn a_leader_killed_before_it_writes_its_intent_leaves_nothing_behind() {
    one_reshard_in_spite_of(Fate::KillBefore, |call, _| call.is_intent()).await;
}

#[tokio::test]
async fn a_leader_killed_with_its_intent_written_is_followed_by_one_that_finishes() {
    one_reshard_in_spite_of(Fate::KillAfter, |call, _| call.is_intent()).await;
}

#[tokio::test]
async fn a_leader_killed_while_it_asks_is_followed_by_one_that_finishes() {
    one_reshard_in_spite_of(Fate::KillBefore, |call, _| call.is_write()).await;
}

#[tokio::test]
async fn a_leader_killed_when_aws_has_accepted_is_followed_by_one_that_adopts() {
    one_reshard_in_spite_of(Fate::KillAfter, |call, _| call.is_write()).await;
}

#[tokio::test]
async fn a_leader_killed_before_it_writes_the_outcome_is_followed_by_one_that_adopts() {
    one_reshard_in_spite_of(Fate::KillBefore, |call, writes| writes > 0 && call.operation == "TransactWriteItems")
        .await;
}

#[tokio::test]
async fn a_leader_killed_before_the_status_is_written_is_followed_by_one_that_adopts() {
    one_reshard_in_spite_of(Fate::KillBefore, |call, writes| writes > 0 && call.is_status()).await;
}

#[tokio::test]
async fn a_leader_killed_while_it_waits_for_the_stream_is_followed_by_one_that_adopts() {
    one_reshard_in_spite_of(Fate::KillBefore, |call, writes| writes > 0 && call.operation == "DescribeStreamSummary")
        .await;
}
