//! A stream on an endpoint that takes and gives at once.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::{
    Client,
    config::Credentials,
    primitives::Blob,
    types::{ConsumerStatus, PutRecordsRequestEntry, StreamDescriptionSummary, StreamStatus},
};
use dataplane::aggregation::{Aggregate, HashKey};
use localcloud::LocalCloud;
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) endpoint_url: String,
    pub(crate) kinesis: Client,
    cloud: Option<LocalCloud>,
    _directory: TempDir,
}

/// How much of a shard may be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotas {
    /// Two megabytes a second, five calls a second.
    OfAws,
    /// None, so that what is measured is the program.
    Off,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Quotas::Off).await
    }

    pub(crate) async fn start_with(reading: Quotas) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = localcloud::Settings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        settings.kinesis.write_bytes_per_second = 1 << 40;
        settings.kinesis.write_records_per_second = 1 << 30;
        if reading == Quotas::Off {
            settings.kinesis.read_bytes_per_second = 1 << 40;
            settings.kinesis.read_calls_per_second = 1 << 30;
            settings.kinesis.fan_out_bytes_per_second = 1 << 40;
        }
        settings.kinesis.retained_bytes_max = 4 << 30;
        let cloud = LocalCloud::start(settings).await.expect("an endpoint");
        let endpoint_url = cloud.endpoint_url().to_owned();
        Self { kinesis: kinesis(&endpoint_url).await, endpoint_url, cloud: Some(cloud), _directory: directory }
    }

    pub(crate) async fn create(&self, stream: &str, shards: i32) {
        self.kinesis.create_stream().stream_name(stream).shard_count(shards).send().await.expect("a stream");
        loop {
            let summary = self.kinesis.describe_stream_summary().stream_name(stream).send().await.expect("a summary");
            let status = summary.stream_description_summary().map(StreamDescriptionSummary::stream_status);
            if status == Some(&StreamStatus::Active) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Registers a consumer of a stream for fan-out and returns its ARN.
    pub(crate) async fn register(&self, stream: &str, name: &str) -> String {
        let summary = self.kinesis.describe_stream_summary().stream_name(stream).send().await.expect("a summary");
        let stream_arn = summary.stream_description_summary().map(|summary| summary.stream_arn().to_owned());
        let registering = self.kinesis.register_stream_consumer().set_stream_arn(stream_arn).consumer_name(name);
        let consumer = registering.send().await.expect("registered").consumer.expect("a consumer");
        loop {
            let described = self.kinesis.describe_stream_consumer().consumer_arn(consumer.consumer_arn());
            let described = described.send().await.expect("a description").consumer_description;
            if described.is_some_and(|description| *description.consumer_status() == ConsumerStatus::Active) {
                return consumer.consumer_arn;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Puts a record on its own.
    pub(crate) async fn put(&self, stream: &str, data: &str, hash: u128) {
        let put = self.kinesis.put_record().stream_name(stream).partition_key("k").data(Blob::new(data));
        put.explicit_hash_key(hash.to_string()).send().await.expect("stored");
    }

    /// Puts a record into each of `shards` equal parts of the hash range.
    pub(crate) async fn put_everywhere(&self, stream: &str, shards: u128) {
        let step = u128::MAX / shards;
        let entries = (0..shards).map(|shard| {
            let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("x"));
            entry.explicit_hash_key((step * shard + step / 2).to_string()).build().expect("complete")
        });
        let put = self.kinesis.put_records().stream_name(stream).set_records(Some(entries.collect()));
        assert_eq!(put.send().await.expect("stored").failed_record_count, Some(0));
    }

    /// Puts so many aggregates like [`aggregate`], spread over the whole hash range.
    pub(crate) async fn fill(&self, stream: &str, aggregates: usize) {
        const TOGETHER: usize = 50;
        let step = u128::MAX / aggregates as u128;
        for first in (0..aggregates).step_by(TOGETHER) {
            let entries = (first..aggregates.min(first + TOGETHER)).map(|number| {
                let hash = step * number as u128;
                let entry = PutRecordsRequestEntry::builder().partition_key("a").explicit_hash_key(hash.to_string());
                entry.data(Blob::new(aggregate(HashKey(hash)))).build().expect("complete")
            });
            let put = self.kinesis.put_records().stream_name(stream).set_records(Some(entries.collect()));
            assert_eq!(put.send().await.expect("stored").failed_record_count, Some(0));
        }
    }
}

/// A client of an endpoint.
pub(crate) async fn kinesis(endpoint_url: &str) -> Client {
    let sdk: SdkConfig = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint_url)
        .load()
        .await;
    Client::new(&sdk)
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.cloud.take());
    }
}

/// User records in one aggregate.
pub(crate) const AGGREGATE_RECORDS: usize = 450;

/// About 50 KB, as the KPL makes them: 450 records of 100 bytes with ten keys.
pub(crate) fn aggregate(hash: HashKey) -> Vec<u8> {
    let mut aggregate = Aggregate::default();
    for number in 0..AGGREGATE_RECORDS {
        let data = format!("{{\"number\":{number:08},\"text\":\"{}\"}}", "x".repeat(72));
        aggregate.push(&format!("key-{}", number % 10), true, data.as_bytes());
    }
    aggregate.finish(hash).data
}
