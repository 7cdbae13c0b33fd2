//! The messages of the KCL's MultiLangDaemon protocol: one JSON object a line. Pure.
//!
//! The order of the members is that of the KCL, so that what it writes and what Weir writes can be compared.

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::consumer::unpack::Record;

/// What a program is asked, and what it is told of its checkpoint.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Message<'a> {
    Initialize { shard_id: &'a str, sequence_number: &'a str, sub_sequence_number: u64 },
    ProcessRecords { records: Vec<RecordMessage<'a>>, millis_behind_latest: Option<u64> },
    LeaseLost,
    ShardEnded,
    ShutdownRequested,
    Checkpoint { sequence_number: Option<&'a str>, sub_sequence_number: Option<u64>, error: Option<Refusal> },
}

/// A record of `processRecords`.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename = "record", rename_all = "camelCase")]
pub(super) struct RecordMessage<'a> {
    #[serde(serialize_with = "base64")]
    data: &'a Bytes,
    partition_key: &'a str,
    sequence_number: &'a str,
    /// Milliseconds since the Unix epoch.
    approximate_arrival_timestamp: Option<i64>,
    sub_sequence_number: u64,
}

/// What a program says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Answer {
    Status { response_for: String },
    Checkpoint(CheckpointRequest),
}

/// Without a sequence number everything that was delivered is meant, and without a sub-sequence number 0.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointRequest {
    pub(super) sequence_number: Option<String>,
    pub(super) sub_sequence_number: Option<u64>,
}

/// Why a checkpoint was not written, by the name of the KCL's exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Refusal {
    /// Not a sequence number between the last checkpoint and the last record that was delivered.
    #[serde(rename = "IllegalArgumentException")]
    IllegalArgument,
    /// Not a time for checkpoints.
    #[serde(rename = "InvalidStateException")]
    InvalidState,
    /// The lease is lost.
    #[serde(rename = "ShutdownException")]
    Shutdown,
}

impl Message<'_> {
    /// The message as a line, with its end.
    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

impl<'a> From<&'a Record> for RecordMessage<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            data: &record.data,
            partition_key: &record.partition_key,
            sequence_number: &record.sequence_number,
            approximate_arrival_timestamp: record.arrived_at_ms,
            sub_sequence_number: record.sub_sequence_number,
        }
    }
}

fn base64<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(data, &STANDARD))
}

/// Reads a line of a program. Programs print other things as well: `None` is what the KCL ignores, too.
pub(super) fn read(line: &[u8]) -> Option<Answer> {
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &Message<'_>) -> String {
        String::from_utf8(message.line().expect("a line")).expect("UTF-8")
    }

    #[test]
    fn messages_are_written_as_the_kcl_writes_them() {
        let initialize =
            Message::Initialize { shard_id: "shardId-000000000000", sequence_number: "495", sub_sequence_number: 3 };
        assert_eq!(
            line(&initialize),
            concat!(
                r#"{"action":"initialize","shardId":"shardId-000000000000","sequenceNumber":"495","#,
                r#""subSequenceNumber":3}"#,
                "\n"
            )
        );
        assert_eq!(line(&Message::LeaseLost), "{\"action\":\"leaseLost\"}\n");
        assert_eq!(line(&Message::ShardEnded), "{\"action\":\"shardEnded\"}\n");
        assert_eq!(line(&Message::ShutdownRequested), "{\"action\":\"shutdownRequested\"}\n");
    }

    #[test]
    fn records_are_written_in_base64_and_call_themselves_records() {
        let record = Record {
            data: Bytes::from_static(b"\xffone"),
            partition_key: "k".into(),
            explicit_hash_key: None,
            sequence_number: "495".into(),
            sub_sequence_number: 1,
            shard_id: "shardId-000000000000".into(),
            arrived_at_ms: Some(1_700_000_000_000),
        };
        let message = Message::ProcessRecords { records: vec![(&record).into()], millis_behind_latest: Some(0) };
        assert_eq!(
            line(&message),
            concat!(
                r#"{"action":"processRecords","records":[{"action":"record","data":"/29uZQ==","partitionKey":"k","#,
                r#""sequenceNumber":"495","approximateArrivalTimestamp":1700000000000,"subSequenceNumber":1}],"#,
                r#""millisBehindLatest":0}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_answer_to_a_checkpoint_has_all_its_members() {
        let stored = Message::Checkpoint { sequence_number: Some("495"), sub_sequence_number: Some(0), error: None };
        assert_eq!(
            line(&stored),
            "{\"action\":\"checkpoint\",\"sequenceNumber\":\"495\",\"subSequenceNumber\":0,\"error\":null}\n"
        );
        for (refusal, name) in [
            (Refusal::IllegalArgument, "IllegalArgumentException"),
            (Refusal::InvalidState, "InvalidStateException"),
            (Refusal::Shutdown, "ShutdownException"),
        ] {
            let refused =
                Message::Checkpoint { sequence_number: None, sub_sequence_number: None, error: Some(refusal) };
            let expected = format!(
                "{{\"action\":\"checkpoint\",\"sequenceNumber\":null,\"subSequenceNumber\":null,\"error\":\"{name}\"}}\n"
            );
            assert_eq!(line(&refused), expected);
        }
    }

    #[test]
    fn what_a_program_says_is_understood() {
        let status = |action: &str| Some(Answer::Status { response_for: action.to_owned() });
        assert_eq!(read(br#"{"action": "status", "responseFor": "initialize"}"#), status("initialize"));
        assert_eq!(read(b"  {\"responseFor\":\"leaseLost\",\"action\":\"status\"}\r"), status("leaseLost"));
        let all = br#"{"action":"checkpoint","sequenceNumber":null,"subSequenceNumber":null}"#;
        assert_eq!(read(all), Some(Answer::Checkpoint(CheckpointRequest::default())));
        let one = br#"{"action":"checkpoint","sequenceNumber":"495","subSequenceNumber":2}"#;
        let request = CheckpointRequest { sequence_number: Some("495".to_owned()), sub_sequence_number: Some(2) };
        assert_eq!(read(one), Some(Answer::Checkpoint(request)));
    }

    #[test]
    fn what_is_no_message_is_nothing() {
        for noise in ["", "  ", "processed 3 records", "{", "17", "{\"action\":\"shout\"}", "[]"] {
            assert_eq!(read(noise.as_bytes()), None, "{noise}");
        }
    }
}
