//! A stream on an endpoint of its own, with producers and consumers of this process on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::{
    config::Credentials,
    types::{Record, Shard, ShardIteratorType, StreamDescriptionSummary, StreamStatus},
};
use bytes::Bytes;
use clap::Parser;
use dataplane::{
    aggregation::decode,
    consumer::{self, Consumer, Processor},
    producer::{self, Producer},
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use localcloud::LocalCloud;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWrite, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const STREAM: &str = "weir";
pub(crate) const APPLICATION: &str = "weir-consumer";

/// Far more than anything here takes, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    _cloud: LocalCloud,
    _directory: TempDir,
    sdk: SdkConfig,
    pub(crate) endpoint_url: String,
    pub(crate) region: String,
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// A role that runs in this process.
pub(crate) struct Running {
    pub(crate) stopping: CancellationToken,
    pub(crate) admin: SocketAddr,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) struct RunningProducer {
    pub(crate) role: Running,
    pub(crate) ingest: SocketAddr,
}

pub(crate) struct RunningConsumer {
    pub(crate) role: Running,
    output: Output,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Parser)]
struct ProducerLine {
    #[command(flatten)]
    settings: producer::Settings,
}

#[derive(Parser)]
struct ConsumerLine {
    #[command(flatten)]
    settings: consumer::Settings,
}

impl World {
    /// An endpoint with a stream of so many shards.
    pub(crate) async fn start(shards: i32) -> Self {
        Self::start_with(shards, localcloud::kinesis::Settings::default()).await
    }

    /// The same with other quotas and delays of Kinesis.
    pub(crate) async fn start_with(shards: i32, kinesis: localcloud::kinesis::Settings) -> Self {
        let world = Self::bare(kinesis).await;
        world.create_stream(shards).await;
        world
    }

    pub(crate) async fn create_stream(&self, shards: i32) {
        self.kinesis.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        self.until_active().await;
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// Id, first and last hash key of each open shard.
    pub(crate) async fn open_shards(&self) -> Vec<(String, u128, u128)> {
        let shards = self.kinesis.list_shards().stream_name(STREAM).send().await.unwrap();
        let open = |shard: &&Shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none();
        let range = |shard: &Shard| {
            let range = shard.hash_key_range().unwrap();
            let [start, end] = [range.starting_hash_key(), range.ending_hash_key()].map(|key| key.parse().unwrap());
            (shard.shard_id().to_owned(), start, end)
        };
        shards.shards().iter().filter(open).map(range).collect()
    }

    /// Every user record in the stream.
    pub(crate) async fn user_records(&self) -> Vec<UserRecord> {
        let records = self.kinesis_records().await;
        records.iter().flat_map(|(shard, record)| user_records(shard.shard_id(), record)).collect()
    }

    /// Every record in the stream, with its shard.
    pub(crate) async fn kinesis_records(&self) -> Vec<(Shard, Record)> {
        let mut records = Vec::new();
        let shards = self.kinesis.list_shards().stream_name(STREAM).send().await.unwrap();
        for shard in shards.shards() {
            let iterator = self.kinesis.get_shard_iterator().stream_name(STREAM).shard_id(shard.shard_id());
            let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
            let mut next = iterator.shard_iterator;
            while let Some(iterator) = next {
                // A shard that has given several MiB gives no more for some seconds.
                let patient = RetryConfig::standard().with_max_attempts(10);
                let page = self.kinesis.get_records().shard_iterator(iterator).customize();
                let page = page.config_override(aws_sdk_kinesis::Config::builder().retry_config(patient));
                let page = page.send().await.unwrap();
                next = page.next_shard_iterator.filter(|_| !page.records.is_empty());
                records.extend(page.records.into_iter().map(|record| (shard.clone(), record)));
            }
        }
        records
    }

    pub(crate) async fn without_stream() -> Self {
        Self::bare(localcloud::kinesis::Settings::default()).await
    }

    async fn bare(kinesis: localcloud::kinesis::Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = localcloud::Settings { kinesis, ..localcloud::Settings::new(directory.path().to_owned()) };
        settings.listen = ([127, 0, 0, 1], 0).into();
        let region = settings.region.clone();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.clone()))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(cloud.endpoint_url())
            .load()
            .await;
        let kinesis = aws_sdk_kinesis::Client::new(&sdk);
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        let http = Client::builder(TokioExecutor::new()).build_http();
        let endpoint_url = cloud.endpoint_url().to_owned();
        Self { endpoint_url, region, _cloud: cloud, _directory: directory, sdk, kinesis, dynamodb, http }
    }

    pub(crate) async fn reshard(&self, shards: i32) {
        let update = self.kinesis.update_shard_count().stream_name(STREAM).target_shard_count(shards);
        update.scaling_type(aws_sdk_kinesis::types::ScalingType::UniformScaling).send().await.unwrap();
    }

    /// The owners of the leases that are not finished.
    pub(crate) async fn owners(&self) -> BTreeSet<String> {
        let scan = self.dynamodb.scan().table_name(APPLICATION).consistent_read(true).send().await.unwrap();
        let end = |value: &AttributeValue| value.as_s().is_ok_and(|value| value == "SHARD_END");
        let unfinished = scan.items().iter().filter(|item| !item.get("checkpoint").is_some_and(end));
        unfinished.filter_map(|item| item.get("leaseOwner")?.as_s().ok().cloned()).collect()
    }

    /// A string attribute of the only lease.
    pub(crate) async fn lease_attribute(&self, name: &str) -> Option<String> {
        let scan = self.dynamodb.scan().table_name(APPLICATION).consistent_read(true).send().await.unwrap();
        let [item] = scan.items() else { panic!("one lease: {:?}", scan.items()) };
        item.get(name).and_then(|value| value.as_s().ok()).cloned()
    }

    /// Registers a consumer of the stream and returns its ARN.
    pub(crate) async fn register(&self, name: &str) -> String {
        let summary = self.kinesis.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        let stream_arn = summary.stream_description_summary.unwrap().stream_arn;
        let register = self.kinesis.register_stream_consumer().stream_arn(stream_arn).consumer_name(name);
        register.send().await.unwrap().consumer.unwrap().consumer_arn
    }

    pub(crate) async fn until_active(&self) {
        until("the stream is active", async || {
            let summary = self.kinesis.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
            summary.stream_description_summary().map(StreamDescriptionSummary::stream_status)
                == Some(&StreamStatus::Active)
        })
        .await;
    }

    /// A producer with these arguments beside the usual ones. It drains without a delay unless they say so.
    pub(crate) async fn producer(&self, arguments: &[&str]) -> RunningProducer {
        let usual = ["producer", "--stream", STREAM, "--bind", "127.0.0.1", "--port", "0", "--admin-port", "0"];
        let at_once: &[&str] = if arguments.contains(&"--drain-delay") { &[] } else { &["--drain-delay", "0s"] };
        let settings = ProducerLine::parse_from([&usual[..], at_once, arguments].concat()).settings;
        let producer = Producer::bind(settings, self.sdk.clone()).await.unwrap();
        let (ingest, admin) = (producer.ingest_address().unwrap(), producer.admin_address().unwrap());
        let stopping = CancellationToken::new();
        let task = tokio::spawn(producer.run(stopping.clone()));
        RunningProducer { role: Running { stopping, admin, task }, ingest }
    }

    /// A consumer whose leases expire after two seconds.
    pub(crate) async fn consumer(&self) -> RunningConsumer {
        self.consumer_with(&[]).await
    }

    /// Such a consumer with these arguments beside the usual ones.
    pub(crate) async fn consumer_with(&self, arguments: &[&str]) -> RunningConsumer {
        self.try_consumer(arguments).await.unwrap()
    }

    /// A consumer with a processor of its own.
    pub(crate) async fn consumer_of(&self, processor: impl Processor, arguments: &[&str]) -> Running {
        let settings = consumer_settings(arguments);
        let consumer = Consumer::with_processor(settings, self.sdk.clone(), processor).await.unwrap();
        let admin = consumer.admin_address().unwrap();
        let stopping = CancellationToken::new();
        let task = tokio::spawn(consumer.run(stopping.clone()));
        Running { stopping, admin, task }
    }

    pub(crate) async fn try_consumer(&self, arguments: &[&str]) -> Result<RunningConsumer, dataplane::Error> {
        let settings = consumer_settings(arguments);
        let output = Output::default();
        let consumer = Consumer::bind(settings, self.sdk.clone(), output.clone()).await?;
        let admin = consumer.admin_address().unwrap();
        let stopping = CancellationToken::new();
        let task = tokio::spawn(consumer.run(stopping.clone()));
        Ok(RunningConsumer { role: Running { stopping, admin, task }, output })
    }

    pub(crate) async fn post(&self, producer: &RunningProducer, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Request::post(format!("http://{}{path}", producer.ingest)).body(Full::new(body.into())).unwrap())
            .await
    }

    /// Posts with these headers.
    pub(crate) async fn post_with(
        &self,
        producer: &RunningProducer,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_post(producer.ingest, path, headers, body).await.unwrap()
    }

    /// The same, where the task may be gone.
    pub(crate) async fn try_post(
        &self,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, BoxError> {
        let request = Request::post(format!("http://{address}{path}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.try_send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Posts a body that is the data itself.
    pub(crate) async fn post_bytes(&self, producer: &RunningProducer, query: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(format!("http://{}/?{query}", producer.ingest));
        let request = request.header("content-type", "application/octet-stream");
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Posts one record and expects it to be stored.
    pub(crate) async fn store(&self, producer: &RunningProducer, data: &str, partition_key: Option<&str>) {
        let body = match partition_key {
            Some(key) => json!({"data": data, "partitionKey": key}),
            None => json!({"data": data}),
        };
        let answer = self.post(producer, "/", body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(answer.body["sequence_number"].is_string() && answer.body["shard_id"].is_string(), "{answer:?}");
    }

    /// The shard that a partition key goes to, found out with a record.
    pub(crate) async fn shard_of(&self, producer: &RunningProducer, key: &str) -> String {
        let body = json!({"data": "probe", "partitionKey": key}).to_string();
        let answer = self.post(producer, "/", body).await;
        answer.body["shard_id"].as_str().unwrap().to_owned()
    }

    /// A partition key that goes to another shard.
    pub(crate) async fn key_elsewhere(&self, producer: &RunningProducer, shard: &str) -> String {
        for number in 0.. {
            let key = format!("key-{number}");
            if self.shard_of(producer, &key).await != shard {
                return key;
            }
        }
        unreachable!("one of many keys goes elsewhere")
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> Answer {
        self.send(Request::get(format!("http://{address}{path}")).body(Full::default()).unwrap()).await
    }

    /// A metric without labels on a role's admin port. Zero while it is not there.
    pub(crate) async fn metric(&self, role: &Running, name: &str) -> f64 {
        let page = self.get(role.admin, "/metrics").await.body;
        let mut lines = page.as_str().unwrap_or_default().lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0.0)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
        let (parts, body) = self.http.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// The usual arguments of a consumer and these. Its leases expire after two seconds unless they say so.
fn consumer_settings(arguments: &[&str]) -> consumer::Settings {
    let usual = [
        "consumer",
        "--stream",
        STREAM,
        "--application",
        APPLICATION,
        "--bind",
        "127.0.0.1",
        "--admin-port",
        "0",
        "--create-lease-table",
    ];
    let short: &[&str] = if arguments.contains(&"--lease-duration") { &[] } else { &["--lease-duration", "2s"] };
    ConsumerLine::parse_from([&usual[..], short, arguments].concat()).settings
}

/// A user record, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserRecord {
    pub(crate) shard_id: String,
    pub(crate) partition_key: String,
    pub(crate) data: Vec<u8>,
}

fn user_records(shard_id: &str, record: &aws_sdk_kinesis::types::Record) -> Vec<UserRecord> {
    let data = Bytes::copy_from_slice(record.data().as_ref());
    let user = |partition_key: &str, data: &[u8]| UserRecord {
        shard_id: shard_id.to_owned(),
        partition_key: partition_key.to_owned(),
        data: data.to_vec(),
    };
    match decode(&data) {
        Some(users) => users.iter().map(|record| user(&record.partition_key, &record.data)).collect(),
        None => vec![user(record.partition_key().unwrap(), &data)],
    }
}

impl RunningConsumer {
    /// Every record that was written, in order.
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = self.output.0.lock().unwrap().clone();
        output.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// How often each data was written.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in self.records() {
            *counts.entry(record["data"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }
}

impl Running {
    /// What ECS does to a task: ask it to stop, and wait.
    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the role stops").unwrap();
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An output that can be looked at.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
