//! What is done with records.
//!
//! A [`Processor`] belongs to the consumer, a [`Session`] to one shard and one holder of its lease. Who decides what
//! is checkpointed differs: a Rust processor is done with records when it says so, so its session moves the
//! [`Progress`] itself; under `exec` the program says how far it has come, and the session passes that on.

mod direct;
mod exec;
mod json;
mod log;
mod processor;
mod webhook;

use std::sync::Arc;

use tokio::time::Instant;

use super::{checkpoint::Checkpoint, progress::Progress, stats::Accounts, unpack::Record};

pub(crate) use exec::Exec;
pub use exec::ExecCommand;
pub(crate) use log::Log;
pub use log::lines;
pub use processor::{Failure, Processor, ShardStart};
pub(crate) use webhook::Webhook;

/// Why records were not processed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// Nothing is wrong with the records.
    #[error("the processor cannot go on")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// One of these records may be the cause.
    #[error("the processor failed on {} records from {} on", records.len(), first(records))]
    Rejected { records: Vec<Record>, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the program was told that the shard has ended and did not checkpoint; it must, in `shardEnded`")]
    EndNotCheckpointed,
}

fn first(records: &[Record]) -> &str {
    records.first().map_or("nowhere", |record| &record.sequence_number)
}

/// How records are processed.
pub(crate) enum Processing {
    /// In this process.
    Direct(Arc<dyn Processor>),
    /// By a program for each shard.
    Exec(Exec),
}

/// A processor at work on one shard.
pub(crate) enum Session<'a> {
    Direct(direct::Session<'a>),
    Exec(exec::Session<'a>),
}

/// Records of one shard, in order, that are processed together.
pub(crate) struct Chunk<M> {
    pub(crate) records: Vec<Record>,
    /// Behind the last record, unless it was there before.
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) behind_ms: Option<u64>,
    pub(crate) fetched_at: Instant,
    /// What is given back when they are processed.
    pub(crate) memory: M,
}

impl Processing {
    /// Begins with a shard, at what `progress` has reached.
    pub(crate) async fn open<'a>(
        &'a self,
        shard_id: &Arc<str>,
        progress: &'a Progress,
        accounts: Accounts<'a>,
    ) -> Result<Session<'a>, ProcessError> {
        match self {
            Self::Direct(processor) => {
                Ok(Session::Direct(direct::Session::open(&**processor, shard_id, progress, accounts).await?))
            }
            Self::Exec(exec) => {
                let session = exec.open(shard_id, progress, accounts).await;
                let session = session.map_err(|error| ProcessError::Unavailable(error.into()))?;
                Ok(Session::Exec(session))
            }
        }
    }

    /// The most records of one chunk.
    pub(crate) fn chunk_records(&self) -> usize {
        match self {
            Self::Direct(processor) => processor.records_max().max(1),
            Self::Exec(_) => exec::MESSAGE_RECORDS_MAX,
        }
    }
}

impl Session<'_> {
    /// Takes a chunk and processes it, or begins to. After an error the session is of no more use than to be abandoned.
    pub(crate) async fn deliver(&mut self, chunk: Chunk<impl Send + 'static>) -> Result<(), ProcessError> {
        match self {
            Self::Direct(session) => session.deliver(chunk).await,
            Self::Exec(session) => session.deliver(chunk).await,
        }
    }

    /// Waits until everything that was begun is done.
    pub(crate) async fn finish(&mut self) -> Result<(), ProcessError> {
        match self {
            Self::Direct(session) => session.finish().await,
            Self::Exec(session) => session.finish().await,
        }
    }

    /// Waits until something that was begun is done. Forever, if nothing is under way. May be dropped.
    pub(crate) async fn settle(&mut self) -> Result<(), ProcessError> {
        match self {
            Self::Direct(session) => session.settle().await,
            Self::Exec(session) => session.settle().await,
        }
    }

    /// Ends after the last record of the shard. `Ok` means that nothing of it will be asked for again.
    pub(crate) async fn end(self) -> Result<(), ProcessError> {
        match self {
            Self::Direct(mut session) => session.finish().await,
            Self::Exec(session) => session.end().await,
        }
    }

    /// Ends because the consumer stops or the lease is wanted or lost. Everything that was begun is processed by then.
    pub(crate) async fn stop(self) -> Result<(), ProcessError> {
        match self {
            Self::Direct(mut session) => session.finish().await,
            Self::Exec(session) => session.stop().await,
        }
    }

    /// Ends after an error.
    pub(crate) async fn abandon(self) {
        if let Self::Exec(session) = self {
            session.abandon().await;
        }
    }
}
