//! A lease while a worker holds it: received, renewed, read, processed and checkpointed.

mod chunks;
mod handover;
mod keeper;
mod reader;
mod suspicion;
mod term;

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::types::ChildShard;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{keeper::Keeper, reader::Reader, term::Term};
use super::{
    counts::Count,
    dead_letter::DeadLetters,
    fetch::{Prefetch, Retrieval},
    lease::{Lease, Table},
    process::Processing,
    progress::Progress,
    stats::Stats,
    unpack::{OutOfRange, Shard},
};
use crate::task::Task;

/// What all tenures of a worker share.
pub(crate) struct Workplace {
    /// The worker's id.
    pub(crate) worker: String,
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    /// Does not repeat what was refused: who reads a shard does so at the shard's pace.
    pub(crate) reading: aws_sdk_kinesis::Client,
    pub(crate) retrieval: Retrieval,
    pub(crate) stream: String,
    pub(crate) table: Table,
    pub(crate) processing: Processing,
    pub(crate) poison: Poison,
    pub(crate) out_of_range: OutOfRange,
    pub(crate) prefetch: Arc<Prefetch>,
    pub(crate) lease_duration: Duration,
    pub(crate) stats: Arc<Stats>,
    pub(crate) task: Arc<Task>,
}

/// What becomes of records that cannot be processed.
pub(crate) struct Poison {
    /// How often records that were rejected are tried again as they are.
    pub(crate) retries: u32,
    /// Where a record goes that is to blame. Without, it holds up its shard.
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// What a worker tells the tenure of one of its leases.
#[derive(Clone)]
pub(crate) struct Signals {
    /// Cancelled to let the reading begin.
    pub(crate) go: CancellationToken,
    /// Notified when the table says that the lease is to be handed over, or is another worker's.
    pub(crate) wanted: Arc<Notify>,
    /// Whether it may be taken any moment without a question.
    exposed: watch::Receiver<bool>,
    /// Cancelled when the worker stops.
    stopping: CancellationToken,
}

impl Signals {
    pub(crate) fn new(exposed: watch::Receiver<bool>, stopping: CancellationToken) -> Self {
        Self { go: CancellationToken::new(), wanted: Arc::default(), exposed, stopping }
    }
}

/// Why reading ended.
enum End {
    /// The worker stops, or the lease is wanted elsewhere or lost.
    Halted,
    /// Every record of the shard is processed. These shards follow.
    Shard(Vec<ChildShard>),
}

/// Keeps a lease from when it was taken at `taken_at`, or handed over after that: reads its shard as soon as it may,
/// until the shard ends, the lease is wanted or lost, or the worker stops. Then writes the last checkpoint and lets go.
pub(crate) async fn serve(workplace: Arc<Workplace>, lease: Lease, taken_at: Instant, signals: Signals) {
    let shard_id = lease.shard_id.clone();
    let (lease, taken_at) = match handover::receive(&workplace, lease, taken_at).await {
        Ok(received) => received,
        Err(error) => {
            tracing::info!(shard = shard_id, %error, "a lease was not handed over");
            return;
        }
    };
    let stats = workplace.stats.add(&shard_id);
    workplace.stats.counts().add(Count::Taken, 1);
    let progress = Progress::new(lease.checkpoint.clone(), lease.pending.clone());
    let (halt, done) = (signals.stopping.child_token(), CancellationToken::new());
    let shard = Shard::of(&lease, workplace.out_of_range);
    let term = Term::new(workplace.lease_duration, taken_at);
    let mut reader = Reader::new(&workplace, shard, &progress, &term, &stats);
    let mut keeper = Keeper::new(&workplace, lease, taken_at, &progress, &term, &stats);
    let reading = async {
        let end = match halt.run_until_cancelled(signals.go.cancelled()).await {
            Some(()) => reader.run(&halt).await,
            None => End::Halted,
        };
        done.cancel();
        end
    };
    let (end, kept) = tokio::join!(reading, keeper.keep(&signals, &done, &halt));
    match kept {
        Ok(()) => keeper.conclude(end).await,
        Err(error) => {
            stats.count(Count::Lost);
            tracing::warn!(shard = shard_id, %error, "lost a lease");
        }
    }
    workplace.stats.remove(&shard_id);
}
