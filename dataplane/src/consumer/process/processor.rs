//! The interface of a processor that is written in Rust.

use std::error::Error;

use futures::future::{BoxFuture, FutureExt, ready};

use crate::consumer::unpack::Record;

/// What is done with the records of a stream.
///
/// One value serves all shards, concurrently. Records are delivered at least once, and those of one shard in order
/// unless [`Processor::concurrency`] says that order does not matter. `Ok` means that they need not come again: they
/// are checkpointed with the next renewal of the lease.
pub trait Processor: Send + Sync + 'static {
    /// Processes records of one shard, at most [`Processor::records_max`]. The future may be dropped before it is done,
    /// when another worker has taken the lease.
    ///
    /// # Errors
    /// See [`Failure`]: it decides what becomes of the records.
    fn process<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<(), Failure>>;

    /// Called before the first record of a shard, also when its lease comes back.
    ///
    /// # Errors
    /// Whatever the kind of failure, it is called again after a pause.
    fn begin<'a>(&'a self, shard: &'a ShardStart) -> BoxFuture<'a, Result<(), Failure>> {
        let _ = shard;
        ready(Ok(())).boxed()
    }

    /// The most records that are processed together.
    fn records_max(&self) -> usize {
        2000
    }

    /// How many calls of [`Processor::process`] for one shard may be under way at once. With more than one, records
    /// may be done out of order; the checkpoint stays before the first that is not done.
    fn concurrency(&self) -> usize {
        1
    }

    /// Whether the lease tells, before records are processed, how far that may go (`pendingCheckpoint`). A processor
    /// that commits somewhere else can then find out in [`Processor::begin`] whether it did so before a crash. Costs a
    /// write for each call, which are made one at a time.
    fn two_phase(&self) -> bool {
        false
    }
}

/// Why a processor did not process records.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the processor needs is not there. The records wait and are tried again until it is.
    #[error("what the processor needs is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The processor cannot cope with these records. They are tried a few times more, then in halves until the one that
    /// is to blame is found, which the policy (`WEIR_POISON`) decides about.
    #[error("the records were rejected")]
    Rejected(#[source] Box<dyn Error + Send + Sync>),
}

impl Failure {
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub fn rejected(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Rejected(cause.into())
    }
}

/// Where a processor begins with a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStart {
    pub shard_id: String,
    /// The checkpoint: a sequence number, or TRIM_HORIZON or LATEST.
    pub checkpoint: String,
    pub checkpoint_sub_sequence_number: u64,
    /// How far the worker before may have come without a checkpoint, if it said so.
    pub pending: Option<(String, u64)>,
}
