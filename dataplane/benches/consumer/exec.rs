//! The `exec` processor beside a bare pipe: the same program gets the same messages, in wall time.
//!
//! With one shard the endpoint keeps no quotas and the consumer reads with fan-out, which has no pace of its own, so that
//! the program is the bottleneck. With sixteen shards all is as on AWS.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    process::Process,
    world::{AGGREGATE_RECORDS, Quotas, World},
};

const STREAM: &str = "filled";

/// Reads messages, decodes every record, and checkpoints never.
const PROGRAM: &str = r#"
import base64, json, sys
for line in sys.stdin:
    message = json.loads(line)
    for record in message.get("records", []):
        base64.b64decode(record["data"])
    sys.stdout.write('\n{"action":"status","responseFor":"%s"}\n' % message["action"])
    sys.stdout.flush()
"#;

/// The same with amazon_kclpy.
const KCLPY_PROGRAM: &str = r#"
from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor

class Processor(processor.RecordProcessorBase):
    def initialize(self, given):
        pass
    def process_records(self, given):
        for record in given.records:
            record.binary_data
    def lease_lost(self, given):
        pass
    def shard_ended(self, given):
        given.checkpointer.checkpoint()
    def shutdown_requested(self, given):
        pass

kcl.KCLProcess(Processor()).run()
"#;

/// Where `.ci/peers` puts amazon_kclpy, whose installation would want a JVM's jars.
const KCLPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/amazon_kclpy-3.2.0");

pub(crate) async fn run() {
    let plain = ["python3", "-c", PROGRAM].map(str::to_owned).to_vec();
    one("a Python program", &plain, 2000).await;
    if Path::new(KCLPY).is_dir() {
        let path = format!("PYTHONPATH={KCLPY}");
        let kclpy = ["env", &path, "python3", "-c", KCLPY_PROGRAM].map(str::to_owned).to_vec();
        one("a processor of amazon_kclpy", &kclpy, 1000).await;
    } else {
        eprintln!("skipped: amazon_kclpy, which `.ci/peers` would put at {KCLPY}");
    }
    sixteen(&plain).await;
}

/// One program that gets so many aggregates as fast as it takes them.
async fn one(what: &str, program: &[String], aggregates: usize) {
    let world = World::start_with(Quotas::Off).await;
    world.create(STREAM, 1).await;
    world.fill(STREAM, aggregates).await;
    let arn = world.register(STREAM, "bench").await;
    let records = aggregates * AGGREGATE_RECORDS;
    let before = bare(program, records);
    let through = through(&world, program, records, &["--retrieval", "fanout", "--consumer-arn", &arn]).await;
    let bare = f64::midpoint(before, bare(program, records));
    println!(
        "| {what} under `exec`, records per second | {:.0} k | the same at a bare pipe: {:.0} k | {:.2} | 0.9 |",
        through / 1e3,
        bare / 1e3,
        through / bare
    );
}

/// Sixteen programs whose shards give what they give on AWS.
async fn sixteen(program: &[String]) {
    const SHARDS: usize = 16;
    const AGGREGATES: usize = 4000;
    let world = World::start_with(Quotas::OfAws).await;
    world.create(STREAM, SHARDS as i32).await;
    world.fill(STREAM, AGGREGATES).await;
    let records = AGGREGATES * AGGREGATE_RECORDS;
    let programs: Vec<_> = (0..SHARDS).map(|_| program.to_vec()).collect();
    let bare: f64 = thread::scope(|scope| {
        let fed: Vec<_> = programs.iter().map(|program| scope.spawn(move || bare(program, records / SHARDS))).collect();
        fed.into_iter().map(|fed| fed.join().expect("fed")).sum()
    });
    let through = through(&world, program, records, &["--retrieval", "polling"]).await;
    println!(
        "| sixteen of them, whose shards keep AWS's quotas, records per second | {:.0} k | sixteen at bare pipes: {:.0} k | {:.2} | - |",
        through / 1e3,
        bare / 1e3,
        through / bare
    );
}

/// Records per second that get through a consumer to its programs, from the first message that one has answered on.
async fn through(world: &World, program: &[String], records: usize, retrieval: &[&str]) -> f64 {
    let command = json!(program).to_string();
    let arguments = [&["--processor", "exec", "--exec-command", &command], retrieval].concat();
    let consumer = Process::start(world, STREAM, "exec", &arguments, Stdio::null());
    consumer.until_processed(1).await;
    let (from, begun_at) = (consumer.processed().await.unwrap_or(0), Instant::now());
    consumer.until_processed_looking_every(Duration::from_millis(50), records as u64).await;
    (records as u64 - from) as f64 / (Instant::now() - begun_at).as_secs_f64()
}

/// Records per second that the program takes from a pipe whose writer has nothing else to do.
fn bare(program: &[String], records: usize) -> f64 {
    const TOGETHER: usize = 2000;
    let message = message(TOGETHER);
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let (mut input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut output = BufReader::new(output).lines();
    let mut ask = |text: &str| {
        input.write_all(text.as_bytes()).expect("written");
        output.by_ref().find(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
    };
    ask(
        "{\"action\":\"initialize\",\"shardId\":\"shardId-000000000000\",\"sequenceNumber\":\"TRIM_HORIZON\",\"subSequenceNumber\":0}\n",
    );
    let begun_at = Instant::now();
    for _ in 0..records / TOGETHER {
        ask(&message);
    }
    let rate = (records / TOGETHER * TOGETHER) as f64 / (Instant::now() - begun_at).as_secs_f64();
    drop(input);
    let _ = child.wait();
    rate
}

/// A message of so many records like those in the stream.
fn message(records: usize) -> String {
    let data = BASE64_STANDARD.encode(format!("{{\"number\":{:08},\"text\":\"{}\"}}", 1, "x".repeat(72)));
    let record = json!({
        "action": "record", "data": data, "partitionKey": "key-1",
        "sequenceNumber": "4959033827149025660855969253836157109592157598913658889",
        "approximateArrivalTimestamp": 1_700_000_000_000_u64, "subSequenceNumber": 1,
    });
    let records = vec![record; records];
    format!("{}\n", json!({"action": "processRecords", "records": records, "millisBehindLatest": 0}))
}
