//! The quotas and their errors.

use aws_sdk_kinesis::{
    primitives::Blob,
    types::{PutRecordsRequestEntry, ScalingType},
};
use localcloud::kinesis::Settings;

use crate::world::{World, quick, refusal};

fn entries(count: usize, bytes: usize) -> Option<Vec<PutRecordsRequestEntry>> {
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new(vec![b'x'; bytes]));
    Some(vec![entry.build().unwrap(); count])
}

#[tokio::test]
async fn a_call_takes_500_records_of_one_mebibyte_and_ten_in_all() {
    let world = World::start(Settings { write_bytes_per_second: 1 << 30, ..quick() }).await;
    world.create("s", 1).await;
    let put = |records| world.client.put_records().stream_name("s").set_records(records).send();
    assert_eq!(refusal(put(entries(501, 1)).await).0, "ValidationException");
    assert_eq!(refusal(put(entries(1, 1 << 20)).await).0, "ValidationException", "the key counts, too");
    put(entries(1, (1 << 20) - 1)).await.unwrap();
    assert_eq!(refusal(put(entries(11, 1_000_000)).await).0, "InvalidArgumentException");
}

#[tokio::test]
async fn an_account_has_a_limit_of_open_shards_that_a_reshard_needs_too() {
    let world = World::start(Settings { shard_limit: 5, ..quick() }).await;
    world.create("s", 3).await;
    let (code, message) = refusal(world.client.create_stream().stream_name("t").shard_count(3).send().await);
    assert_eq!(code, "LimitExceededException");
    assert!(message.contains("Current shard count for the account: 3. Limit: 5."), "{message}");
    let update = |target| {
        let request = world.client.update_shard_count().stream_name("s").target_shard_count(target);
        request.scaling_type(ScalingType::UniformScaling).send()
    };
    assert_eq!(refusal(update(4).await).0, "LimitExceededException", "3 to 4 has six shards in between");
    assert_eq!(refusal(update(6).await).0, "LimitExceededException");
    update(2).await.unwrap();
}

#[tokio::test]
async fn a_target_above_double_or_below_half_is_refused_with_the_counts() {
    let world = World::start(quick()).await;
    world.create("s", 4).await;
    let update = |target| {
        let request = world.client.update_shard_count().stream_name("s").target_shard_count(target);
        request.scaling_type(ScalingType::UniformScaling).send()
    };
    let (code, message) = refusal(update(9).await);
    assert_eq!(code, "LimitExceededException");
    assert_eq!(
        message,
        "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4, \
         Target shard count: 9"
    );
    assert_eq!(refusal(update(1).await).0, "LimitExceededException");
}

#[tokio::test]
async fn streams_hold_no_more_than_their_bound_and_lose_the_oldest_records_first() {
    let settings = Settings { retained_bytes_max: 100_000, ..quick() };
    let world = World::start(settings).await;
    world.create("s", 1).await;
    for number in 0..30 {
        world.put("s", "k", &format!("{number:10000}")).await;
    }
    let kept = world.data("s", "shardId-000000000000").await;
    assert!((8..=9).contains(&kept.len()), "{} records of 10 kB", kept.len());
    assert!(kept.last().unwrap().ends_with("29"));
}
