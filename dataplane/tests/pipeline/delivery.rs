//! What was acknowledged is delivered, whatever happens to shards and tasks.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::world::{RunningConsumer, World, until};

pub(crate) async fn until_seen(consumers: &[&RunningConsumer], expected: &BTreeSet<String>) {
    until("every record is processed", async || {
        let seen: BTreeSet<_> = consumers.iter().flat_map(|consumer| consumer.counts().into_keys()).collect();
        expected.is_subset(&seen)
    })
    .await;
}

fn names(prefix: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_record_is_processed_as_it_was_sent() {
    let world = World::start(2).await;
    let producer = world.producer(&[]).await;
    let consumer = world.consumer().await;
    let singles = names("single", 40);
    join_all(singles.iter().map(|data| world.store(&producer, data, None))).await;
    let batch = names("batch", 300);
    let lines: String =
        batch.iter().map(|data| json!({"data": data, "partitionKey": data}).to_string() + "\n").collect();
    let answer = world.post(&producer, "/records", lines).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["results"].as_array().map(Vec::len), Some(300));

    let all: BTreeSet<_> = singles.union(&batch).cloned().collect();
    until_seen(&[&consumer], &all).await;
    assert_eq!(consumer.counts().into_keys().collect::<BTreeSet<_>>(), all, "and nothing else");
    for record in
        consumer.records().iter().filter(|record| record["data"].as_str().is_some_and(|data| data.starts_with("batch")))
    {
        assert_eq!(record["partition_key"], record["data"]);
        assert!(record["arrived_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{record}");
    }
    let report = world.get(consumer.role.admin, "/report").await.body;
    assert_eq!(report["role"]["kind"], "consumer");
    assert_eq!(report["role"]["leases"].as_array().map(Vec::len), Some(2));
    let report = world.get(producer.role.admin, "/report").await.body;
    assert_eq!(report["role"]["kind"], "producer");
    let metrics = world.get(producer.role.admin, "/metrics").await.body;
    assert!(metrics.as_str().is_some_and(|page| page.contains("weir_accepted_records_total 340")), "{metrics}");
    producer.role.stop().await;
    consumer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reshard_under_way_loses_nothing_and_keeps_the_order_of_each_key() {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let consumer = world.consumer().await;
    let mut sent = BTreeSet::new();
    let mut number = 0;
    let mut resharded = false;
    // Posts until the new shards have taken some: each key waits for its last answer.
    while !resharded || number % 20 != 0 {
        if number == 10 {
            world.reshard(2).await;
        }
        join_all(KEYS.map(|key| world.store_numbered(&producer, key, number))).await;
        sent.extend(KEYS.map(|key| format!("{key}/{number}")));
        world.store(&producer, &format!("keyless/{number}"), None).await;
        sent.insert(format!("keyless/{number}"));
        number += 1;
        let shards: BTreeSet<_> = consumer.records().iter().map(|record| record["shard_id"].to_string()).collect();
        resharded = shards.len() == 3;
    }
    until_seen(&[&consumer], &sent).await;
    assert_in_order(&consumer.records(), &KEYS);
    producer.role.stop().await;
    consumer.role.stop().await;
}

impl World {
    async fn store_numbered(&self, producer: &crate::world::RunningProducer, key: &str, number: usize) {
        self.store(producer, &format!("{key}/{number}"), Some(key)).await;
    }
}

/// Leaving repetitions aside, the records of each key come in the order in which they were sent.
pub(crate) fn assert_in_order(records: &[Value], keys: &[&str]) {
    let mut latest = BTreeMap::<String, usize>::new();
    let mut seen = BTreeSet::new();
    for data in records.iter().filter_map(|record| record["data"].as_str()) {
        let (key, number) = data.split_once('/').unwrap();
        if !keys.contains(&key) || !seen.insert(data.to_owned()) {
            continue;
        }
        let number = number.parse().unwrap();
        let before = latest.insert(key.to_owned(), number);
        assert!(before.is_none_or(|before| before < number), "{data} came after {before:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shards_of_a_killed_consumer_are_taken_over() {
    let world = World::start(2).await;
    let producer = world.producer(&[]).await;
    let (victim, survivor) = (world.consumer().await, world.consumer().await);
    let before = names("before", 30);
    join_all(before.iter().map(|data| world.store(&producer, data, None))).await;
    until_seen(&[&victim, &survivor], &before).await;
    victim.role.task.abort();
    let after = names("after", 30);
    join_all(after.iter().map(|data| world.store(&producer, data, None))).await;
    let all = before.union(&after).cloned().collect();
    until_seen(&[&victim, &survivor], &all).await;
    producer.role.stop().await;
    survivor.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_stops_leaves_its_leases_and_nothing_to_repeat() {
    let world = World::start(2).await;
    let producer = world.producer(&[]).await;
    let first = world.consumer().await;
    let before = names("before", 50);
    join_all(before.iter().map(|data| world.store(&producer, data, None))).await;
    until_seen(&[&first], &before).await;
    let seen_by_first = {
        first.role.stopping.cancel();
        let counts = first.counts();
        first.role.task.await.unwrap();
        counts
    };
    let second = world.consumer().await;
    let after = names("after", 50);
    join_all(after.iter().map(|data| world.store(&producer, data, None))).await;
    until_seen(&[&second], &after).await;
    assert_eq!(second.counts().into_keys().collect::<BTreeSet<_>>(), after, "nothing is read twice");
    assert!(seen_by_first.values().all(|count| *count == 1));
    producer.role.stop().await;
    second.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_stops_answers_what_it_has_taken() {
    let world = World::start(1).await;
    let producer = world.producer(&["--drain-delay", "1s"]).await;
    world.store(&producer, "warm", None).await;
    let data = "x".repeat(10_000);
    // More than the shard takes in a second, so that much is under way when it is told to stop.
    let body = json!(vec![json!({"data": data}); 250]).to_string();
    let posts = async { world.post(&producer, "/records", body).await };
    let stop = async {
        until("the records are under way", async || {
            let report = world.get(producer.role.admin, "/report").await.body;
            report["role"]["offered"]["records_per_second"].as_f64() > Some(0.0)
                || report["role"]["requests_in_flight"] != 0
        })
        .await;
        producer.role.stopping.cancel();
        until("the balancer is told", async || {
            world.get(producer.ingest, "/healthcheck").await.status == StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
    };
    let (answer, ()) = tokio::join!(posts, stop);
    assert_eq!(answer.status, StatusCode::OK, "every record was stored: {:?}", answer.body["error"]);
    producer.role.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text_arrive_in_base64() {
    let world = World::start(1).await;
    let (producer, consumer) = (world.producer(&[]).await, world.consumer().await);
    let answer = world.post_bytes(&producer, "partitionKey=raw", &b"\xff\x00"[..]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    until("the record is processed", async || !consumer.records().is_empty()).await;
    let record = consumer.records().remove(0);
    assert_eq!((&record["data_base64"], &record["partition_key"]), (&json!("/wA="), &json!("raw")));
    assert!(record.get("data").is_none());
    producer.role.stop().await;
    consumer.role.stop().await;
}
