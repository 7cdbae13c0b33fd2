//! A Kinesis record as lines of JSON.

use anyhow::Result;
use aws_sdk_kinesis::types::Record;
use base64::{Engine, prelude::BASE64_STANDARD};
use dataplane::aggregation::{UserRecord, decode};
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;

/// A user record as DESIGN has it for `ctl tail` and the `log` processor alike.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    partition_key: &'a str,
    sequence_number: &'a str,
    sub_sequence_number: usize,
    shard_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived_at: Option<Timestamp>,
}

/// The user records of some Kinesis records, aggregated ones taken apart, one JSON object a line.
pub(super) fn lines(shard_id: &str, records: Vec<Record>) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        let key = record.partition_key.unwrap_or_default();
        let data = Bytes::from(record.data.into_inner());
        let arrived_at = record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok());
        let arrived_at = arrived_at.and_then(|at| Timestamp::from_millisecond(at).ok());
        let alone =
            || vec![UserRecord { partition_key: key.as_str().into(), explicit_hash_key: None, data: data.clone() }];
        let users = decode(&data).unwrap_or_else(alone);
        for (sub_sequence_number, user) in users.iter().enumerate() {
            let text = std::str::from_utf8(&user.data).ok();
            let line = Line {
                data: text,
                data_base64: text.is_none().then(|| BASE64_STANDARD.encode(&user.data)),
                partition_key: &user.partition_key,
                sequence_number: &record.sequence_number,
                sub_sequence_number,
                shard_id,
                arrived_at,
            };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
    }
    Ok(lines)
}
