//! Streams and their registered consumers.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Existing, Failure, Provisioned, Request, properties};

/// Longer than resharding to the greatest count takes here.
const READY_TIMEOUT: Duration = Duration::from_secs(300);

/// Source: the Kinesis API's limit for names.
const NAME_LENGTH_MAX: usize = 128;

/// Source: the Kinesis default.
const RETENTION_HOURS: i64 = 24;

const STREAM_PROPERTIES: &[&str] = &[
    "DesiredShardLevelMetrics",
    "Name",
    "RetentionPeriodHours",
    "ShardCount",
    "StreamEncryption",
    "StreamModeDetails",
    "Tags",
];

pub(super) async fn create_stream(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(STREAM_PROPERTIES)?;
    let name = request.name("Name", NAME_LENGTH_MAX);
    let mut input = json!({ "StreamName": name, "StreamModeDetails": { "StreamMode": mode(request.properties) } });
    if mode(request.properties) == "PROVISIONED" {
        properties::set(&mut input, "ShardCount", shards(request.properties));
    }
    if !request.tags.is_empty() {
        properties::set(&mut input, "Tags", json!(request.tags));
    }
    request.call("kinesis", "CreateStream", input).await?;
    (request.identify)(&name);
    let summary = settle(request, &name).await?;
    configure(request, &name, &json!({})).await?;
    Ok(Provisioned::new(name, [("Arn", summary["StreamARN"].clone())]))
}

pub(super) async fn update_stream(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(STREAM_PROPERTIES)?;
    let name = existing.physical_id;
    if mode(request.properties) != mode(existing.properties) {
        let arn = existing.attributes.get("Arn");
        let input = json!({ "StreamARN": arn, "StreamModeDetails": { "StreamMode": mode(request.properties) } });
        request.call("kinesis", "UpdateStreamMode", input).await?;
        settle(request, name).await?;
    }
    let reshards = mode(request.properties) == "PROVISIONED" && request.changes(existing, "ShardCount");
    if reshards {
        let target = json!(shards(request.properties));
        // A template may catch up with a stream that was resharded beside it; Kinesis refuses the count that it has.
        if settle(request, name).await?["OpenShardCount"] != target {
            let input = json!({ "StreamName": name, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
            request.call("kinesis", "UpdateShardCount", input).await?;
            settle(request, name).await?;
        }
    }
    configure(request, name, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn delete_stream(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    // A cancelled creation leaves a stream that is still being made, and Kinesis deletes none that is not at rest.
    request
        .wait("the stream to be at rest", READY_TIMEOUT, || async {
            let status = describe(request, name).await?["StreamDescriptionSummary"]["StreamStatus"].take();
            Ok((status != "CREATING" && status != "UPDATING").then_some(()))
        })
        .await?;
    // Without EnforceConsumerDeletion, as CloudFormation does: registered consumers make it fail.
    request.call("kinesis", "DeleteStream", json!({ "StreamName": name })).await?;
    request.wait_until_gone("the stream to be deleted", READY_TIMEOUT, || describe(request, name)).await
}

fn mode(properties: &Value) -> &str {
    properties["StreamModeDetails"]["StreamMode"].as_str().unwrap_or("PROVISIONED")
}

fn shards(properties: &Value) -> i64 {
    properties::integer(properties, "ShardCount").unwrap_or(1)
}

/// What `CreateStream` cannot set. Each call puts the stream into UPDATING, so they follow one another.
async fn configure(request: &Request<'_>, name: &str, before: &Value) -> Result<(), Failure> {
    let retention = |properties| properties::integer(properties, "RetentionPeriodHours").unwrap_or(RETENTION_HOURS);
    let (old, new) = (retention(before), retention(request.properties));
    if old != new {
        let operation = if new > old { "IncreaseStreamRetentionPeriod" } else { "DecreaseStreamRetentionPeriod" };
        change(request, operation, json!({ "StreamName": name, "RetentionPeriodHours": new })).await?;
    }
    encrypt(request, name, &before["StreamEncryption"]).await?;
    let metrics = |properties: &Value| match &properties["DesiredShardLevelMetrics"] {
        Value::Array(names) => names.clone(),
        _ => Vec::new(),
    };
    let (old, new) = (metrics(before), metrics(request.properties));
    let added: Vec<_> = new.iter().filter(|metric| !old.contains(metric)).collect();
    if !added.is_empty() {
        change(request, "EnableEnhancedMonitoring", json!({ "StreamName": name, "ShardLevelMetrics": added })).await?;
    }
    let removed: Vec<_> = old.iter().filter(|metric| !new.contains(metric)).collect();
    if !removed.is_empty() {
        let input = json!({ "StreamName": name, "ShardLevelMetrics": removed });
        change(request, "DisableEnhancedMonitoring", input).await?;
    }
    Ok(())
}

async fn encrypt(request: &Request<'_>, name: &str, before: &Value) -> Result<(), Failure> {
    let wanted = &request.properties["StreamEncryption"];
    if properties::same(before, wanted) {
        return Ok(());
    }
    let (operation, key) =
        if wanted.is_null() { ("StopStreamEncryption", before) } else { ("StartStreamEncryption", wanted) };
    let input = json!({ "StreamName": name, "EncryptionType": key["EncryptionType"], "KeyId": key["KeyId"] });
    change(request, operation, input).await
}

async fn change(request: &Request<'_>, operation: &str, input: Value) -> Result<(), Failure> {
    let name = input["StreamName"].as_str().unwrap_or_default().to_owned();
    request.call("kinesis", operation, input).await?;
    settle(request, &name).await.map(|_| ())
}

/// Waits until the stream is ACTIVE; returns its summary.
async fn settle(request: &Request<'_>, name: &str) -> Result<Value, Failure> {
    request
        .wait("the stream to become ACTIVE", READY_TIMEOUT, || async {
            let summary = describe(request, name).await?["StreamDescriptionSummary"].take();
            Ok((summary["StreamStatus"] == "ACTIVE").then_some(summary))
        })
        .await
}

async fn describe(request: &Request<'_>, name: &str) -> Result<Value, Failure> {
    request.call("kinesis", "DescribeStreamSummary", json!({ "StreamName": name })).await
}

pub(super) async fn create_consumer(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&["ConsumerName", "StreamARN", "Tags"])?;
    let mut input = properties::pick(request.properties, &["ConsumerName", "StreamARN"]);
    if !request.tags.is_empty() {
        properties::set(&mut input, "Tags", json!(request.tags));
    }
    let answer = request.call("kinesis", "RegisterStreamConsumer", input).await?;
    let arn = answer["Consumer"]["ConsumerARN"].as_str().unwrap_or_default();
    (request.identify)(arn);
    let mut consumer = request
        .wait("the consumer to become ACTIVE", READY_TIMEOUT, || async {
            let consumer = describe_consumer(request, arn).await?["ConsumerDescription"].take();
            Ok((consumer["ConsumerStatus"] == "ACTIVE").then_some(consumer))
        })
        .await?;
    Ok(Provisioned::new(
        arn,
        ["ConsumerARN", "ConsumerCreationTimestamp", "ConsumerName", "ConsumerStatus", "StreamARN"]
            .map(|name| (name, consumer[name].take())),
    ))
}

pub(super) async fn delete_consumer(request: &Request<'_>, arn: &str) -> Result<(), Failure> {
    request.call("kinesis", "DeregisterStreamConsumer", json!({ "ConsumerARN": arn })).await?;
    request.wait_until_gone("the consumer to be deregistered", READY_TIMEOUT, || describe_consumer(request, arn)).await
}

async fn describe_consumer(request: &Request<'_>, arn: &str) -> Result<Value, Failure> {
    request.call("kinesis", "DescribeStreamConsumer", json!({ "ConsumerARN": arn })).await
}
