//! Fetch ▸ unpack ▸ `log` to a null sink, in user records per CPU-second of the consumer's process.
//!
//! Everything that the process does counts, from the first record on: calls, renewals, reports. Beside it stands what
//! the SDK takes to fetch the same records and drop them, in a process of its own, and the rest without a network.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use aws_sdk_kinesis::{
    primitives::Blob,
    types::{Record, ShardIteratorType},
};
use dataplane::{
    aggregation::HashKey,
    consumer::{lines, user_records},
};

use crate::{
    process::{Process, cpu},
    world::{AGGREGATE_RECORDS, World, aggregate, kinesis},
};

const AGGREGATES: usize = 6000;
const SHARDS: i32 = 16;
const STREAM: &str = "filled";

/// Kinesis records that the SDK alone asks for at once: about as many as the consumer does.
const TOGETHER: i32 = 80;

/// Kinesis records that the consumer unpacks at once.
const UNPACKED_TOGETHER: usize = 16;

/// Each look costs the process some of the time that is measured.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn run() {
    let world = World::start().await;
    world.create(STREAM, SHARDS).await;
    world.fill(STREAM, AGGREGATES).await;
    let arn = world.register(STREAM, "bench").await;
    let (floor, rest) = (floor(&world), rest());
    let polling = whole(&world, "polling", &["--retrieval", "polling"]).await;
    let fan_out = whole(&world, "fanout", &["--retrieval", "fanout", "--consumer-arn", &arn]).await;
    print("fetch ▸ unpack ▸ `log` by polling", polling, "GetRecords of the SDK alone", floor);
    print("the same with fan-out", fan_out, "GetRecords of the SDK alone", floor);
    print("unpack ▸ `log` alone", rest, "GetRecords of the SDK alone", floor);
}

fn print(what: &str, figure: f64, against: &str, baseline: f64) {
    let (figure, baseline) = (figure / 1e6, baseline / 1e6);
    let ratio = figure / baseline;
    println!("| {what}, user records per CPU-second | {figure:.2} M | {against}: {baseline:.2} M | {ratio:.2} | 2 M |");
}

/// What a consumer does with all of it.
async fn whole(world: &World, application: &str, arguments: &[&str]) -> f64 {
    let consumer = Process::start(world, STREAM, application, arguments, Stdio::null());
    consumer.until_processed(1).await;
    let (from, before) = (consumer.processed().await.unwrap_or(0), consumer.cpu());
    consumer.until_processed_looking_every(LOOK_EVERY, (AGGREGATES * AGGREGATE_RECORDS) as u64).await;
    ((AGGREGATES * AGGREGATE_RECORDS) as u64 - from) as f64 / (consumer.cpu() - before)
}

/// What the SDK does with all of it in a process that does nothing else.
fn floor(world: &World) -> f64 {
    let this = std::env::current_exe().expect("a path");
    let fetched = Command::new(this).args(["--bench", "fetch", &world.endpoint_url]).output().expect("a process");
    let seconds = String::from_utf8_lossy(&fetched.stdout).trim().parse::<f64>().expect("seconds");
    (AGGREGATES * AGGREGATE_RECORDS) as f64 / seconds
}

/// Fetches all records of the stream with the SDK, drops them, and prints the CPU seconds that it took.
pub(crate) async fn fetch(endpoint_url: &str) {
    let client = kinesis(endpoint_url).await;
    let shards = client.list_shards().stream_name(STREAM).send().await.expect("shards").shards.unwrap_or_default();
    let (before, mut fetched) = (cpu(std::process::id()), 0);
    for shard in shards {
        let iterator = client.get_shard_iterator().stream_name(STREAM).shard_id(shard.shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("an iterator");
        let mut iterator = iterator.shard_iterator;
        loop {
            let page = client.get_records().set_shard_iterator(iterator).limit(TOGETHER).send().await.expect("a page");
            fetched += page.records.len();
            iterator = page.next_shard_iterator;
            if page.records.is_empty() {
                break;
            }
        }
    }
    assert_eq!(fetched, AGGREGATES);
    println!("{}", cpu(std::process::id()) - before);
}

/// The same without the network: user records per CPU-second of this process, which does nothing else meanwhile.
fn rest() -> f64 {
    const ROUNDS: usize = 400;
    let (data, shard) = (aggregate(HashKey(0)), Arc::from("shardId-000000000000"));
    let record = |_| {
        Record::builder()
            .sequence_number("4959033827149025660855969253836157109592157598913658889")
            .partition_key("a")
            .data(Blob::new(data.clone()))
            .build()
            .expect("complete")
    };
    let before = cpu(std::process::id());
    for _ in 0..ROUNDS {
        let records = user_records((0..UNPACKED_TOGETHER).map(record).collect(), &shard);
        for records in records.chunks(2000) {
            std::hint::black_box(lines(records));
        }
    }
    (ROUNDS * UNPACKED_TOGETHER * AGGREGATE_RECORDS) as f64 / (cpu(std::process::id()) - before)
}
