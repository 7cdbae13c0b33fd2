//! Describing one stream.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::{
            shard::ShardId,
            stream::{Becoming, Mode, Stream},
        },
        fault, wire,
    },
    service::{AwsError, Call, Reply},
};

/// Shards of one `DescribeStream` answer unless the call says otherwise.
const SHARDS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeInput {
    #[serde(flatten)]
    stream: StreamRef,
    limit: Option<usize>,
    exclusive_start_shard_id: Option<String>,
}

pub(super) fn describe(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: DescribeInput = call.input()?;
    let after = input.exclusive_start_shard_id.as_deref().map(parse_shard).transpose()?;
    let limit = input.limit.unwrap_or(SHARDS).max(1);
    let description = account.find(&input.stream)?.look(account.now(), |stream| {
        let hidden = matches!(stream.becoming, Some(Becoming::Active(_)));
        let mut shards: Vec<_> = stream
            .shards
            .iter()
            .filter(|shard| !hidden && after.is_none_or(|after| shard.id > after))
            .map(wire::shard)
            .collect();
        let mut description = common(stream);
        description["HasMoreShards"] = (shards.len() > limit).into();
        shards.truncate(limit);
        description["Shards"] = shards.into();
        description
    });
    Reply::json(&json!({ "StreamDescription": description }))
}

/// Reads a shard's id as calls give it.
pub(super) fn parse_shard(id: &str) -> Result<ShardId, AwsError> {
    id.parse().map_err(|()| fault::constraint("shardId", id, "satisfy regular expression pattern: shardId-[0-9]{12}"))
}

pub(super) fn summarize(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: StreamRef = call.input()?;
    let summary = account.find(&input)?.look(account.now(), |stream| {
        let mut summary = common(stream);
        summary["OpenShardCount"] = stream.open_shards().len().into();
        summary["ConsumerCount"] = stream.consumers.len().into();
        summary["MaxRecordSizeInKiB"] = stream.record_kib_max.into();
        if account.is_committed() && stream.mode == Mode::OnDemand {
            summary["WarmThroughput"] = wire::warm_throughput(stream);
        }
        summary
    });
    Reply::json(&json!({ "StreamDescriptionSummary": summary }))
}

/// What both descriptions have.
fn common(stream: &Stream) -> Value {
    let metrics: Vec<_> = stream.shard_metrics.iter().map(|metric| metric.name()).collect();
    let mut value = json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status(),
        "StreamModeDetails": { "StreamMode": stream.mode.name() },
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": stream.created.fractional_seconds(),
        "EnhancedMonitoring": [{ "ShardLevelMetrics": metrics }],
        "EncryptionType": if stream.key_id.is_some() { "KMS" } else { "NONE" },
    });
    if let Some(key_id) = &stream.key_id {
        value["KeyId"] = key_id.as_str().into();
    }
    value
}
