//! JSON of what there is much of, written straight into bytes.

use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::engine::{
    shard::{Batch, Shard},
    stream::Stream,
    traffic::Stored,
};
use crate::service::AwsError;

/// Bytes that a record takes beside its data: names, sequence number, partition key, timestamp.
const RECORD_OVERHEAD: usize = 256;

/// Appends the array of a batch's records.
pub(crate) fn write_records(out: &mut Vec<u8>, batch: &Batch, encrypted: bool) -> Result<(), AwsError> {
    let data: usize = batch.records.iter().map(|record| record.data.len()).sum();
    out.reserve(data / 3 * 4 + batch.records.len() * RECORD_OVERHEAD);
    out.push(b'[');
    for (position, (number, record)) in batch.numbered().enumerate() {
        out.extend_from_slice(if position == 0 { b"{\"Data\":\"" } else { b",{\"Data\":\"" });
        write_base64(out, &record.data)?;
        out.extend_from_slice(b"\",\"PartitionKey\":");
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(&record.key)).map_err(unwritable)?;
        let (seconds, millis) = (record.arrived.seconds(), record.arrived.millis() % 1000);
        write!(out, ",\"SequenceNumber\":\"{number}\",\"ApproximateArrivalTimestamp\":{seconds}.{millis:03}")
            .map_err(unwritable)?;
        out.extend_from_slice(if encrypted { b",\"EncryptionType\":\"KMS\"}" } else { b"}" });
    }
    out.push(b']');
    Ok(())
}

fn write_base64(out: &mut Vec<u8>, data: &[u8]) -> Result<(), AwsError> {
    let start = out.len();
    out.resize(start + data.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(data, &mut out[start..]).map(drop).map_err(unwritable)
}

/// Appends one entry of a `PutRecords` answer.
pub(crate) fn write_stored(out: &mut Vec<u8>, stored: Stored) -> Result<(), AwsError> {
    write!(out, "{{\"SequenceNumber\":\"{}\",\"ShardId\":\"{}\"}}", stored.number, stored.shard).map_err(unwritable)
}

/// A shard as `ListShards` and `DescribeStream` show it.
pub(crate) fn shard(shard: &Shard) -> Value {
    let mut value = json!({
        "ShardId": shard.id.to_string(),
        "HashKeyRange": hash_range(shard),
        "SequenceNumberRange": { "StartingSequenceNumber": shard.first_number().to_string() },
    });
    if let Some(parent) = shard.parent {
        value["ParentShardId"] = parent.to_string().into();
    }
    if let Some(parent) = shard.adjacent_parent {
        value["AdjacentParentShardId"] = parent.to_string().into();
    }
    if let Some(last) = shard.last_number() {
        value["SequenceNumberRange"]["EndingSequenceNumber"] = last.to_string().into();
    }
    value
}

/// The children of a closed shard as the end of a read shows them.
pub(crate) fn child_shards(stream: &Stream, batch: &Batch) -> Vec<Value> {
    let child = |child: &Shard| {
        let parents: Vec<_> = child.parent.iter().chain(&child.adjacent_parent).map(ToString::to_string).collect();
        json!({ "ShardId": child.id.to_string(), "ParentShards": parents, "HashKeyRange": hash_range(child) })
    };
    stream.children(batch.shard).map(child).collect()
}

fn hash_range(shard: &Shard) -> Value {
    json!({ "StartingHashKey": shard.range.start.to_string(), "EndingHashKey": shard.range.end.to_string() })
}

pub(crate) fn unwritable(error: impl std::error::Error) -> AwsError {
    AwsError::internal(format!("the answer cannot be written: {error}"))
}

/// The warm throughput of an on-demand stream.
pub(crate) fn warm_throughput(stream: &Stream) -> Value {
    json!({ "CurrentMiBps": stream.warm.current, "TargetMiBps": stream.warm.target })
}
