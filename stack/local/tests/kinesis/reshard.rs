//! Split, merge and update of the shard count, as a reader of the stream sees them.

use std::collections::BTreeSet;

use aws_sdk_kinesis::types::Shard;

use crate::world::{World, quick, refusal, texts};

fn lineage(shard: &Shard) -> (&str, Option<&str>, Option<&str>) {
    (shard.shard_id(), shard.parent_shard_id(), shard.adjacent_parent_shard_id())
}

fn range(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().unwrap();
    (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap())
}

#[tokio::test]
async fn doubling_gives_each_shard_two_children_with_half_its_range() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    world.update_shard_count("s", 2).await;
    let shards = world.shards("s").await;
    let parent = Some("shardId-000000000000");
    assert_eq!(
        shards.iter().map(lineage).collect::<Vec<_>>(),
        [
            ("shardId-000000000000", None, None),
            ("shardId-000000000001", parent, None),
            ("shardId-000000000002", parent, None)
        ]
    );
    assert_eq!(range(&shards[1]), (0, u128::MAX / 2));
    assert_eq!(range(&shards[2]), (u128::MAX / 2 + 1, u128::MAX));
    let numbers = |shard: &Shard| shard.sequence_number_range.clone().unwrap();
    let end = numbers(&shards[0]).ending_sequence_number.expect("a closed shard has an end");
    assert!(numbers(&shards[1]).starting_sequence_number > end);
    assert_eq!(numbers(&shards[1]).ending_sequence_number, None);
}

#[tokio::test]
async fn halving_merges_pairs_that_both_are_parents() {
    let world = World::start(quick()).await;
    world.create("s", 2).await;
    world.update_shard_count("s", 1).await;
    let shards = world.shards("s").await;
    let both = (Some("shardId-000000000000"), Some("shardId-000000000001"));
    assert_eq!(lineage(&shards[2]), ("shardId-000000000002", both.0, both.1));
    assert_eq!(range(&shards[2]), (0, u128::MAX));
}

#[tokio::test]
async fn a_split_at_a_key_and_a_merge_of_its_children() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let split = world.client.split_shard().stream_name("s").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key("1000").send().await.unwrap();
    world.settled("s").await;
    let shards = world.shards("s").await;
    assert_eq!((range(&shards[1]), range(&shards[2])), ((0, 999), (1000, u128::MAX)));
    let merge = || {
        let merge = world.client.merge_shards().stream_name("s").shard_to_merge("shardId-000000000001");
        merge.adjacent_shard_to_merge("shardId-000000000002").send()
    };
    merge().await.unwrap();
    world.settled("s").await;
    assert_eq!(range(&world.shards("s").await[3]), (0, u128::MAX));
    assert_eq!(refusal(merge().await).0, "InvalidArgumentException", "both are closed");
}

#[tokio::test]
async fn the_end_of_a_closed_shard_names_its_children_and_has_no_next_iterator() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    world.put("s", "k", "a").await;
    let iterator = world.iterator("s", "shardId-000000000000").await;
    let open = world.client.get_records().shard_iterator(iterator).send().await.unwrap();
    assert!(open.next_shard_iterator.is_some() && open.child_shards.is_none());
    world.update_shard_count("s", 2).await;
    let end = world.client.get_records().set_shard_iterator(open.next_shard_iterator).send().await.unwrap();
    assert_eq!((end.next_shard_iterator, end.millis_behind_latest), (None, Some(0)));
    let children = end.child_shards.unwrap();
    let named: Vec<_> = children.iter().map(|child| (child.shard_id(), child.parent_shards())).collect();
    let parents = ["shardId-000000000000".to_owned()];
    assert_eq!(named, [("shardId-000000000001", &parents[..]), ("shardId-000000000002", &parents[..])]);
    assert!(children.iter().all(|child| child.hash_key_range.is_some()));
}

#[tokio::test]
async fn every_record_of_a_stream_that_is_resharded_is_read_once_by_following_the_children() {
    let world = World::start(quick()).await;
    world.create("s", 2).await;
    let mut put = BTreeSet::new();
    for (round, target) in [4, 3, 5, 3, 2].into_iter().enumerate() {
        for number in 0..40 {
            let data = format!("{round}-{number}");
            world.put("s", &data, &data).await;
            put.insert(data);
        }
        world.update_shard_count("s", target).await;
    }
    let mut to_read: Vec<String> = ["shardId-000000000000", "shardId-000000000001"].map(str::to_owned).to_vec();
    let (mut finished, mut read) = (BTreeSet::new(), BTreeSet::new());
    while let Some(shard) = to_read.pop() {
        let answer = world.read("s", &shard).await;
        for data in texts(&answer.records) {
            assert!(read.insert(data), "a record of {shard} was read twice");
        }
        finished.insert(shard);
        for child in answer.child_shards.unwrap_or_default() {
            let ready = child.parent_shards.iter().all(|parent| finished.contains(parent));
            if ready && !to_read.contains(&child.shard_id) {
                to_read.push(child.shard_id);
            }
        }
    }
    assert_eq!(read, put);
    let all: BTreeSet<_> = world.shards("s").await.into_iter().map(|shard| shard.shard_id).collect();
    assert_eq!(finished, all, "every shard is reached from the first ones");
}
