//! Writing records.

use std::{borrow::Cow, io::Write, ops::Range};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{
    borrowed,
    put_metrics::{self, Tally},
};
use crate::{
    kinesis::{
        account::{Account, StreamRef},
        cell::Writer,
        engine::{
            hash::{self, HashKey},
            stream::Stream,
        },
        fault, wire,
    },
    service::{AwsError, Call, Reply},
};

/// Longest partition key, in characters (API reference).
const PARTITION_KEY_LENGTH_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordInput<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsInput<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    explicit_hash_key: Option<String>,
}

/// Records ready to be stored: their keys and data lie in one buffer, which they share when they are kept.
struct Prepared {
    buffer: Bytes,
    records: Vec<(HashKey, Range<usize>, Range<usize>)>,
}

impl Prepared {
    fn new(entries: &[Entry<'_>]) -> Result<Self, AwsError> {
        let size = entries.iter().map(|entry| entry.partition_key.len() + entry.data.len() / 4 * 3).sum();
        let mut buffer = Vec::with_capacity(size);
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let hash = hash_key(entry)?;
            let start = buffer.len();
            buffer.extend_from_slice(entry.partition_key.as_bytes());
            let middle = buffer.len();
            STANDARD.decode_vec(entry.data.as_bytes(), &mut buffer).map_err(|error| {
                AwsError::new("SerializationException", format!("Data is not base64 with padding: {error}"))
            })?;
            records.push((hash, start..middle, middle..buffer.len()));
        }
        Ok(Self { buffer: buffer.into(), records })
    }

    fn bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn largest(&self) -> u64 {
        self.records.iter().map(|(_, key, data)| (key.len() + data.len()) as u64).max().unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = (HashKey, Bytes, Bytes)> {
        self.records
            .iter()
            .map(|(hash, key, data)| (*hash, self.buffer.slice(key.clone()), self.buffer.slice(data.clone())))
    }
}

fn hash_key(entry: &Entry<'_>) -> Result<HashKey, AwsError> {
    let key = &entry.partition_key;
    if key.is_empty() || key.len() > PARTITION_KEY_LENGTH_MAX && key.chars().count() > PARTITION_KEY_LENGTH_MAX {
        return Err(fault::constraint("partitionKey", key, "have length between 1 and 256"));
    }
    match &entry.explicit_hash_key {
        Some(explicit) => explicit.parse().map_err(|_| fault::not_a_hash_key("ExplicitHashKey", explicit)),
        None => Ok(hash::of_partition_key(key.as_bytes())),
    }
}

/// Refuses a call to a stream that takes none, or with a record above the stream's maximum.
fn check(stream: &Stream, prepared: &Prepared) -> Result<(), AwsError> {
    stream.require_usable()?;
    let allowed = u64::from(stream.record_kib_max) * 1024;
    if prepared.largest() > allowed {
        let rule = format!("have length less than or equal to {allowed}, data and partition key together");
        return Err(fault::constraint("data", format!("{} bytes", prepared.largest()), &rule));
    }
    Ok(())
}

pub(super) fn put_record(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let began = account.now();
    let input: PutRecordInput<'_> = borrowed(call)?;
    let stream = StreamRef { name: input.stream_name, arn: input.stream_arn };
    let entry =
        Entry { data: input.data, partition_key: input.partition_key, explicit_hash_key: input.explicit_hash_key };
    let prepared = Prepared::new(&[entry])?;
    let answer = account.find(&stream)?.put(account.now(), &account.settings, |writer| {
        check(writer.stream, &prepared)?;
        let mut stored = None;
        for (hash, key, data) in prepared.iter() {
            stored = Some(writer.put(hash, key, data));
        }
        let tally = Tally { total: 1, stored: u64::from(matches!(stored, Some(Ok(_)))), bytes: prepared.bytes() };
        put_metrics::count(writer.stream, &put_metrics::PUT_RECORD, &tally, began, account.now());
        match stored {
            Some(Ok(stored)) => {
                let mut answer =
                    json!({ "ShardId": stored.shard.to_string(), "SequenceNumber": stored.number.to_string() });
                if writer.stream.key_id.is_some() {
                    answer["EncryptionType"] = "KMS".into();
                }
                Ok(answer)
            }
            Some(Err(throttled)) => Err(fault::throttled(writer.stream, throttled.0)),
            None => Err(AwsError::internal("no record was given")),
        }
    })?;
    account.reclaim();
    Reply::json(&answer)
}

pub(super) fn put_records(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let began = account.now();
    let input: PutRecordsInput<'_> = borrowed(call)?;
    let stream = StreamRef { name: input.stream_name, arn: input.stream_arn };
    let (count, settings) = (input.records.len(), &account.settings);
    if count == 0 || count > settings.put_records_max {
        let rule = format!("have length between 1 and {}", settings.put_records_max);
        return Err(fault::constraint("records", format!("{count} records"), &rule));
    }
    let prepared = Prepared::new(&input.records)?;
    if prepared.bytes() > settings.put_bytes_max {
        return Err(fault::invalid(format!("Records size exceeds {} MB limit", settings.put_bytes_max >> 20)));
    }
    let answer = account.find(&stream)?.put(account.now(), settings, |writer| {
        check(writer.stream, &prepared)?;
        let (entries, tally) = store(writer, &prepared)?;
        put_metrics::count(writer.stream, &put_metrics::PUT_RECORDS, &tally, began, account.now());
        let mut answer = Vec::with_capacity(entries.len() + 64);
        write!(answer, "{{\"FailedRecordCount\":{},", tally.total - tally.stored).map_err(wire::unwritable)?;
        if writer.stream.key_id.is_some() {
            answer.extend_from_slice(b"\"EncryptionType\":\"KMS\",");
        }
        answer.extend_from_slice(b"\"Records\":[");
        answer.extend_from_slice(&entries);
        answer.extend_from_slice(b"]}");
        Ok(answer)
    })?;
    account.reclaim();
    Ok(Reply::Json(answer.into()))
}

/// Stores what the shards' quotas allow, and writes one answer entry per record.
fn store(writer: &mut Writer<'_>, prepared: &Prepared) -> Result<(Vec<u8>, Tally), AwsError> {
    let mut entries = Vec::with_capacity(prepared.records.len() * 128);
    let mut tally = Tally { total: prepared.records.len() as u64, stored: 0, bytes: 0 };
    for (hash, key, data) in prepared.iter() {
        let size = (key.len() + data.len()) as u64;
        if !entries.is_empty() {
            entries.push(b',');
        }
        match writer.put(hash, key, data) {
            Ok(stored) => {
                tally.stored += 1;
                tally.bytes += size;
                wire::write_stored(&mut entries, stored)?;
            }
            Err(throttled) => {
                let message = fault::rate_exceeded(writer.stream, throttled.0);
                let entry = json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": message });
                serde_json::to_writer(&mut entries, &entry).map_err(wire::unwritable)?;
            }
        }
    }
    Ok((entries, tally))
}
