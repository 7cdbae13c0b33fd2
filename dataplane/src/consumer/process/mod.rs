//! What is done with records.

mod log;

use std::io;

use super::unpack::Record;

pub(crate) use log::Log;
pub use log::lines;

/// Why a batch was not processed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// The processor of a consumer, which all its shards share.
pub(crate) enum Processor {
    Log(Log),
}

impl Processor {
    /// Processes a batch of one shard, in order. `Ok` means that every record is done with: it may be checkpointed.
    pub(crate) async fn process(&self, records: &[Record]) -> Result<(), ProcessError> {
        match self {
            Self::Log(log) => log.process(records).await,
        }
    }
}
