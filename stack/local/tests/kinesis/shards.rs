//! `ListShards` and `DescribeStream`: filters and pages.

use aws_sdk_kinesis::types::{Shard, ShardFilter, ShardFilterType};

use crate::world::{World, quick};

fn ids(shards: &[Shard]) -> Vec<u32> {
    shards.iter().map(|shard| shard.shard_id.trim_start_matches("shardId-").parse().unwrap()).collect()
}

#[tokio::test]
async fn every_filter_lists_the_shards_it_names() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let before = world.put("s", "k", "a").await;
    let arrived = world.read("s", &before.0).await.records()[0].approximate_arrival_timestamp;
    world.update_shard_count("s", 2).await;
    world.update_shard_count("s", 3).await;
    let list = async |filter: ShardFilterType, shard: Option<&str>, time| {
        let filter = ShardFilter::builder().r#type(filter).set_shard_id(shard.map(str::to_owned)).set_timestamp(time);
        let request = world.client.list_shards().stream_name("s").shard_filter(filter.build().unwrap());
        ids(&request.send().await.unwrap().shards.unwrap())
    };
    // 0 splits into 1 and 2; 1 into 3 and 4; 2 into 5 and 6; 4 and 5 merge into 7.
    assert_eq!(list(ShardFilterType::FromTrimHorizon, None, None).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(ShardFilterType::AtTrimHorizon, None, None).await, [0]);
    assert_eq!(list(ShardFilterType::AtLatest, None, None).await, [3, 6, 7]);
    assert_eq!(list(ShardFilterType::AtTimestamp, None, arrived).await, [0]);
    assert_eq!(list(ShardFilterType::FromTimestamp, None, arrived).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(ShardFilterType::AfterShardId, Some("shardId-000000000005"), None).await, [6, 7]);
}

#[tokio::test]
async fn shards_are_listed_in_pages_by_token_and_by_start() {
    let world = World::start(quick()).await;
    world.create("s", 5).await;
    let first = world.client.list_shards().stream_name("s").max_results(2).send().await.unwrap();
    assert_eq!(ids(first.shards()), [0, 1]);
    let second = world.client.list_shards().set_next_token(first.next_token).max_results(2).send().await.unwrap();
    assert_eq!(ids(second.shards()), [2, 3]);
    let third = world.client.list_shards().set_next_token(second.next_token).send().await.unwrap();
    assert_eq!((ids(third.shards()), third.next_token), (vec![4], None));
    let start = world.client.list_shards().stream_name("s").exclusive_start_shard_id("shardId-000000000002");
    assert_eq!(ids(start.send().await.unwrap().shards()), [3, 4]);
}

#[tokio::test]
async fn a_stream_is_described_in_pages() {
    let world = World::start(quick()).await;
    world.create("s", 3).await;
    let page = async |after: Option<&str>| {
        let request = world.client.describe_stream().stream_name("s").limit(2);
        let answer = request.set_exclusive_start_shard_id(after.map(str::to_owned)).send().await.unwrap();
        let description = answer.stream_description.unwrap();
        (ids(description.shards()), description.has_more_shards)
    };
    assert_eq!(page(None).await, (vec![0, 1], true));
    assert_eq!(page(Some("shardId-000000000001")).await, (vec![2], false));
}
