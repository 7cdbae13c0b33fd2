//! The control table on localcloud's DynamoDB.

mod common;

use std::time::Duration;

use common::World;
use controlplane::{
    limits::LEASE_EXPIRY,
    record::{ApplyError, Candidate, Lease, Pause, PauseScope},
};
use jiff::Timestamp;
use tokio::time::Instant;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

#[tokio::test]
async fn a_policy_is_applied_once_for_each_generation_and_all_of_them_stay() {
    let world = World::start().await;
    let table = world.table();
    assert_eq!(table.policy("weir").await.unwrap(), None);

    assert_eq!(table.apply_policy("weir", "version = 1", 0, "ann", AT).await.unwrap(), 1);
    let late = table.apply_policy("weir", "version = 1", 0, "bob", AT).await.unwrap_err();
    assert!(matches!(late, ApplyError::Conflict { expected: 0, found: 1 }), "{late}");
    let second = "version = 1\n[stream]\nmax_shards = 4";
    assert_eq!(table.apply_policy("weir", second, 1, "bob", AT).await.unwrap(), 2);

    let stored = table.policy("weir").await.unwrap().unwrap();
    assert_eq!((stored.text.as_str(), stored.generation, stored.applied_by.as_str()), (second, 2, "bob"));
    let history = table.policy_history("weir", 10).await.unwrap();
    assert_eq!(history.iter().map(|policy| policy.generation).collect::<Vec<_>>(), [2, 1]);
    world.stop().await;
}

#[tokio::test]
async fn a_policy_with_an_error_changes_nothing() {
    let world = World::start().await;
    let table = world.table();
    table.apply_policy("weir", "version = 1", 0, "ann", AT).await.unwrap();
    let wrong = table.apply_policy("weir", "version = 1\n[stream]\nmin_shard = 1", 1, "ann", AT).await.unwrap_err();
    assert!(matches!(wrong, ApplyError::Invalid(_)), "{wrong}");
    assert_eq!(table.policy("weir").await.unwrap().unwrap().text, "version = 1");
    world.stop().await;
}

#[tokio::test]
async fn a_pause_stays_until_it_is_lifted() {
    let world = World::start().await;
    let table = world.table();
    let pause = Pause { scope: PauseScope::In, until: None, reason: "launch day".into(), by: "ann".into(), at: AT };
    table.set_pause("weir", &pause).await.unwrap();
    assert_eq!(table.pause("weir").await.unwrap(), Some(pause));
    table.resume("weir").await.unwrap();
    assert_eq!(table.pause("weir").await.unwrap(), None);
    world.stop().await;
}

#[tokio::test]
async fn a_leader_that_renews_stays_and_one_that_falls_silent_is_replaced_with_a_higher_epoch() {
    let world = World::start().await;
    let table = world.table();
    let mut ann = Candidate::new(table.clone(), "ann".into(), Lease::default());
    let mut bob = Candidate::new(table.clone(), "bob".into(), Lease::default());
    let start = Instant::now();
    let first = ann.turn(start).await.unwrap().unwrap();
    assert_eq!(first.epoch, 1);
    assert!(first.holds(start) && !first.holds(start + Lease::default().deadline()));

    assert_eq!(bob.turn(start).await.unwrap(), None, "a fresh lease is another's");
    assert_eq!(ann.turn(start + LEASE_EXPIRY / 2).await.unwrap().unwrap().epoch, 1);
    assert_eq!(bob.turn(start + LEASE_EXPIRY).await.unwrap(), None, "the counter moved meanwhile");

    let almost = start + LEASE_EXPIRY * 2 - Duration::from_millis(1);
    assert_eq!(bob.turn(almost).await.unwrap(), None, "silence is counted from when the counter was seen to move");
    assert_eq!(bob.turn(start + LEASE_EXPIRY * 2).await.unwrap().unwrap().epoch, 2);
    assert_eq!(ann.turn(start + LEASE_EXPIRY * 2).await.unwrap(), None, "whoever was paused finds another leading");
    world.stop().await;
}

#[tokio::test]
async fn a_released_lead_is_taken_at_the_next_look() {
    let world = World::start().await;
    let table = world.table();
    let mut ann = Candidate::new(table.clone(), "ann".into(), Lease::default());
    let mut bob = Candidate::new(table.clone(), "bob".into(), Lease::default());
    let start = Instant::now();
    ann.turn(start).await.unwrap().unwrap();
    assert_eq!(bob.turn(start).await.unwrap(), None);
    ann.release().await.unwrap();
    assert_eq!(bob.turn(start).await.unwrap().unwrap().epoch, 2);
    world.stop().await;
}

#[tokio::test]
async fn of_many_candidates_exactly_one_takes_a_free_lead() {
    let world = World::start().await;
    let table = world.table();
    let start = Instant::now();
    let turns = (0..8).map(|number| {
        let mut candidate = Candidate::new(table.clone(), format!("candidate {number}"), Lease::default());
        async move { candidate.turn(start).await.unwrap() }
    });
    let leads = futures::future::join_all(turns).await;
    assert_eq!(leads.iter().flatten().count(), 1);
    world.stop().await;
}
