//! What depends on time: calls in process, on a clock that a test moves.

use std::time::Duration;

use aws_smithy_eventstream::frame::read_message_from;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use localcloud::{
    LocalCloud, kinesis,
    service::{AwsError, Call, Reply},
};
use serde_json::{Value, json};

/// An endpoint whose clock stands still but for [`Local::pass`].
struct Local {
    cloud: LocalCloud,
    _directory: tempfile::TempDir,
}

impl Local {
    async fn start(settings: kinesis::Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        let path = directory.path().to_owned();
        let settings = localcloud::Settings { listen, kinesis: settings, ..localcloud::Settings::new(path) };
        let local = Self { cloud: LocalCloud::start(settings).await.unwrap(), _directory: directory };
        local.must("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
        local.pass(Duration::from_millis(300)).await;
        local
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    async fn reply(&self, operation: &str, input: Value) -> Result<Reply, AwsError> {
        let call = Call::new(operation, input.to_string());
        self.cloud.services().call("kinesis", call).await
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        match self.reply(operation, input).await? {
            Reply::Json(body) => Ok(serde_json::from_slice(&body).unwrap()),
            Reply::EventStream(_) => panic!("{operation} answered with a stream"),
        }
    }

    async fn must(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    async fn put(&self) {
        self.must("PutRecord", json!({ "StreamName": "s", "PartitionKey": "k", "Data": "aGVsbG8=" })).await;
    }

    async fn iterator(&self, kind: &str) -> String {
        let input = json!({ "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": kind });
        self.must("GetShardIterator", input).await["ShardIterator"].as_str().unwrap().to_owned()
    }

    async fn subscribe(&self, position: Value) -> Events {
        let arn = json!("arn:aws:kinesis:eu-central-1:000000000000:stream/s");
        self.must("RegisterStreamConsumer", json!({ "StreamARN": arn, "ConsumerName": "c" })).await;
        self.pass(Duration::from_millis(300)).await;
        let found = self.must("DescribeStreamConsumer", json!({ "StreamARN": arn, "ConsumerName": "c" })).await;
        let consumer = found["ConsumerDescription"]["ConsumerARN"].clone();
        let input = json!({ "ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": position });
        match self.reply("SubscribeToShard", input).await.unwrap() {
            Reply::EventStream(frames) => Events(frames),
            Reply::Json(_) => panic!("SubscribeToShard answered with JSON"),
        }
    }
}

struct Events(BoxStream<'static, Bytes>);

impl Events {
    /// The next frame's event type and payload.
    async fn next(&mut self) -> Option<(String, Value)> {
        let message = read_message_from(&mut self.0.next().await?).unwrap();
        let header = |name: &str| {
            let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
            Some(header.value().as_string().ok()?.as_str().to_owned())
        };
        let kind = header(":event-type").or_else(|| header(":exception-type")).unwrap();
        Some((kind, serde_json::from_slice(message.payload()).unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn millis_behind_latest_is_the_age_of_the_last_record_read_and_zero_at_the_tip() {
    let local = Local::start(kinesis::Settings::default()).await;
    local.put().await;
    local.pass(Duration::from_secs(7)).await;
    local.put().await;
    local.pass(Duration::from_secs(3)).await;
    let iterator = local.iterator("TRIM_HORIZON").await;
    let first = local.must("GetRecords", json!({ "ShardIterator": iterator, "Limit": 1 })).await;
    assert_eq!(first["MillisBehindLatest"], 10_000, "{first}");
    let second = local.must("GetRecords", json!({ "ShardIterator": first["NextShardIterator"] })).await;
    assert_eq!(second["MillisBehindLatest"], 0, "{second}");
}

#[tokio::test(start_paused = true)]
async fn an_event_says_how_far_its_last_record_is_behind_the_tip() {
    let local = Local::start(kinesis::Settings { get_records_max: 1, ..kinesis::Settings::default() }).await;
    local.put().await;
    local.pass(Duration::from_secs(7)).await;
    local.put().await;
    let mut events = local.subscribe(json!({ "Type": "TRIM_HORIZON" })).await;
    assert_eq!(events.next().await.unwrap().0, "initial-response");
    assert_eq!(events.next().await.unwrap().1["MillisBehindLatest"], 7_300, "7 s, and the consumer's creation");
    assert_eq!(events.next().await.unwrap().1["MillisBehindLatest"], 0);
}

#[tokio::test(start_paused = true)]
async fn an_iterator_expires_after_five_minutes() {
    let local = Local::start(kinesis::Settings::default()).await;
    let iterator = local.iterator("LATEST").await;
    local.pass(Duration::from_secs(300)).await;
    local.must("GetRecords", json!({ "ShardIterator": iterator })).await;
    local.pass(Duration::from_millis(1)).await;
    let refused = local.call("GetRecords", json!({ "ShardIterator": iterator })).await.unwrap_err();
    assert_eq!(refused.code, "ExpiredIteratorException");
}

#[tokio::test(start_paused = true)]
async fn records_are_readable_for_the_retention_and_not_after_it() {
    let local = Local::start(kinesis::Settings::default()).await;
    local.put().await;
    local.must("IncreaseStreamRetentionPeriod", json!({ "StreamName": "s", "RetentionPeriodHours": 48 })).await;
    local.pass(Duration::from_secs(47 * 3600)).await;
    let read = async || {
        let iterator = local.iterator("TRIM_HORIZON").await;
        let answer = local.must("GetRecords", json!({ "ShardIterator": iterator })).await;
        answer["Records"].as_array().unwrap().len()
    };
    assert_eq!(read().await, 1);
    local.pass(Duration::from_secs(3601)).await;
    assert_eq!(read().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_takes_a_thousand_records_a_second_and_refuses_the_rest_one_by_one() {
    let local = Local::start(kinesis::Settings::default()).await;
    let entry = json!({ "PartitionKey": "k", "Data": "aGVsbG8=" });
    let put =
        async || local.must("PutRecords", json!({ "StreamName": "s", "Records": vec![entry.clone(); 400] })).await;
    for failed in [0, 0, 200, 400] {
        assert_eq!(put().await["FailedRecordCount"], failed);
    }
    local.pass(Duration::from_millis(100)).await;
    let answer = put().await;
    assert_eq!(answer["FailedRecordCount"], 300, "a tenth of a second later");
    assert_eq!(
        answer["Records"][399],
        json!({
            "ErrorCode": "ProvisionedThroughputExceededException",
            "ErrorMessage": "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_shard_takes_a_mebibyte_a_second() {
    let local = Local::start(kinesis::Settings::default()).await;
    let data = "A".repeat(800_000);
    let put = async || local.call("PutRecord", json!({ "StreamName": "s", "PartitionKey": "k", "Data": data })).await;
    put().await.unwrap();
    assert_eq!(put().await.unwrap_err().code, "ProvisionedThroughputExceededException");
    local.pass(Duration::from_millis(200)).await;
    put().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shard_answers_five_reads_a_second_and_two_mebibytes() {
    let local = Local::start(kinesis::Settings::default()).await;
    let iterator = local.iterator("TRIM_HORIZON").await;
    let read = async || local.call("GetRecords", json!({ "ShardIterator": iterator })).await;
    for _ in 0..5 {
        read().await.unwrap();
    }
    let refused = read().await.unwrap_err();
    assert_eq!(refused.code, "ProvisionedThroughputExceededException");
    assert_eq!(refused.message, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.");
    local.pass(Duration::from_secs(1)).await;
    for _ in 0..3 {
        let data = "A".repeat(1 << 20);
        local.must("PutRecord", json!({ "StreamName": "s", "PartitionKey": "k", "Data": data })).await;
        local.pass(Duration::from_secs(1)).await;
    }
    read().await.unwrap();
    local.pass(Duration::from_millis(100)).await;
    assert!(read().await.is_err(), "2.25 MiB were read at once, so the next read has to wait");
    local.pass(Duration::from_millis(400)).await;
    read().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_after_five_minutes_and_is_never_silent_for_long() {
    let local = Local::start(kinesis::Settings::default()).await;
    let mut events = local.subscribe(json!({ "Type": "LATEST" })).await;
    assert_eq!(events.next().await.unwrap().0, "initial-response");
    let began = tokio::time::Instant::now();
    let mut heartbeats = 0;
    while let Some((kind, payload)) = events.next().await {
        assert_eq!((kind.as_str(), &payload["Records"]), ("SubscribeToShardEvent", &json!([])));
        assert!(payload["ContinuationSequenceNumber"].is_string(), "{payload}");
        heartbeats += 1;
    }
    assert_eq!((tokio::time::Instant::now() - began).as_secs(), 300);
    assert!(heartbeats >= 55, "{heartbeats} events in five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_later_call_takes_a_subscription_over_after_five_seconds_only() {
    let local = Local::start(kinesis::Settings::default()).await;
    let mut first = local.subscribe(json!({ "Type": "LATEST" })).await;
    assert_eq!(first.next().await.unwrap().0, "initial-response");
    let again = json!({
        "ConsumerARN": local.must("DescribeStreamConsumer", json!({
            "StreamARN": "arn:aws:kinesis:eu-central-1:000000000000:stream/s", "ConsumerName": "c",
        })).await["ConsumerDescription"]["ConsumerARN"],
        "ShardId": "shardId-000000000000",
        "StartingPosition": { "Type": "LATEST" },
    });
    let Err(refused) = local.reply("SubscribeToShard", again.clone()).await else { panic!("taken over at once") };
    assert_eq!(refused.code, "ResourceInUseException");
    local.pass(Duration::from_secs(5)).await;
    assert!(local.reply("SubscribeToShard", again).await.is_ok());
    let (kind, _) = first.next().await.unwrap();
    assert_eq!(kind, "ResourceInUseException", "the first subscription learns that it has ended");
    assert!(first.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_while_the_stream_is_updating_and_children_open_when_it_ends() {
    let local = Local::start(kinesis::Settings::default()).await;
    let target = json!({ "StreamName": "s", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING" });
    local.must("UpdateShardCount", target.clone()).await;
    let status = async || {
        let summary = local.must("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
        let summary = &summary["StreamDescriptionSummary"];
        (summary["StreamStatus"].as_str().unwrap().to_owned(), summary["OpenShardCount"].as_u64().unwrap())
    };
    assert_eq!(status().await, ("UPDATING".to_owned(), 1));
    let refused = local.call("UpdateShardCount", target).await.unwrap_err();
    assert_eq!(refused.code, "ResourceInUseException", "{refused}");
    local.put().await;
    local.pass(Duration::from_millis(2_749)).await;
    assert_eq!(status().await, ("UPDATING".to_owned(), 1));
    local.pass(Duration::from_millis(1)).await;
    assert_eq!(status().await, ("ACTIVE".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn traffic_becomes_metrics_of_its_minute_and_silence_becomes_none() {
    let local = Local::start(kinesis::Settings::default()).await;
    local.put().await;
    local.put().await;
    let iterator = local.iterator("TRIM_HORIZON").await;
    local.must("GetRecords", json!({ "ShardIterator": iterator })).await;
    local.pass(Duration::from_secs(600)).await;
    let statistics = async |metric: &str| {
        let input = json!({
            "Namespace": "AWS/Kinesis", "MetricName": metric, "Period": 60, "Statistics": ["Sum", "SampleCount"],
            "Dimensions": [{ "Name": "StreamName", "Value": "s" }],
            "StartTime": 0, "EndTime": 4_000_000_000_u64,
        });
        let call = Call::new("GetMetricStatistics", input.to_string());
        match local.cloud.services().call("monitoring", call).await.unwrap() {
            Reply::Json(body) => serde_json::from_slice::<Value>(&body).unwrap()["Datapoints"].clone(),
            Reply::EventStream(_) => panic!("statistics are JSON"),
        }
    };
    let published = async {
        while statistics("IncomingRecords").await.as_array().is_none_or(Vec::is_empty) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), published).await.expect("the minute is published");
    for (metric, sum, samples) in [
        ("IncomingRecords", 2.0, 2.0),
        ("IncomingBytes", 12.0, 2.0),
        ("PutRecord.Success", 2.0, 2.0),
        ("WriteProvisionedThroughputExceeded", 0.0, 2.0),
        ("GetRecords.Records", 2.0, 1.0),
        ("GetRecords.IteratorAgeMilliseconds", 0.0, 1.0),
    ] {
        let points = statistics(metric).await;
        assert_eq!(points.as_array().map(Vec::len), Some(1), "{metric}: {points}");
        assert_eq!((&points[0]["Sum"], &points[0]["SampleCount"]), (&json!(sum), &json!(samples)), "{metric}");
    }
    assert_eq!(statistics("PutRecords.Success").await, json!([]));
}
