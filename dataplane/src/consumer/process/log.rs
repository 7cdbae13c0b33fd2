//! The `log` processor: a JSON object a line on standard output.

use std::{str, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

use super::{Failure, Processor, json};
use crate::consumer::unpack::Record;

/// About what a line has beside its data.
const LINE_BYTES: usize = 300;

/// Writes records to an output that all shards share: whole batches, so that lines are never torn.
pub(crate) struct Log {
    output: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
}

impl Log {
    pub(crate) fn new(output: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { output: Mutex::new(Box::new(output)) }
    }

    async fn write(&self, records: &[Record]) -> Result<(), Failure> {
        let lines = lines(records);
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

/// Records as lines of JSON: the form that everything shows them in. Data that is not UTF-8 is written in base64.
#[must_use]
pub fn lines(records: &[Record]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(records.iter().map(|record| record.data.len() + LINE_BYTES).sum());
    let mut origin: Option<Origin<'_>> = None;
    for record in records {
        // The records of an aggregate have it in common.
        let origin = match origin.take().filter(|known| known.is_of(record)) {
            Some(known) => origin.insert(known),
            None => origin.insert(Origin::of(record)),
        };
        match str::from_utf8(&record.data) {
            Ok(text) => {
                lines.extend_from_slice(br#"{"data":"#);
                json::string(text, &mut lines);
            }
            Err(_) => {
                lines.extend_from_slice(br#"{"data_base64":"#);
                json::base64(&record.data, &mut lines);
            }
        }
        lines.extend_from_slice(br#","partition_key":"#);
        json::string(&record.partition_key, &mut lines);
        lines.extend_from_slice(&origin.before);
        json::number(record.sub_sequence_number, &mut lines);
        lines.extend_from_slice(&origin.after);
    }
    lines
}

/// What all records of a Kinesis record have in common, as it is written before and after a record's own number.
struct Origin<'a> {
    first: &'a Record,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl<'a> Origin<'a> {
    fn of(first: &'a Record) -> Self {
        let (mut before, mut after) = (br#","sequence_number":"#.to_vec(), br#","shard_id":"#.to_vec());
        json::string(&first.sequence_number, &mut before);
        before.extend_from_slice(br#","sub_sequence_number":"#);
        json::string(&first.shard_id, &mut after);
        after.extend_from_slice(br#","arrived_at":"#);
        match first.arrived_at_ms.and_then(iso) {
            Some(time) => json::string(&time, &mut after),
            None => after.extend_from_slice(b"null"),
        }
        after.extend_from_slice(b"}\n");
        Self { first, before, after }
    }

    fn is_of(&self, record: &Record) -> bool {
        Arc::ptr_eq(&self.first.sequence_number, &record.sequence_number)
            && Arc::ptr_eq(&self.first.shard_id, &record.shard_id)
            && self.first.arrived_at_ms == record.arrived_at_ms
    }
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
        let written = lines(&[record(b"one\ntwo"), record(b"\xff")]);
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
