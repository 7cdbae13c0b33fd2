//! Registered consumers and their subscriptions.

use std::time::Duration;

use aws_sdk_kinesis::{
    error::ProvideErrorMetadata,
    operation::subscribe_to_shard::SubscribeToShardOutput,
    primitives::DateTime,
    types::{ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream},
};
use localcloud::kinesis::Settings;

use crate::world::{World, quick, refusal, stream_arn, texts};

const SHARD: &str = "shardId-000000000000";

fn position(kind: ShardIteratorType, number: Option<&str>, time: Option<DateTime>) -> StartingPosition {
    let position = StartingPosition::builder().r#type(kind).set_sequence_number(number.map(str::to_owned));
    position.set_timestamp(time).build().unwrap()
}

fn trim_horizon() -> StartingPosition {
    position(ShardIteratorType::TrimHorizon, None, None)
}

impl World {
    async fn subscribe(&self, consumer: &str, shard: &str, position: StartingPosition) -> SubscribeToShardOutput {
        let request = self.client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard);
        request.starting_position(position).send().await.unwrap()
    }
}

async fn event(subscription: &mut SubscribeToShardOutput) -> Option<SubscribeToShardEvent> {
    let received = tokio::time::timeout(Duration::from_secs(10), subscription.event_stream.recv()).await;
    match received.expect("an event within ten seconds").unwrap()? {
        SubscribeToShardEventStream::SubscribeToShardEvent(event) => Some(event),
        other => panic!("{other:?}"),
    }
}

/// Data of the events until there are `count` records.
async fn receive(subscription: &mut SubscribeToShardOutput, count: usize) -> (Vec<String>, String) {
    let (mut data, mut continuation) = (Vec::new(), String::new());
    while data.len() < count {
        let event = event(subscription).await.expect("the subscription goes on");
        data.extend(texts(&event.records));
        continuation = event.continuation_sequence_number;
    }
    (data, continuation)
}

#[tokio::test]
async fn records_put_before_and_after_a_subscription_are_pushed() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let consumer = world.consumer("s", "c").await;
    world.put("s", "k", "before").await;
    let mut subscription = world.subscribe(&consumer, SHARD, trim_horizon()).await;
    assert_eq!(receive(&mut subscription, 1).await.0, ["before"]);
    world.put("s", "k", "after").await;
    assert_eq!(receive(&mut subscription, 1).await.0, ["after"]);
}

#[tokio::test]
async fn a_subscription_goes_on_after_a_sequence_number() {
    let world = World::start(Settings { subscription_hold: Duration::ZERO, ..quick() }).await;
    world.create("s", 1).await;
    let consumer = world.consumer("s", "c").await;
    for data in ["a", "b"] {
        world.put("s", "k", data).await;
    }
    let mut first = world.subscribe(&consumer, SHARD, trim_horizon()).await;
    let (data, continuation) = receive(&mut first, 2).await;
    assert_eq!(data, ["a", "b"]);
    world.put("s", "k", "c").await;
    let after = |number: &str| position(ShardIteratorType::AfterSequenceNumber, Some(number), None);
    let mut second = world.subscribe(&consumer, SHARD, after(&continuation)).await;
    assert_eq!(receive(&mut second, 1).await.0, ["c"]);
    let at = position(ShardIteratorType::AtSequenceNumber, Some(&continuation), None);
    let mut third = world.subscribe(&consumer, SHARD, at).await;
    assert_eq!(receive(&mut third, 2).await.0, ["b", "c"]);
}

#[tokio::test]
async fn a_silent_subscription_goes_on_where_it_was() {
    let settings =
        Settings { subscription_hold: Duration::ZERO, subscription_heartbeat: Duration::from_millis(5), ..quick() };
    let world = World::start(settings).await;
    world.create("s", 1).await;
    let consumer = world.consumer("s", "c").await;
    world.put("s", "k", "a").await;
    let latest = position(ShardIteratorType::Latest, None, None);
    let mut silent = world.subscribe(&consumer, SHARD, latest).await;
    let heartbeat = event(&mut silent).await.unwrap();
    assert!(heartbeat.records.is_empty());
    world.put("s", "k", "b").await;
    let after = position(ShardIteratorType::AfterSequenceNumber, Some(&heartbeat.continuation_sequence_number), None);
    let mut resumed = world.subscribe(&consumer, SHARD, after).await;
    assert_eq!(receive(&mut resumed, 1).await.0, ["b"]);
}

#[tokio::test]
async fn a_subscription_at_a_timestamp_begins_with_what_arrived_then() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let consumer = world.consumer("s", "c").await;
    world.put("s", "k", "a").await;
    let arrived = |read: &aws_sdk_kinesis::operation::get_records::GetRecordsOutput| {
        read.records().last().unwrap().approximate_arrival_timestamp.unwrap()
    };
    let first = arrived(&world.read("s", SHARD).await);
    let mut number = 0;
    let second = loop {
        number += 1;
        world.put("s", "k", &number.to_string()).await;
        let second = arrived(&world.read("s", SHARD).await);
        if second > first {
            break second;
        }
    };
    let at = position(ShardIteratorType::AtTimestamp, None, Some(second));
    let mut subscription = world.subscribe(&consumer, SHARD, at).await;
    assert_eq!(receive(&mut subscription, 1).await.0, [number.to_string()]);
}

#[tokio::test]
async fn the_end_of_a_shard_names_its_children_and_has_no_continuation() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let consumer = world.consumer("s", "c").await;
    let mut subscription = world.subscribe(&consumer, SHARD, trim_horizon()).await;
    world.put("s", "k", "a").await;
    assert_eq!(receive(&mut subscription, 1).await.0, ["a"]);
    world.update_shard_count("s", 2).await;
    let end = event(&mut subscription).await.unwrap();
    let children: Vec<_> = end.child_shards().iter().map(aws_sdk_kinesis::types::ChildShard::shard_id).collect();
    assert_eq!(children, ["shardId-000000000001", "shardId-000000000002"]);
    assert!(end.continuation_sequence_number.is_empty(), "{end:?}");
    assert_eq!(event(&mut subscription).await, None);
}

#[tokio::test]
async fn a_second_subscription_within_five_seconds_is_refused() {
    let world = World::start(quick()).await;
    world.create("s", 2).await;
    let consumer = world.consumer("s", "c").await;
    let _first = world.subscribe(&consumer, SHARD, trim_horizon()).await;
    let _other_shard = world.subscribe(&consumer, "shardId-000000000001", trim_horizon()).await;
    let again = world.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(SHARD);
    let refused = again.starting_position(trim_horizon()).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ResourceInUseException"));
    let message = refused.message().unwrap_or_default();
    assert!(message.starts_with("Another active subscription exists for this consumer"), "{message}");
}

#[tokio::test]
async fn a_stream_has_at_most_twenty_consumers_with_different_names() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    for number in 0..20 {
        world.consumer("s", &format!("c{number}")).await;
    }
    let register =
        |name: &str| world.client.register_stream_consumer().stream_arn(stream_arn("s")).consumer_name(name).send();
    assert_eq!(refusal(register("c1").await).0, "ResourceInUseException");
    assert_eq!(refusal(register("c20").await).0, "LimitExceededException");
    let listed = world.client.list_stream_consumers().stream_arn(stream_arn("s")).max_results(15).send().await.unwrap();
    assert_eq!(listed.consumers().len(), 15);
    let rest = world.client.list_stream_consumers().stream_arn(stream_arn("s")).set_next_token(listed.next_token);
    assert_eq!(rest.send().await.unwrap().consumers().len(), 5);
}
