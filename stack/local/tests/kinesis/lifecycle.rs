//! Streams as resources: made, named, changed, tagged, deleted.

use aws_sdk_kinesis::types::{
    MetricsName, MinimumThroughputBillingCommitmentInput, MinimumThroughputBillingCommitmentInputStatus, ScalingType,
    ShardIteratorType, StreamMode, StreamModeDetails, StreamStatus,
};

use crate::world::{ACCOUNT, World, quick, refusal, stream_arn, texts};

fn on_demand() -> StreamModeDetails {
    StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap()
}

#[tokio::test]
async fn an_on_demand_stream_begins_with_four_shards() {
    let world = World::start(quick()).await;
    world.client.create_stream().stream_name("s").stream_mode_details(on_demand()).send().await.unwrap();
    world.settled("s").await;
    let summary = world.client.describe_stream_summary().stream_name("s").send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    assert_eq!(summary.open_shard_count, 4);
    assert_eq!(summary.stream_mode_details.unwrap().stream_mode, StreamMode::OnDemand);
    let limits = world.client.describe_limits().send().await.unwrap();
    assert_eq!((limits.open_shard_count, limits.on_demand_stream_count), (4, 1));
    assert_eq!((limits.shard_limit, limits.on_demand_stream_count_limit), (1_000, 50));
    let update = world.client.update_shard_count().stream_name("s").target_shard_count(8);
    let (code, _) = refusal(update.scaling_type(ScalingType::UniformScaling).send().await);
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn an_on_demand_stream_is_warmed_where_the_account_has_committed_to_a_throughput() {
    let world = World::start(quick()).await;
    world.client.create_stream().stream_name("s").stream_mode_details(on_demand()).send().await.unwrap();
    world.create("p", 1).await;
    world.settled("s").await;
    let warm =
        |stream| world.client.update_stream_warm_throughput().stream_name(stream).warm_throughput_mibps(6).send();
    let (code, message) = refusal(warm("s").await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("MinimumThroughputBillingCommitment"), "{message}");

    let enabled = MinimumThroughputBillingCommitmentInputStatus::Enabled;
    let commitment = MinimumThroughputBillingCommitmentInput::builder().status(enabled).build().unwrap();
    let settings = world.client.update_account_settings().minimum_throughput_billing_commitment(commitment);
    settings.send().await.unwrap();
    assert_eq!(refusal(warm("p").await).0, "ValidationException", "a provisioned stream has its shards");
    let begun = warm("s").await.unwrap().warm_throughput.unwrap();
    assert_eq!((begun.current_mibps, begun.target_mibps), (Some(0), Some(6)));
    world.settled("s").await;
    let summary = world.client.describe_stream_summary().stream_name("s").send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    assert_eq!(summary.open_shard_count, 6);
    assert_eq!(summary.warm_throughput.unwrap().current_mibps, Some(6));
}

#[tokio::test]
async fn the_mode_of_a_stream_changes_twice_a_day() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let provisioned = StreamModeDetails::builder().stream_mode(StreamMode::Provisioned).build().unwrap();
    let change = async |to: &StreamModeDetails| {
        let request = world.client.update_stream_mode().stream_arn(stream_arn("s"));
        let answer = request.stream_mode_details(to.clone()).send().await;
        world.settled("s").await;
        answer
    };
    change(&on_demand()).await.unwrap();
    change(&provisioned).await.unwrap();
    assert_eq!(refusal(change(&on_demand()).await).0, "LimitExceededException");
}

#[tokio::test]
async fn the_arn_alone_names_a_stream_in_every_call() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let (client, arn) = (&world.client, stream_arn("s"));
    let shard = "shardId-000000000000";
    client.describe_stream_summary().stream_arn(&arn).send().await.unwrap();
    client.describe_stream().stream_arn(&arn).send().await.unwrap();
    client.list_shards().stream_arn(&arn).send().await.unwrap();
    let put = client.put_record().stream_arn(&arn).partition_key("k");
    put.data(aws_sdk_kinesis::primitives::Blob::new("a")).send().await.unwrap();
    let iterator = client.get_shard_iterator().stream_arn(&arn).shard_id(shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let read = client.get_records().stream_arn(&arn).set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
    assert_eq!(texts(&read.records), ["a"]);
    client.add_tags_to_stream().stream_arn(&arn).tags("a", "b").send().await.unwrap();
    client.list_tags_for_stream().stream_arn(&arn).send().await.unwrap();
    let update = client.update_shard_count().stream_arn(&arn).target_shard_count(2);
    update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
    world.settled("s").await;
    client.delete_stream().stream_arn(&arn).send().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named_with_its_account() {
    let world = World::start(quick()).await;
    let (code, message) = refusal(world.client.describe_stream_summary().stream_name("nope").send().await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, format!("Stream nope under account {ACCOUNT} not found."));
}

#[tokio::test]
async fn a_stream_with_registered_consumers_is_deleted_only_when_that_is_asked_for() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    world.consumer("s", "c").await;
    let (code, _) = refusal(world.client.delete_stream().stream_name("s").send().await);
    assert_eq!(code, "ResourceInUseException");
    world.delete("s").await;
    world.create("s", 1).await;
    assert!(world.data("s", "shardId-000000000000").await.is_empty());
}

#[tokio::test]
async fn streams_are_listed_in_pages() {
    let world = World::start(quick()).await;
    for name in ["c", "a", "b"] {
        world.create(name, 1).await;
    }
    let first = world.client.list_streams().limit(2).send().await.unwrap();
    assert_eq!((first.stream_names(), first.has_more_streams), (["a", "b"].map(str::to_owned).as_slice(), true));
    assert_eq!(first.stream_summaries()[0].stream_status, StreamStatus::Active);
    let second = world.client.list_streams().set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((second.stream_names(), second.has_more_streams), (["c".to_owned()].as_slice(), false));
}

#[tokio::test]
async fn tags_given_at_creation_and_later_are_listed_by_both_calls() {
    let world = World::start(quick()).await;
    world.client.create_stream().stream_name("s").shard_count(1).tags("weir:deployment", "w").send().await.unwrap();
    world.settled("s").await;
    let (client, arn) = (&world.client, stream_arn("s"));
    client.tag_resource().resource_arn(&arn).tags("a", "1").tags("b", "2").send().await.unwrap();
    client.remove_tags_from_stream().stream_name("s").tag_keys("a").send().await.unwrap();
    client.untag_resource().resource_arn(&arn).tag_keys("c").send().await.unwrap();
    let pair = |tag: &aws_sdk_kinesis::types::Tag| (tag.key.clone(), tag.value.clone().unwrap());
    let expected = [("b", "2"), ("weir:deployment", "w")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let of_stream = client.list_tags_for_stream().stream_name("s").send().await.unwrap();
    assert_eq!(of_stream.tags().iter().map(pair).collect::<Vec<_>>(), expected);
    let of_resource = client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap();
    assert_eq!(of_resource.tags().iter().map(pair).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn enhanced_monitoring_is_shown_as_it_was_and_as_it_will_be() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let on = world.client.enable_enhanced_monitoring().stream_name("s").shard_level_metrics(MetricsName::All);
    let on = on.send().await.unwrap();
    assert_eq!((on.current_shard_level_metrics().len(), on.desired_shard_level_metrics().len()), (0, 7));
    let off = world.client.disable_enhanced_monitoring().stream_name("s");
    let off = off.shard_level_metrics(MetricsName::IncomingBytes).send().await.unwrap();
    assert_eq!((off.current_shard_level_metrics().len(), off.desired_shard_level_metrics().len()), (7, 6));
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_refused_by_name() {
    let world = World::start(quick()).await;
    let (code, message) = refusal(world.client.get_resource_policy().resource_arn(stream_arn("s")).send().await);
    assert_eq!(code, "NotImplemented");
    assert!(message.contains("kinesis:GetResourcePolicy"), "{message}");
}
