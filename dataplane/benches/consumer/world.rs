//! A stream on an endpoint that takes and gives at once.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::{
    Client,
    config::Credentials,
    primitives::Blob,
    types::{PutRecordsRequestEntry, StreamDescriptionSummary, StreamStatus},
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

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = localcloud::Settings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        settings.kinesis.write_bytes_per_second = 1 << 40;
        settings.kinesis.write_records_per_second = 1 << 30;
        settings.kinesis.read_bytes_per_second = 1 << 40;
        settings.kinesis.retained_bytes_max = 4 << 30;
        let cloud = LocalCloud::start(settings).await.expect("an endpoint");
        let sdk: SdkConfig = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(cloud.endpoint_url())
            .load()
            .await;
        let endpoint_url = cloud.endpoint_url().to_owned();
        Self { endpoint_url, kinesis: Client::new(&sdk), cloud: Some(cloud), _directory: directory }
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

    /// Puts a record on its own.
    pub(crate) async fn put(&self, stream: &str, data: &str, hash: u128) {
        let put = self.kinesis.put_record().stream_name(stream).partition_key("k").data(Blob::new(data));
        put.explicit_hash_key(hash.to_string()).send().await.expect("stored");
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
