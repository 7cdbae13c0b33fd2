//! Reading through a registered consumer, and which way of reading is chosen.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use localcloud::kinesis::Settings;
use serde_json::Value;

use crate::{
    delivery::{assert_in_order, until_seen},
    world::{RunningConsumer, World, until},
};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Subscriptions end after a second and can be replaced at once.
fn short_subscriptions() -> Settings {
    Settings {
        subscription_lifetime: Duration::from_secs(1),
        subscription_hold: Duration::ZERO,
        subscription_heartbeat: Duration::from_millis(200),
        ..Settings::default()
    }
}

async fn report(world: &World, consumer: &RunningConsumer) -> Value {
    until("the consumer has decided how to read", async || {
        world.get(consumer.role.admin, "/report").await.body["role"]["retrieval"] != ""
    })
    .await;
    world.get(consumer.role.admin, "/report").await.body["role"].clone()
}

/// Stores numbered records of each key until `enough`, resharding on the way.
async fn store_through_a_reshard(
    world: &World,
    consumer: &RunningConsumer,
    enough: impl Fn(&BTreeSet<String>) -> bool,
) -> BTreeSet<String> {
    let producer = world.producer(&[]).await;
    let mut sent = BTreeSet::new();
    for number in 0.. {
        if number == 10 {
            world.reshard(2).await;
        }
        let names = KEYS.map(|key| format!("{key}/{number}"));
        join_all(names.iter().zip(KEYS).map(|(data, key)| world.store(&producer, data, Some(key)))).await;
        sent.extend(names);
        let shards = consumer.records().iter().map(|record| record["shard_id"].to_string()).collect();
        if number > 10 && enough(&shards) {
            break;
        }
    }
    producer.role.stop().await;
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_where_the_one_before_it_ended_and_into_the_shards_that_follow() {
    let world = World::start_with(1, short_subscriptions()).await;
    let arn = world.register("reader").await;
    let consumer = world.consumer_with(&["--consumer-arn", &arn]).await;
    let sent = store_through_a_reshard(&world, &consumer, |shards| shards.len() == 3).await;
    until_seen(&[&consumer], &sent).await;
    assert_in_order(&consumer.records(), &KEYS);
    assert_eq!(consumer.counts(), sent.into_iter().map(|data| (data, 1)).collect::<BTreeMap<_, _>>());
    let report = report(&world, &consumer).await;
    assert_eq!(report["retrieval"], "fanout", "{report}");
    consumer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_another_reader_takes_over_is_taken_back() {
    let world = World::start_with(1, short_subscriptions()).await;
    let arn = world.register("reader").await;
    let consumer = world.consumer_with(&["--consumer-arn", &arn, "--retrieval", "fanout"]).await;
    let producer = world.producer(&[]).await;
    world.store(&producer, "before", None).await;
    until_seen(&[&consumer], &["before".to_owned()].into()).await;
    let latest = aws_sdk_kinesis::types::StartingPosition::builder()
        .r#type(aws_sdk_kinesis::types::ShardIteratorType::Latest)
        .build()
        .unwrap();
    let intruding = world.kinesis.subscribe_to_shard().consumer_arn(&arn).shard_id("shardId-000000000000");
    let _intruder = intruding.starting_position(latest).send().await.unwrap();
    world.store(&producer, "after", None).await;
    until_seen(&[&consumer], &["before", "after"].map(str::to_owned).into()).await;
    assert!(consumer.counts().values().all(|count| *count == 1), "{:?}", consumer.counts());
    producer.role.stop().await;
    consumer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_reads_through_an_active_consumer_and_polls_without_one_and_says_why() {
    let world = World::start(1).await;
    let arn = world.register("reader").await;
    let gone = format!("{arn}0");
    let ways: [(&[&str], &str, &str); 4] = [
        (&[], "polling", "WEIR_CONSUMER_ARN"),
        (&["--consumer-arn", &arn], "fanout", "active"),
        (&["--consumer-arn", &gone], "polling", "ResourceNotFoundException"),
        (&["--consumer-arn", &arn, "--retrieval", "polling"], "polling", "WEIR_RETRIEVAL"),
    ];
    for (arguments, expected, reason) in ways {
        let consumer = world.consumer_with(arguments).await;
        let report = report(&world, &consumer).await;
        assert_eq!(report["retrieval"], expected, "{report}");
        assert!(report["retrieval_reason"].as_str().is_some_and(|text| text.contains(reason)), "{report}");
        consumer.role.stop().await;
    }
    let refused = world.try_consumer(&["--retrieval", "fanout"]).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|error| error.starts_with("WEIR_CONSUMER_ARN")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iterators_that_expire_are_replaced_without_a_gap_or_a_repetition() {
    let settings = Settings { iterator_lifetime: Duration::from_millis(200), ..Settings::default() };
    let world = World::start_with(1, settings).await;
    let consumer = world.consumer().await;
    let sent = store_through_a_reshard(&world, &consumer, |shards| shards.len() == 3).await;
    until_seen(&[&consumer], &sent).await;
    assert_in_order(&consumer.records(), &KEYS);
    assert!(consumer.counts().values().all(|count| *count == 1), "{:?}", consumer.counts());
    let metrics = world.get(consumer.role.admin, "/metrics").await.body;
    let expired = metrics.as_str().is_some_and(|page| !page.contains("weir_iterators_expired_total 0"));
    assert!(expired, "{metrics}");
    consumer.role.stop().await;
}
