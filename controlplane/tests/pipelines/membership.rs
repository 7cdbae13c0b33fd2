//! Pipelines come and go with the policy.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    in_process::Controlplane,
    world::{shards, status, stream, until, world},
};

const TICK: Duration = Duration::from_millis(200);

fn policy(others: &str) -> String {
    format!("version = 1\n[guard]\nconfirm_up = \"0s\"\nshards_up_cooldown = \"0s\"\n{others}")
}

#[tokio::test]
async fn a_pipeline_is_driven_from_when_the_policy_names_it_until_it_no_longer_does() {
    let world = world().await;
    let table = world.table();
    stream(&world, "orders-v2").await;
    table.apply_policy("weir", &policy(""), 0, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    status(&table, "weir", |_| true).await;

    let orders = "[[pipeline]]\nname = \"orders\"\nstream_name = \"orders-v2\"\n[pipeline.stream]\nmin_shards = 2";
    table.apply_policy("weir", &policy(orders), 1, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    until("two shards", async || (shards(&world, "orders-v2").await == 2).then_some(())).await;
    assert_eq!(shards(&world, "weir").await, 1, "the others' policy is not its own");
    let driven = status(&table, "orders", |status| status.observation.stream.name == "orders-v2").await;
    assert_eq!(driven.observed_generation, 2);

    table.apply_policy("weir", &policy(""), 2, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    status(&table, "weir", |status| status.observed_generation == 3).await;
    let last = table.status("orders").await.unwrap().unwrap();
    let later = last.heartbeat_at + Duration::from_secs(1);
    status(&table, "weir", |status| status.heartbeat_at > later).await;
    let still = table.status("orders").await.unwrap().unwrap();
    assert!(
        still.heartbeat_at.duration_since(last.heartbeat_at) < jiff::SignedDuration::from_millis(500),
        "nobody drives it"
    );
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_pipeline_whose_stream_is_missing_says_so_and_holds_up_nobody() {
    let world = world().await;
    let table = world.table();
    let lost = "[[pipeline]]\nname = \"lost\"\nstream_name = \"nowhere\"\n[stream]\nmin_shards = 2";
    table.apply_policy("weir", &policy(lost), 0, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let seen = status(&table, "lost", |_| true).await;
    assert!(seen.observation.blind_spots.iter().any(|line| line.contains("nowhere")), "{seen:?}");
    until("two shards", async || (shards(&world, "weir").await == 2).then_some(())).await;
    controlplane.stop().await;
    world.stop().await;
}
