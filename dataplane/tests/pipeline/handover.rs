//! Leases that go from one live worker to another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;

use crate::world::{RunningConsumer, RunningProducer, World, until};

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Stores one more record of each key.
async fn store(world: &World, producer: &RunningProducer, number: usize, sent: &mut BTreeSet<String>) {
    let names = KEYS.map(|key| format!("{key}/{number}"));
    join_all(names.iter().zip(KEYS).map(|(data, key)| world.store(producer, data, Some(key)))).await;
    sent.extend(names);
}

async fn leases(world: &World, consumer: &RunningConsumer) -> usize {
    let report = world.get(consumer.role.admin, "/report").await.body;
    report["role"]["leases"].as_array().map_or(0, Vec::len)
}

/// How often each record was seen by all of them together.
fn counts(consumers: &[&RunningConsumer]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for (data, count) in consumers.iter().flat_map(|consumer| consumer.counts()) {
        *all.entry(data).or_default() += count;
    }
    all
}

/// The largest number of a key that a consumer has seen, and the smallest.
fn span(consumer: &RunningConsumer, key: &str) -> Option<(usize, usize)> {
    let counts = consumer.counts();
    let numbers = counts.keys().filter_map(|data| data.strip_prefix(key)?.strip_prefix('/')?.parse().ok());
    numbers.fold(None, |span: Option<(usize, usize)>, number| {
        Some(span.map_or((number, number), |(least, most)| (least.min(number), most.max(number))))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_joins_gets_its_part_and_no_record_comes_twice_or_out_of_order() {
    let world = World::start(4).await;
    let (producer, first) = (world.producer(&[]).await, world.consumer().await);
    let (mut sent, mut number) = (BTreeSet::new(), 0);
    while leases(&world, &first).await < 4 || number < 5 {
        store(&world, &producer, number, &mut sent).await;
        number += 1;
    }
    let second = world.consumer().await;
    let asked_at = Instant::now();
    while leases(&world, &second).await < 2 {
        store(&world, &producer, number, &mut sent).await;
        number += 1;
    }
    println!("two of four leases were handed over after {:?}", Instant::now() - asked_at);
    for _ in 0..5 {
        store(&world, &producer, number, &mut sent).await;
        number += 1;
    }
    until("every record is processed", async || counts(&[&first, &second]).len() == sent.len()).await;
    assert!(counts(&[&first, &second]).values().all(|count| *count == 1), "{:?}", counts(&[&first, &second]));
    assert_eq!((leases(&world, &first).await, leases(&world, &second).await), (2, 2));
    for key in KEYS {
        if let (Some((_, last)), Some((next, _))) = (span(&first, key), span(&second, key)) {
            assert_eq!(last + 1, next, "{key} went over in the middle");
        }
    }
    // It holds still afterwards.
    let taken = "weir_leases_taken_total 2";
    let metrics = world.get(second.role.admin, "/metrics").await.body;
    assert!(metrics.as_str().is_some_and(|page| page.contains(taken)), "{metrics}");
    producer.role.stop().await;
    first.role.stop().await;
    second.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leases_of_a_worker_that_stops_are_read_on_long_before_they_would_expire() {
    const DURATION: Duration = Duration::from_secs(30);
    let world = World::start(2).await;
    let producer = world.producer(&[]).await;
    // The table is looked at ten times in this.
    let first = world.consumer_with(&["--lease-duration", "30s"]).await;
    let mut sent = BTreeSet::new();
    store(&world, &producer, 0, &mut sent).await;
    until("the first reads", async || counts(&[&first]).len() == sent.len()).await;
    let second = world.consumer_with(&["--lease-duration", "30s"]).await;
    until("the second has its part", async || leases(&world, &second).await == 1).await;
    let stopped_at = Instant::now();
    first.role.stopping.cancel();
    store(&world, &producer, 1, &mut sent).await;
    until("every record is processed", async || counts(&[&first, &second]).len() == sent.len()).await;
    let took = Instant::now() - stopped_at;
    assert!(took < DURATION / 2, "it took {took:?}");
    assert!(counts(&[&first, &second]).values().all(|count| *count == 1));
    for consumer in [first, second] {
        consumer.role.stop().await;
    }
    producer.role.stop().await;
}
