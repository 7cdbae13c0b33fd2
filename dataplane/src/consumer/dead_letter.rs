//! Where records go that no try has got processed.

use std::{path::PathBuf, str::FromStr};

use aws_sdk_kinesis::{Client, primitives::Blob};
use serde::Serialize;
use tokio::{fs::OpenOptions, io::AsyncWriteExt, sync::Mutex};

use super::{process::lines, unpack::Record};
use crate::{ambient, aws};

/// Where dead letters are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterTarget {
    /// A stream, which gets a record of the same partition key.
    Stream(String),
    /// A file, which gets a line.
    File(PathBuf),
}

impl FromStr for DeadLetterTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("stream", name)) if !name.is_empty() => Ok(Self::Stream(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(format!("`{text}` is neither stream:NAME nor file:PATH")),
        }
    }
}

/// Keeps dead letters.
pub(crate) struct DeadLetters {
    pub(crate) kinesis: Client,
    pub(crate) application: String,
    pub(crate) target: DeadLetterTarget,
    /// Lines of two shards are never mixed.
    pub(crate) writing: Mutex<()>,
}

/// What a dead letter has beside the members of a record.
#[derive(Serialize)]
struct Note<'a> {
    application: &'a str,
    /// Milliseconds since the Unix epoch.
    dead_lettered_at_ms: u64,
    error: &'a str,
}

impl DeadLetters {
    /// Stores a record with the error that it was given up for. `Ok` means that it is safe.
    pub(crate) async fn store(&self, record: &Record, error: &str) -> Result<(), String> {
        let letter = letter(record, &self.application, ambient::now_ms(), error).map_err(|error| error.to_string())?;
        match &self.target {
            DeadLetterTarget::Stream(name) => {
                let put = self.kinesis.put_record().stream_name(name).partition_key(&*record.partition_key);
                let put = put.data(Blob::new(letter)).send().await;
                put.map(|_| ()).map_err(|error| format!("stream {name}: {}", aws::describe(&error)))
            }
            DeadLetterTarget::File(path) => {
                let _writing = self.writing.lock().await;
                let stored = append(path, &letter).await;
                stored.map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
}

async fn append(path: &PathBuf, line: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path).await?;
    file.write_all(line).await?;
    file.sync_data().await
}

/// The record as `log` writes it, with the note's members in the same object.
fn letter(record: &Record, application: &str, now_ms: u64, error: &str) -> serde_json::Result<Vec<u8>> {
    let mut line = lines(std::slice::from_ref(record));
    let note = serde_json::to_vec(&Note { application, dead_lettered_at_ms: now_ms, error })?;
    line.truncate(line.trim_ascii_end().len().saturating_sub(1));
    line.push(b',');
    line.extend_from_slice(&note[1..]);
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_the_record_with_a_note() {
        let record = Record {
            data: b"one".as_slice().into(),
            partition_key: "k".into(),
            explicit_hash_key: None,
            sequence_number: "49".into(),
            sub_sequence_number: 1,
            shard_id: "shard".into(),
            arrived_at_ms: None,
        };
        let letter = letter(&record, "app", 7, "it is \"bad\"").expect("a letter");
        let text = String::from_utf8(letter).expect("UTF-8");
        assert!(text.ends_with("}\n"));
        let letter: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!((&letter["data"], &letter["sequence_number"]), (&"one".into(), &"49".into()));
        assert_eq!((&letter["error"], &letter["dead_lettered_at_ms"]), (&"it is \"bad\"".into(), &7.into()));
    }

    #[test]
    fn a_target_says_what_it_is() {
        assert_eq!("stream:dlq".parse(), Ok(DeadLetterTarget::Stream("dlq".to_owned())));
        assert_eq!("file:/tmp/x:y".parse(), Ok(DeadLetterTarget::File("/tmp/x:y".into())));
        for text in ["", "dlq", "stream:", "file:", "s3:bucket"] {
            assert!(text.parse::<DeadLetterTarget>().is_err(), "{text}");
        }
    }
}
