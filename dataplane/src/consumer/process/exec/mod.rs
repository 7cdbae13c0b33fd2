//! The `exec` processor: a program for each shard that speaks the protocol of the KCL's MultiLangDaemon on its
//! standard input and output, like those written with amazon_kclpy.
//!
//! Strictly a message and its answer. While it answers, a program may ask for checkpoints: the lease holds nothing
//! but these, and it is told of one when the lease has it.

mod child;
mod command;
mod line;
mod message;
mod phase;

use std::{io, process::ExitStatus, sync::Arc, time::Duration};

use self::{
    child::Child,
    message::{Answer, CheckpointRequest, Message, Refusal},
    phase::{Delivered, Phase},
};
use super::{Chunk, ProcessError};
use crate::consumer::{
    checkpoint::Checkpoint,
    progress::{LeaseLost, Progress},
    stats::Accounts,
    unpack::Record,
};

pub use command::ExecCommand;

/// The most records, and about the most bytes of data, in one `processRecords`.
pub(super) const MESSAGE_RECORDS_MAX: usize = 2000;
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("cannot start `{program}`")]
    Start { program: String, source: io::Error },
    #[error("cannot write to it")]
    Input(#[source] io::Error),
    #[error("it ended: {0}")]
    Ended(ExitStatus),
    #[error("it closed its output")]
    Closed,
    #[error("it did not answer within {0:?} (WEIR_EXEC_TIMEOUT)")]
    Silent(Duration),
    #[error("it answered `{answered}` to `{asked}`")]
    Mixed { asked: &'static str, answered: String },
}

/// Starts programs.
pub(crate) struct Exec {
    pub(crate) command: ExecCommand,
    /// The longest wait for an answer.
    pub(crate) timeout: Duration,
}

/// A program that is initialised for a shard.
pub(crate) struct Session<'a> {
    child: Child,
    progress: &'a Progress,
    accounts: Accounts<'a>,
    delivered: Delivered,
    /// Whether it has checkpointed the end of the shard.
    ended: bool,
    shard_id: Arc<str>,
}

impl Exec {
    pub(super) async fn open<'a>(
        &self,
        shard_id: &Arc<str>,
        progress: &'a Progress,
        accounts: Accounts<'a>,
    ) -> Result<Session<'a>, ExecError> {
        let child = Child::spawn(&self.command, shard_id, self.timeout)?;
        let delivered = Delivered::default();
        let mut session = Session { child, progress, accounts, delivered, ended: false, shard_id: shard_id.clone() };
        let from = progress.reached();
        let initialize = Message::Initialize {
            shard_id,
            sequence_number: &from.to_string(),
            sub_sequence_number: from.sub_sequence_number(),
        };
        match session.ask(Phase::Initialize, &initialize).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.child.end().await;
                Err(error)
            }
        }
    }
}

impl Session<'_> {
    /// Gives the program a chunk. Whatever goes wrong with it, some record may be the cause.
    pub(super) async fn deliver<M>(&mut self, chunk: Chunk<M>) -> Result<(), ProcessError> {
        self.accounts.note_begun(&chunk);
        let Chunk { records, checkpoint, behind_ms, .. } = chunk;
        if records.is_empty() {
            self.pass(checkpoint);
            return Ok(());
        }
        match self.process(&records, behind_ms).await {
            Ok(()) => {
                self.accounts.note_done(&records);
                Ok(())
            }
            Err(error) => Err(ProcessError::Rejected { records, source: error.into() }),
        }
    }

    /// Moves on behind what the program does not get, if it has checkpointed all that it got.
    fn pass(&self, checkpoint: Option<Checkpoint>) {
        let current = self.progress.reached();
        if let Some(checkpoint) = checkpoint.filter(|_| self.delivered.all(&current) == current) {
            self.progress.reach(checkpoint, 0);
        }
    }

    async fn process(&mut self, records: &[Record], behind_ms: Option<u64>) -> Result<(), ExecError> {
        let mut rest = records;
        while let Some((message, next)) = rest.split_at_checked(message_len(rest)).filter(|(now, _)| !now.is_empty()) {
            self.note_delivered(message);
            let records = message.iter().map(Into::into).collect();
            let message = Message::ProcessRecords { records, millis_behind_latest: behind_ms };
            self.ask(Phase::ProcessRecords, &message).await?;
            rest = next;
        }
        Ok(())
    }

    /// Tells the program that its shard has ended. Whether it has checkpointed that.
    pub(super) async fn end(mut self) -> Result<bool, ExecError> {
        let told = self.ask(Phase::ShardEnded, &Message::ShardEnded).await;
        self.child.end().await;
        told.map(|()| self.ended)
    }

    /// Lets the program checkpoint if the lease is still there, and takes the shard away from it.
    pub(super) async fn stop(mut self) {
        let told = async {
            if !self.progress.is_lost() {
                self.ask(Phase::ShutdownRequested, &Message::ShutdownRequested).await?;
            }
            self.ask(Phase::LeaseLost, &Message::LeaseLost).await
        };
        if let Err(error) = told.await {
            let error = crate::process::chain(&error);
            tracing::warn!(shard = &*self.shard_id, error, "the program failed when it was to stop");
        }
        self.child.end().await;
    }

    pub(super) async fn abandon(self) {
        self.child.end().await;
    }

    fn note_delivered(&mut self, records: &[Record]) {
        let position =
            |record: &Record| record.sequence_number.parse().ok().map(|number| (number, record.sub_sequence_number));
        if let Some((first, last)) = records.first().and_then(position).zip(records.last().and_then(position)) {
            self.delivered.extend(first, last);
        }
    }

    /// Sends a message and grants checkpoints until it is answered.
    async fn ask(&mut self, phase: Phase, message: &Message<'_>) -> Result<(), ExecError> {
        self.child.send(message).await?;
        loop {
            match self.child.answer().await? {
                Answer::Status { response_for } if response_for == phase.name() => return Ok(()),
                Answer::Status { response_for } => {
                    return Err(ExecError::Mixed { asked: phase.name(), answered: response_for });
                }
                Answer::Checkpoint(request) => {
                    let error = self.checkpoint(phase, &request).await.err();
                    let reply = Message::Checkpoint {
                        sequence_number: request.sequence_number.as_deref(),
                        sub_sequence_number: request.sub_sequence_number,
                        error,
                    };
                    self.child.send(&reply).await?;
                }
            }
        }
    }

    async fn checkpoint(&mut self, phase: Phase, request: &CheckpointRequest) -> Result<(), Refusal> {
        let current = self.progress.reached();
        let asked = self.delivered.judge(phase, &current, request)?;
        let ended = asked == Checkpoint::ShardEnd;
        // The end itself is written with the leases of the shards that follow.
        let asked = if ended { self.delivered.all(&current) } else { asked };
        if self.progress.is_lost() {
            return Err(Refusal::Shutdown);
        }
        if asked != current {
            self.progress.store(asked).await.map_err(|LeaseLost| Refusal::Shutdown)?;
        }
        self.ended |= ended;
        Ok(())
    }
}

/// How many of these records go into one message: one at least.
fn message_len(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fitting = records.iter().take(MESSAGE_RECORDS_MAX).take_while(|record| {
        bytes += record.data.len();
        bytes <= MESSAGE_BYTES_MAX
    });
    fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::consumer::stats::Stats;

    async fn failure(script: &str, timeout: Duration) -> String {
        let arguments = ["-c", script].map(str::to_owned).to_vec();
        let exec = Exec { command: ExecCommand { program: "sh".to_owned(), arguments }, timeout };
        let progress = Progress::new(Checkpoint::TrimHorizon, None);
        let stats = Stats::new(tokio::time::Instant::now());
        let lease = stats.add("shard");
        let opened = exec.open(&"shard".into(), &progress, Accounts { lease: &lease, worker: &stats }).await;
        opened.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_program_that_does_not_follow_the_protocol_is_given_up_and_the_error_says_why() {
        const LONG: Duration = Duration::from_secs(60);
        assert_eq!(failure("exit 3", LONG).await, "it ended: exit status: 3");
        let other = r#"echo '{"action":"status","responseFor":"shardEnded"}'; cat > /dev/null"#;
        assert_eq!(failure(other, LONG).await, "it answered `shardEnded` to `initialize`");
        let chatter = "echo; echo a word; cat > /dev/null";
        let silent = failure(chatter, Duration::from_millis(200)).await;
        assert_eq!(silent, "it did not answer within 200ms (WEIR_EXEC_TIMEOUT)");
    }

    #[tokio::test]
    async fn a_program_that_answers_between_other_lines_is_understood() {
        let script = r#"read line; echo; echo a word; echo '{"action":"status","responseFor":"initialize"}'"#;
        assert_eq!(failure(script, Duration::from_secs(60)).await, "");
    }

    #[test]
    fn a_message_is_bounded_in_records_and_bytes_and_takes_one_record_at_least() {
        let records = |count, bytes| {
            let record = Record {
                data: Bytes::from(vec![0; bytes]),
                partition_key: "k".into(),
                explicit_hash_key: None,
                sequence_number: "1".into(),
                sub_sequence_number: 0,
                shard_id: "shard".into(),
                arrived_at_ms: None,
            };
            vec![record; count]
        };
        assert_eq!(message_len(&records(10, 10)), 10);
        assert_eq!(message_len(&records(MESSAGE_RECORDS_MAX + 1, 1)), MESSAGE_RECORDS_MAX);
        assert_eq!(message_len(&records(5, MESSAGE_BYTES_MAX / 2)), 2);
        assert_eq!(message_len(&records(2, MESSAGE_BYTES_MAX + 1)), 1);
    }
}
