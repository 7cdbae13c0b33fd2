//! The `log` processor: a JSON object a line on standard output.

use std::str;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use serde::Serialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

use super::{Failure, Processor};
use crate::consumer::unpack::Record;

/// Writes records to an output that all shards share: whole batches, so that lines are never torn.
pub(crate) struct Log {
    output: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
}

/// A record as it is written. Data that is not UTF-8 is written in base64.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    partition_key: &'a str,
    sequence_number: &'a str,
    sub_sequence_number: u64,
    shard_id: &'a str,
    arrived_at: Option<&'a str>,
}

impl Log {
    pub(crate) fn new(output: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { output: Mutex::new(Box::new(output)) }
    }

    async fn write(&self, records: &[Record]) -> Result<(), Failure> {
        let lines = lines(records).map_err(Failure::rejected)?;
        let mut output = self.output.lock().await;
        output.write_all(&lines).await.map_err(Failure::unavailable)?;
        output.flush().await.map_err(Failure::unavailable)
    }
}

impl Processor for Log {
    fn process<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<(), Failure>> {
        self.write(records).boxed()
    }
}

/// Records as lines of JSON: the form that everything shows them in.
///
/// # Errors
/// Never in practice: every member can be written as JSON.
pub fn lines(records: &[Record]) -> serde_json::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(records.iter().map(|record| record.data.len() + 300).sum());
    let mut arrived = (None, None);
    for record in records {
        // The records of an aggregate arrived together.
        if arrived.0 != record.arrived_at_ms {
            arrived = (record.arrived_at_ms, record.arrived_at_ms.and_then(iso));
        }
        let data = str::from_utf8(&record.data).ok();
        let line = Line {
            data,
            data_base64: data.is_none().then(|| BASE64_STANDARD.encode(&record.data)),
            partition_key: &record.partition_key,
            sequence_number: &record.sequence_number,
            sub_sequence_number: record.sub_sequence_number,
            shard_id: &record.shard_id,
            arrived_at: arrived.1.as_deref(),
        };
        serde_json::to_writer(&mut lines, &line)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// ISO 8601 in UTC with milliseconds.
fn iso(milliseconds: i64) -> Option<String> {
    Timestamp::from_millisecond(milliseconds).ok().map(|time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &'static [u8]) -> Record {
        Record {
            data: data.into(),
            partition_key: "k\"".into(),
            explicit_hash_key: None,
            sequence_number: "49".into(),
            sub_sequence_number: 1,
            shard_id: "shardId-000000000000".into(),
            arrived_at_ms: Some(1_700_000_000_120),
        }
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let written = lines(&[record(b"one\ntwo"), record(b"\xff")]).expect("lines");
        assert_eq!(
            str::from_utf8(&written).expect("UTF-8"),
            concat!(
                r#"{"data":"one\ntwo","partition_key":"k\"","sequence_number":"49","sub_sequence_number":1,"#,
                r#""shard_id":"shardId-000000000000","arrived_at":"2023-11-14T22:13:20.120Z"}"#,
                "\n",
                r#"{"data_base64":"/w==","partition_key":"k\"","sequence_number":"49","sub_sequence_number":1,"#,
                r#""shard_id":"shardId-000000000000","arrived_at":"2023-11-14T22:13:20.120Z"}"#,
                "\n"
            )
        );
    }
}
