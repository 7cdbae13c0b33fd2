//! Fetches the records of one shard, by polling or with enhanced fan-out.

mod allotment;
mod fan_out;
mod pace;
mod polling;
mod position;
mod retrieval;

use std::sync::Arc;

use aws_sdk_kinesis::{
    Client,
    types::{ChildShard, Record},
};
use tokio::{sync::mpsc, time::Instant};

use super::{checkpoint::Checkpoint, stats::LeaseStats};

pub(crate) use allotment::{Allotment, Held, Prefetch};
pub(crate) use retrieval::{Retrieval, check, choose};

/// Batches that wait for the processor. What bounds them is their bytes; this bounds the empty ones.
const BATCHES: usize = 64;

/// What a fetcher has for the processor.
pub(crate) enum Fetched {
    Batch(Batch),
    /// The shard is closed and everything in it was fetched.
    End(Vec<ChildShard>),
    /// The shard is older than the stream's retention.
    Gone,
}

/// Records in order, with their part of the memory for records that are not processed yet.
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) behind_ms: Option<u64>,
    pub(crate) fetched_at: Instant,
    pub(crate) memory: Held,
}

/// Reads a shard from a checkpoint on.
pub(crate) struct Fetcher {
    pub(crate) kinesis: Client,
    pub(crate) stream: String,
    pub(crate) shard_id: Arc<str>,
    /// The position behind what was fetched.
    pub(crate) position: Checkpoint,
    pub(crate) allotment: Arc<Allotment>,
    pub(crate) stats: Arc<LeaseStats>,
}

/// Nobody takes the records any more.
struct Unwanted;

impl Fetcher {
    /// Where what it fetches goes.
    pub(crate) fn channel() -> (mpsc::Sender<Fetched>, mpsc::Receiver<Fetched>) {
        mpsc::channel(BATCHES)
    }

    /// Fetches until the shard ends or nobody listens.
    pub(crate) async fn run(self, retrieval: &Retrieval, output: mpsc::Sender<Fetched>) {
        // Without a listener there is nothing left to do.
        let _ = match retrieval {
            Retrieval::Polling => polling::run(self, output).await,
            Retrieval::FanOut { consumer_arn } => fan_out::run(self, consumer_arn, output).await,
        };
    }

    /// Passes records on and moves behind them. `next` is where to go on, if that is known better than by the last
    /// record.
    async fn pass(
        &mut self,
        records: Vec<Record>,
        behind_ms: Option<i64>,
        next: Option<&str>,
        output: &mpsc::Sender<Fetched>,
    ) -> Result<(), Unwanted> {
        let behind_ms = behind_ms.and_then(|behind| u64::try_from(behind).ok());
        self.stats.note_read(behind_ms);
        let last = next.or_else(|| records.last().map(Record::sequence_number));
        if let Some(number) = last.and_then(|number| number.parse().ok()) {
            self.position = Checkpoint::At(number, u64::MAX);
        }
        if records.is_empty() {
            return Ok(());
        }
        let memory = self.allotment.hold(bytes(&records));
        let batch = Batch { records, behind_ms, fetched_at: Instant::now(), memory };
        output.send(Fetched::Batch(batch)).await.map_err(|_| Unwanted)
    }
}

fn bytes(records: &[Record]) -> usize {
    records.iter().map(|record| record.data().as_ref().len() + record.partition_key().map_or(0, str::len)).sum()
}
