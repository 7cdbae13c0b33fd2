//! Fetch ▸ unpack ▸ `log` to a null sink.

use std::{process::Stdio, sync::Arc};

use aws_sdk_kinesis::{primitives::Blob, types::Record};
use dataplane::{
    aggregation::HashKey,
    consumer::{lines, user_records},
};

use crate::{
    process::{Process, cpu},
    world::{AGGREGATE_RECORDS, World, aggregate},
};

const AGGREGATES: usize = 4000;
const SHARDS: i32 = 16;

pub(crate) async fn run() {
    let (world, records) = (World::start().await, (AGGREGATES * AGGREGATE_RECORDS) as u64);
    world.create("filled", SHARDS).await;
    world.fill("filled", AGGREGATES).await;
    let bare = bare();
    let consumer = Process::start(&world, "filled", "throughput", &[], Stdio::null());
    consumer.until_processed(records).await;
    let whole = records as f64 / consumer.cpu();
    println!(
        "| fetch ▸ unpack ▸ `log`, user records per CPU-second | {:.2} M | unpack ▸ `log` alone: {:.2} M | {:.2} | 2 M |",
        whole / 1e6,
        bare / 1e6,
        whole / bare
    );
}

/// The same without the network: user records per CPU-second of this process, which does nothing else meanwhile.
fn bare() -> f64 {
    const ROUNDS: usize = 3000;
    let (data, shard) = (aggregate(HashKey(0)), Arc::from("shardId-000000000000"));
    let before = cpu(std::process::id());
    for _ in 0..ROUNDS {
        let record = Record::builder()
            .sequence_number("4959033827149025660855969253836157109592157598913658889")
            .partition_key("a")
            .data(Blob::new(data.clone()))
            .build()
            .expect("complete");
        let records = user_records(record, &shard);
        std::hint::black_box(lines(&records).expect("lines"));
    }
    (ROUNDS * AGGREGATE_RECORDS) as f64 / (cpu(std::process::id()) - before)
}
