//! PutRecords of 500 x 100 B: localcloud beside ferrokinesis 0.7, in one run, through the same SDK client.
//!
//! Rounds alternate between the two, so that whatever else the machine does falls on both. Quotas are off in both.
//! Run with `cargo run --release --manifest-path stack/local/benches/peer/Cargo.toml`.

use std::{error::Error, time::Instant};

use aws_sdk_kinesis::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::PutRecordsRequestEntry,
};
use ferrokinesis::store::StoreOptions;
use localcloud::{LocalCloud, Settings};
use tokio::net::TcpListener;

const STREAM: &str = "bench";
const SHARDS: i32 = 4;
const ENTRIES: usize = 500;
const ENTRY_BYTES: usize = 100;
const CALLS_PER_ROUND: usize = 200;
const ROUNDS: usize = 5;
const CONCURRENCY: usize = 4;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut settings = Settings::new(directory.path().to_owned());
    settings.listen = ([127, 0, 0, 1], 0).into();
    settings.balancer.listen = ([127, 0, 0, 1], 0).into();
    settings.kinesis.write_bytes_per_second = u64::MAX / 1_000_000;
    settings.kinesis.write_records_per_second = u64::MAX / 1_000_000;
    let cloud = LocalCloud::start(settings).await?;
    let ours = client(cloud.endpoint_url());
    let theirs = client(&ferrokinesis().await?);
    create(&ours).await?;
    create(&theirs).await?;

    let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let our_rate = round_rate(&ours).await?;
        let their_rate = round_rate(&theirs).await?;
        println!("round {round}: localcloud {our_rate:>9.0} records/s, ferrokinesis {their_rate:>9.0} records/s");
        our_rates.push(our_rate);
        their_rates.push(their_rate);
    }
    println!("ratio of the medians: {:.2}", median(our_rates) / median(their_rates));
    cloud.stop().await;
    Ok(())
}

async fn ferrokinesis() -> Result<String, Failure> {
    let options = StoreOptions { create_stream_ms: 10, shard_limit: 100, ..StoreOptions::default() };
    let (app, _store) = ferrokinesis::create_app(options);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

fn client(url: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "bench"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

async fn create(client: &Client) -> Result<(), Failure> {
    client.create_stream().stream_name(STREAM).shard_count(SHARDS).send().await?;
    for _ in 0..100 {
        let summary = client.describe_stream_summary().stream_name(STREAM).send().await?;
        let status = summary.stream_description_summary().map(|summary| summary.stream_status().as_str().to_owned());
        if status.as_deref() == Some("ACTIVE") {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err("the stream did not become ACTIVE".into())
}

/// Records per second over one round of concurrent callers.
async fn round_rate(client: &Client) -> Result<f64, Failure> {
    let started = Instant::now();
    let callers = (0..CONCURRENCY).map(|_| tokio::spawn(put(client.clone(), CALLS_PER_ROUND / CONCURRENCY)));
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok((CALLS_PER_ROUND * ENTRIES) as f64 / started.elapsed().as_secs_f64())
}

async fn put(client: Client, calls: usize) -> Result<(), Failure> {
    for call in 0..calls {
        let entries = (0..ENTRIES)
            .map(|entry| {
                PutRecordsRequestEntry::builder()
                    .partition_key(format!("{call}-{entry}"))
                    .data(Blob::new([b'x'; ENTRY_BYTES]))
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let answer = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await?;
        if answer.failed_record_count() != Some(0) {
            return Err(format!("{:?} entries failed", answer.failed_record_count()).into());
        }
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
