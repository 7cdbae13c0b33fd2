//! A running endpoint and its client.

use std::{path::PathBuf, time::Duration};

use aws_sdk_kinesis::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::get_records::GetRecordsOutput,
    primitives::Blob,
    types::{Shard, ShardIteratorType, StreamStatus},
};
use localcloud::{LocalCloud, kinesis};

const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

pub(crate) const ACCOUNT: &str = "000000000000";

/// Delays so short that a test need not wait for them.
pub(crate) fn quick() -> kinesis::Settings {
    let delay = Duration::from_millis(1);
    kinesis::Settings {
        create_delay: delay,
        delete_delay: delay,
        update_delay: delay,
        consumer_delay: delay,
        reshard_delay: delay,
        reshard_step: delay,
        read_calls_per_second: 1_000_000,
        ..kinesis::Settings::default()
    }
}

pub(crate) struct World {
    _cloud: LocalCloud,
    pub(crate) client: Client,
    _directory: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) async fn start(settings: kinesis::Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { _directory: None, ..Self::start_in(directory.path().to_owned(), settings).await }.keeping(directory)
    }

    pub(crate) async fn start_in(directory: PathBuf, settings: kinesis::Settings) -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        let settings = localcloud::Settings { listen, kinesis: settings, ..localcloud::Settings::new(directory) };
        let cloud = LocalCloud::start(settings).await.unwrap();
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(cloud.endpoint_url())
            .build();
        Self { _cloud: cloud, client: Client::from_conf(config), _directory: None }
    }

    fn keeping(mut self, directory: tempfile::TempDir) -> Self {
        self._directory = Some(directory);
        self
    }

    pub(crate) async fn create(&self, name: &str, shards: i32) {
        self.client.create_stream().stream_name(name).shard_count(shards).send().await.unwrap();
        self.settled(name).await;
    }

    /// Waits until the stream is active.
    pub(crate) async fn settled(&self, name: &str) {
        let active = async {
            loop {
                let answer = self.client.describe_stream_summary().stream_name(name).send().await.unwrap();
                if answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, active).await.unwrap_or_else(|_| panic!("stream {name} never became active"));
    }

    /// Deletes the stream, with its consumers, and waits until it is gone.
    pub(crate) async fn delete(&self, name: &str) {
        self.client.delete_stream().stream_name(name).enforce_consumer_deletion(true).send().await.unwrap();
        let gone = async {
            while self.client.describe_stream_summary().stream_name(name).send().await.is_ok() {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, gone).await.unwrap_or_else(|_| panic!("stream {name} never went away"));
    }

    /// Puts one record and returns its shard and sequence number.
    pub(crate) async fn put(&self, stream: &str, key: &str, data: &str) -> (String, String) {
        let blob = Blob::new(data);
        let put = self.client.put_record().stream_name(stream).partition_key(key).data(blob).send().await.unwrap();
        (put.shard_id, put.sequence_number)
    }

    pub(crate) async fn shards(&self, stream: &str) -> Vec<Shard> {
        self.client.list_shards().stream_name(stream).send().await.unwrap().shards.unwrap()
    }

    pub(crate) async fn iterator(&self, stream: &str, shard: &str) -> String {
        let request = self.client.get_shard_iterator().stream_name(stream).shard_id(shard);
        let answer = request.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        answer.shard_iterator.unwrap()
    }

    /// One read of a shard from its beginning.
    pub(crate) async fn read(&self, stream: &str, shard: &str) -> GetRecordsOutput {
        let iterator = self.iterator(stream, shard).await;
        self.client.get_records().shard_iterator(iterator).send().await.unwrap()
    }

    /// Everything in a shard now.
    pub(crate) async fn data(&self, stream: &str, shard: &str) -> Vec<String> {
        texts(&self.read(stream, shard).await.records)
    }

    pub(crate) async fn update_shard_count(&self, stream: &str, target: i32) {
        let request = self.client.update_shard_count().stream_name(stream).target_shard_count(target);
        request.scaling_type(aws_sdk_kinesis::types::ScalingType::UniformScaling).send().await.unwrap();
        self.settled(stream).await;
    }

    /// Registers a consumer, waits until it is active and returns its ARN.
    pub(crate) async fn consumer(&self, stream: &str, name: &str) -> String {
        let request = self.client.register_stream_consumer().stream_arn(stream_arn(stream)).consumer_name(name);
        let arn = request.send().await.unwrap().consumer.unwrap().consumer_arn;
        let active = async {
            loop {
                let answer = self.client.describe_stream_consumer().consumer_arn(&arn).send().await.unwrap();
                let status = answer.consumer_description.unwrap().consumer_status;
                if status == aws_sdk_kinesis::types::ConsumerStatus::Active {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, active).await.expect("the consumer became active");
        arn
    }
}

pub(crate) fn stream_arn(name: &str) -> String {
    format!("arn:aws:kinesis:eu-central-1:{ACCOUNT}:stream/{name}")
}

pub(crate) fn texts(records: &[aws_sdk_kinesis::types::Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned()).collect()
}

/// The code and the text of an error.
pub(crate) fn refusal<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (String, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.expect_err("the call is refused");
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}
