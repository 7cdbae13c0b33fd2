//! What is done with records.
//!
//! A [`Processor`] belongs to the consumer, a [`Session`] to one shard and one holder of its lease. Who decides what
//! is checkpointed differs: `log` is done with a record when it is written, so its session moves the [`Progress`]
//! itself; under `exec` the program says how far it has come, and the session passes that on.

mod exec;
mod log;

use std::{io, sync::Arc};

use super::{checkpoint::Checkpoint, progress::Progress, unpack::Record};

pub(crate) use exec::Exec;
pub use exec::ExecCommand;
pub(crate) use log::Log;
pub use log::lines;

/// Why records were not processed. They are read again from the last checkpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("the program failed")]
    Exec(#[source] exec::ExecError),
    #[error("the program was told that the shard has ended and did not checkpoint; it must, in `shardEnded`")]
    EndNotCheckpointed,
}

/// The processor of a consumer, which all its shards share.
pub(crate) enum Processor {
    Log(Log),
    Exec(Exec),
}

/// A processor at work on one shard.
pub(crate) enum Session<'a> {
    Log(&'a Log, &'a Progress),
    Exec(Box<exec::Session<'a>>),
}

/// Records of one shard, in order.
pub(crate) struct Delivery<'a> {
    pub(crate) records: &'a [Record],
    /// Behind the last record, unless it was there before.
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) behind_ms: Option<u64>,
}

impl Processor {
    /// Begins with a shard, at what `progress` has reached.
    pub(crate) async fn open<'a>(
        &'a self,
        shard_id: &Arc<str>,
        progress: &'a Progress,
    ) -> Result<Session<'a>, ProcessError> {
        match self {
            Self::Log(log) => Ok(Session::Log(log, progress)),
            Self::Exec(exec) => {
                let session = exec.open(shard_id, progress).await.map_err(ProcessError::Exec)?;
                Ok(Session::Exec(Box::new(session)))
            }
        }
    }
}

impl Session<'_> {
    /// Processes what is delivered. After an error the session is of no more use than to be abandoned.
    pub(crate) async fn process(&mut self, delivery: Delivery<'_>) -> Result<(), ProcessError> {
        match self {
            Self::Log(log, progress) => {
                log.process(delivery.records).await?;
                if let Some(checkpoint) = delivery.checkpoint {
                    progress.reach(checkpoint);
                }
                Ok(())
            }
            Self::Exec(session) => {
                session.process(delivery.records, delivery.behind_ms).await.map_err(ProcessError::Exec)
            }
        }
    }

    /// Ends after the last record of the shard. `Ok` means that nothing of it will be asked for again.
    pub(crate) async fn end(self) -> Result<(), ProcessError> {
        match self {
            Self::Log(..) => Ok(()),
            Self::Exec(session) => match session.end().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(ProcessError::EndNotCheckpointed),
                Err(error) => Err(ProcessError::Exec(error)),
            },
        }
    }

    /// Ends because the consumer stops or the lease is lost. Every record that was begun is processed by now.
    pub(crate) async fn stop(self) {
        if let Self::Exec(session) = self {
            session.stop().await;
        }
    }

    /// Ends after an error.
    pub(crate) async fn abandon(self) {
        if let Self::Exec(session) = self {
            session.abandon().await;
        }
    }
}
