//! The `exec` processor: a program for each shard that speaks the protocol of the KCL's MultiLangDaemon on its
//! standard input and output, like those written with amazon_kclpy.
//!
//! Strictly a message and its answer. While it answers, a program may ask for checkpoints: the lease holds nothing
//! but these, and it is told of one when the lease has it. While it works on a message the next one is fetched,
//! unpacked and written down here, so that it waits for no more than the pipe.

mod child;
mod command;
mod conversation;
mod line;
mod message;
mod phase;

use std::{future::pending, io, process::ExitStatus, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};

use self::{child::Child, conversation::Conversation, message::process_records};
use super::{Chunk, ProcessError};
use crate::consumer::{progress::Progress, stats::Accounts, unpack::Record};

pub use command::ExecCommand;

/// The most records of one `processRecords`, which holds a chunk.
pub(super) const MESSAGE_RECORDS_MAX: usize = 2000;

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
    turn: Turn<'a>,
    accounts: Accounts<'a>,
}

/// Whose turn it is to speak.
enum Turn<'a> {
    Ours(Box<Conversation<'a>>),
    /// The program works. This is kept, so that a wait for it may be dropped.
    Its(BoxFuture<'a, Worked<'a>>),
    /// A message was cut short: there is nothing more to say.
    Nobodys,
}

/// What became of a chunk.
struct Worked<'a> {
    conversation: Box<Conversation<'a>>,
    records: Vec<Record>,
    result: Result<(), ExecError>,
}

impl Exec {
    pub(super) async fn open<'a>(
        &self,
        shard_id: &Arc<str>,
        progress: &'a Progress,
        accounts: Accounts<'a>,
    ) -> Result<Session<'a>, ExecError> {
        let child = Child::spawn(&self.command, shard_id, self.timeout)?;
        let conversation = Conversation::open(child, progress, shard_id.clone()).await?;
        Ok(Session { turn: Turn::Ours(Box::new(conversation)), accounts })
    }
}

impl<'a> Session<'a> {
    /// Gives the program a chunk, as one message, when it has answered the last one. Whatever goes wrong with it, some
    /// record may be the cause.
    pub(super) async fn deliver(&mut self, chunk: Chunk<impl Send + 'a>) -> Result<(), ProcessError> {
        let message = process_records(&chunk.records, chunk.behind_ms);
        let Some(mut conversation) = self.our_turn().await? else { return Ok(()) };
        self.accounts.note_begun(&chunk);
        let Chunk { records, checkpoint, memory, .. } = chunk;
        if records.is_empty() {
            conversation.pass(checkpoint);
            self.turn = Turn::Ours(conversation);
            return Ok(());
        }
        if let Err(error) = conversation.give(&records, &message).await {
            self.turn = Turn::Ours(conversation);
            return Err(ProcessError::Rejected { records, source: error.into() });
        }
        drop(message);
        let working = async move {
            let result = conversation.hear_of_records().await;
            drop(memory);
            Worked { conversation, records, result }
        };
        self.turn = Turn::Its(working.boxed());
        Ok(())
    }

    /// Waits until the program has answered, and takes the turn.
    async fn our_turn(&mut self) -> Result<Option<Box<Conversation<'a>>>, ProcessError> {
        self.finish().await?;
        match std::mem::replace(&mut self.turn, Turn::Nobodys) {
            Turn::Ours(conversation) => Ok(Some(conversation)),
            Turn::Its(_) | Turn::Nobodys => Ok(None),
        }
    }

    /// Waits until the program has answered, if it has not. May be dropped.
    pub(super) async fn finish(&mut self) -> Result<(), ProcessError> {
        if matches!(self.turn, Turn::Its(_)) { self.settle().await } else { Ok(()) }
    }

    /// Waits until the program has answered. Forever, if it was asked nothing. May be dropped.
    pub(super) async fn settle(&mut self) -> Result<(), ProcessError> {
        let Turn::Its(working) = &mut self.turn else { return pending().await };
        let Worked { conversation, records, result } = working.await;
        self.turn = Turn::Ours(conversation);
        match result {
            Ok(()) => {
                self.accounts.note_done(&records);
                Ok(())
            }
            Err(error) => Err(ProcessError::Rejected { records, source: error.into() }),
        }
    }

    /// Tells the program, when it has answered, that its shard has ended, which it has to checkpoint.
    pub(super) async fn end(mut self) -> Result<(), ProcessError> {
        let finished = self.finish().await;
        match self.turn {
            Turn::Ours(conversation) if finished.is_ok() => match conversation.end().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(ProcessError::EndNotCheckpointed),
                Err(error) => Err(ProcessError::Unavailable(error.into())),
            },
            Turn::Ours(conversation) => {
                conversation.abandon().await;
                finished
            }
            Turn::Its(_) | Turn::Nobodys => finished,
        }
    }

    /// Lets the program answer, and checkpoint if the lease is still there, and takes the shard away from it.
    pub(super) async fn stop(mut self) -> Result<(), ProcessError> {
        let finished = self.finish().await;
        match self.turn {
            Turn::Ours(conversation) if finished.is_ok() => conversation.stop().await,
            Turn::Ours(conversation) => conversation.abandon().await,
            Turn::Its(_) | Turn::Nobodys => {}
        }
        finished
    }

    pub(super) async fn abandon(self) {
        if let Turn::Ours(conversation) = self.turn {
            conversation.abandon().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::{checkpoint::Checkpoint, stats::Stats};

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
}
