//! Putting and reading records.

use aws_sdk_kinesis::{
    primitives::{Blob, DateTime},
    types::{PutRecordsRequestEntry, ShardIteratorType},
};

use crate::world::{World, quick, refusal, texts};

const SHARD: &str = "shardId-000000000000";

#[tokio::test]
async fn a_record_comes_back_as_it_was_put() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let key = "key \"quoted\" \\ and ünïcode";
    let data: Vec<u8> = (0..=255).collect();
    let request = world.client.put_record().stream_name("s").partition_key(key).data(Blob::new(data.clone()));
    let put = request.send().await.unwrap();
    let read = world.read("s", SHARD).await;
    let [record] = read.records() else { panic!("{read:?}") };
    assert_eq!(record.data.as_ref(), data);
    assert_eq!((record.partition_key(), record.sequence_number()), (Some(key), put.sequence_number()));
    assert!(read.next_shard_iterator.is_some());
    assert_eq!(read.child_shards, None);
}

#[tokio::test]
async fn sequence_numbers_have_56_digits_and_grow() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let mut last = world.shards("s").await[0].sequence_number_range().unwrap().starting_sequence_number.clone();
    for data in ["a", "b", "c"] {
        let (_, number) = world.put("s", "k", data).await;
        assert!(number.len() == 56 && number.starts_with("49") && number > last, "{number} after {last}");
        last = number;
    }
}

#[tokio::test]
async fn arrival_timestamps_have_milliseconds() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    for data in 0..20 {
        world.put("s", "k", &data.to_string()).await;
    }
    let read = world.read("s", SHARD).await;
    let times: Vec<_> = read.records().iter().map(|r| r.approximate_arrival_timestamp.unwrap()).collect();
    assert!(times.iter().any(|time| time.subsec_nanos() != 0), "{times:?}");
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn every_iterator_type_begins_where_it_says() {
    let world = World::start(quick()).await;
    world.create("s", 1).await;
    let mut numbers = Vec::new();
    for data in ["a", "b", "c"] {
        numbers.push(world.put("s", "k", data).await.1);
    }
    let arrivals = world.read("s", SHARD).await;
    let second = arrivals.records()[1].approximate_arrival_timestamp.unwrap();
    let since_second = arrivals.records().iter().filter(|r| r.approximate_arrival_timestamp.unwrap() >= second).count();
    let from = async |kind: ShardIteratorType, number: Option<&String>, time: Option<DateTime>| {
        let request = world.client.get_shard_iterator().stream_name("s").shard_id(SHARD).shard_iterator_type(kind);
        let request = request.set_starting_sequence_number(number.cloned()).set_timestamp(time);
        let iterator = request.send().await.unwrap().shard_iterator.unwrap();
        texts(&world.client.get_records().shard_iterator(iterator).send().await.unwrap().records)
    };
    assert_eq!(from(ShardIteratorType::TrimHorizon, None, None).await, ["a", "b", "c"]);
    assert_eq!(from(ShardIteratorType::AtSequenceNumber, Some(&numbers[1]), None).await, ["b", "c"]);
    assert_eq!(from(ShardIteratorType::AfterSequenceNumber, Some(&numbers[1]), None).await, ["c"]);
    assert_eq!(from(ShardIteratorType::AtTimestamp, None, Some(second)).await.len(), since_second);
    assert!(from(ShardIteratorType::Latest, None, None).await.is_empty());
}

#[tokio::test]
async fn a_number_of_another_stream_is_refused() {
    let world = World::start(quick()).await;
    world.create("s", 2).await;
    world.create("other", 1).await;
    let (_, foreign) = world.put("other", "k", "a").await;
    let request = world.client.get_shard_iterator().stream_name("s").shard_id("shardId-000000000001");
    let request = request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
    let (code, _) = refusal(request.starting_sequence_number(foreign).send().await);
    assert_eq!(code, "InvalidArgumentException");
}

#[tokio::test]
async fn put_records_routes_by_explicit_hash_key_and_by_partition_key() {
    let world = World::start(quick()).await;
    world.create("s", 2).await;
    let entry = |key: &str, hash: Option<&str>| {
        let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new("x"));
        entry.set_explicit_hash_key(hash.map(str::to_owned)).build().unwrap()
    };
    let max = u128::MAX.to_string();
    // The MD5 of "a" begins with 0c, that of "b" with 92.
    let records = [entry("a", None), entry("b", None), entry("a", Some(&max)), entry("b", Some("0"))];
    let request = world.client.put_records().stream_name("s").set_records(Some(records.to_vec()));
    let answer = request.send().await.unwrap();
    let shards: Vec<_> = answer.records().iter().map(|record| record.shard_id().unwrap_or("none")).collect();
    assert_eq!(answer.failed_record_count, Some(0));
    assert_eq!(shards, [SHARD, "shardId-000000000001", "shardId-000000000001", SHARD]);
}

#[tokio::test]
async fn get_records_pages_by_count_and_by_ten_mebibytes() {
    let settings = localcloud::kinesis::Settings { write_bytes_per_second: 1 << 30, ..quick() };
    let settings = localcloud::kinesis::Settings { read_bytes_per_second: 1 << 30, ..settings };
    let world = World::start(settings).await;
    world.create("s", 1).await;
    let large = "x".repeat(1_000_000);
    for _ in 0..12 {
        world.put("s", "k", &large).await;
    }
    let first = world.read("s", SHARD).await;
    assert_eq!(first.records.len(), 10, "eleven would be above 10 MiB");
    assert!(first.millis_behind_latest.is_some());
    let rest = world.client.get_records().shard_iterator(first.next_shard_iterator.unwrap()).limit(1);
    let rest = rest.send().await.unwrap();
    assert_eq!(rest.records.len(), 1);
    let last = world.client.get_records().shard_iterator(rest.next_shard_iterator.unwrap()).send().await.unwrap();
    assert_eq!((last.records.len(), last.millis_behind_latest), (1, Some(0)));
}
