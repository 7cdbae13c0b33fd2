//! The messages of the KCL's MultiLangDaemon protocol: one JSON object a line. Pure.
//!
//! The order of the members is that of the KCL, so that what it writes and what Weir writes can be compared.

use serde::{Deserialize, Serialize};

use crate::consumer::{process::json, unpack::Record};

/// About what a record takes in a message beside its data.
const RECORD_BYTES: usize = 250;

/// What a program is asked, and what it is told of its checkpoint. For `processRecords` see [`process_records`].
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Message<'a> {
    Initialize { shard_id: &'a str, sequence_number: &'a str, sub_sequence_number: u64 },
    LeaseLost,
    ShardEnded,
    ShutdownRequested,
    Checkpoint { sequence_number: Option<&'a str>, sub_sequence_number: Option<u64>, error: Option<Refusal> },
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

/// `processRecords` as a line, with its end. By far the longest message, and the one that matters, so it is written by
/// hand.
pub(super) fn process_records(records: &[Record], millis_behind_latest: Option<u64>) -> Vec<u8> {
    let bytes = records.iter().map(|record| record.data.len() * 4 / 3 + record.partition_key.len() + RECORD_BYTES);
    let mut line = Vec::with_capacity(bytes.sum());
    line.extend_from_slice(br#"{"action":"processRecords","records":["#);
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        line.extend_from_slice(br#"{"action":"record","data":"#);
        json::base64(&record.data, &mut line);
        line.extend_from_slice(br#","partitionKey":"#);
        json::string(&record.partition_key, &mut line);
        line.extend_from_slice(br#","sequenceNumber":"#);
        json::string(&record.sequence_number, &mut line);
        line.extend_from_slice(br#","approximateArrivalTimestamp":"#);
        json::number_or_null(record.arrived_at_ms, &mut line);
        line.extend_from_slice(br#","subSequenceNumber":"#);
        json::number(record.sub_sequence_number, &mut line);
        line.push(b'}');
    }
    line.extend_from_slice(br#"],"millisBehindLatest":"#);
    json::number_or_null(millis_behind_latest, &mut line);
    line.extend_from_slice(b"}\n");
    line
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
            data: b"\xffone".as_slice().into(),
            partition_key: "k\"".into(),
            explicit_hash_key: None,
            sequence_number: "495".into(),
            sub_sequence_number: 1,
            shard_id: "shardId-000000000000".into(),
            arrived_at_ms: Some(1_700_000_000_000),
        };
        let unknown = Record { sub_sequence_number: 2, arrived_at_ms: None, ..record.clone() };
        let line = process_records(&[record, unknown], Some(0));
        assert_eq!(
            String::from_utf8(line).expect("UTF-8"),
            concat!(
                r#"{"action":"processRecords","records":[{"action":"record","data":"/29uZQ==","partitionKey":"k\"","#,
                r#""sequenceNumber":"495","approximateArrivalTimestamp":1700000000000,"subSequenceNumber":1},"#,
                r#"{"action":"record","data":"/29uZQ==","partitionKey":"k\"","#,
                r#""sequenceNumber":"495","approximateArrivalTimestamp":null,"subSequenceNumber":2}],"#,
                r#""millisBehindLatest":0}"#,
                "\n"
            )
        );
        assert_eq!(
            process_records(&[], None),
            b"{\"action\":\"processRecords\",\"records\":[],\"millisBehindLatest\":null}\n"
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
