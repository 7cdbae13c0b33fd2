//! The `exec` processor beside a bare pipe: the same program gets the same messages, in wall time.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    process::Process,
    world::{AGGREGATE_RECORDS, World},
};

const AGGREGATES: usize = 400;

/// Reads messages as amazon_kclpy does, decodes every record, and checkpoints when the shard is taken away.
const PROGRAM: &str = r#"
import base64, json, sys
for line in sys.stdin:
    message = json.loads(line)
    for record in message.get("records", []):
        base64.b64decode(record["data"])
    if message["action"] != "checkpoint":
        sys.stdout.write('\n{"action":"status","responseFor":"%s"}\n' % message["action"])
        sys.stdout.flush()
"#;

pub(crate) async fn run() {
    let (world, records) = (World::start().await, (AGGREGATES * AGGREGATE_RECORDS) as u64);
    world.create("filled", 1).await;
    world.fill("filled", AGGREGATES).await;
    let bare = bare(AGGREGATES * AGGREGATE_RECORDS);
    let command = json!(["python3", "-c", PROGRAM]).to_string();
    let arguments = ["--processor", "exec", "--exec-command", &command];
    let consumer = Process::start(&world, "filled", "exec", &arguments, Stdio::null());
    // Python and the first call of Kinesis take their time whatever follows.
    consumer.until_processed(1).await;
    let (from, begun_at) = (consumer.processed().await.unwrap_or(0), Instant::now());
    consumer.until_processed(records).await;
    let through = (records - from) as f64 / (Instant::now() - begun_at).as_secs_f64();
    println!(
        "| a Python program under `exec`, records per second | {:.0} k | the same program at a bare pipe: {:.0} k | {:.2} | 0.9 |",
        through / 1e3,
        bare / 1e3,
        through / bare
    );
}

/// Records per second that the program takes from a pipe.
fn bare(records: usize) -> f64 {
    const TOGETHER: usize = 2000;
    let data = BASE64_STANDARD.encode(format!("{{\"number\":{:08},\"text\":\"{}\"}}", 1, "x".repeat(72)));
    let record = json!({
        "action": "record", "data": data, "partitionKey": "key-1",
        "sequenceNumber": "4959033827149025660855969253836157109592157598913658889",
        "approximateArrivalTimestamp": 1_700_000_000_000_u64, "subSequenceNumber": 1,
    });
    let records_of_one = vec![record; TOGETHER];
    let message = json!({"action": "processRecords", "records": records_of_one, "millisBehindLatest": 0});
    let message = format!("{message}\n");
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
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
    ask("{\"action\":\"initialize\"}\n");
    let begun_at = Instant::now();
    for _ in 0..records / TOGETHER {
        ask(&message);
    }
    let rate = (records / TOGETHER * TOGETHER) as f64 / (Instant::now() - begun_at).as_secs_f64();
    drop(input);
    let _ = child.wait();
    rate
}
