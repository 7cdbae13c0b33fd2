//! A Rust processor at work on one shard.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};

use super::{Chunk, Failure, ProcessError, Processor, ShardStart};
use crate::consumer::{checkpoint::Checkpoint, progress::Progress, stats::Accounts, unpack::Record};

/// Calls that are under way end in any order and are looked at in theirs, so the checkpoint never passes a record that
/// is not processed.
pub(crate) struct Session<'a> {
    processor: &'a dyn Processor,
    progress: &'a Progress,
    accounts: Accounts<'a>,
    under_way: FuturesOrdered<BoxFuture<'a, Done>>,
}

/// What became of a chunk.
struct Done {
    records: Vec<Record>,
    checkpoint: Option<Checkpoint>,
    result: Result<(), Failure>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(
        processor: &'a dyn Processor,
        shard_id: &Arc<str>,
        progress: &'a Progress,
        accounts: Accounts<'a>,
    ) -> Result<Self, ProcessError> {
        let reached = progress.reached();
        let start = ShardStart {
            shard_id: shard_id.to_string(),
            checkpoint: reached.to_string(),
            checkpoint_sub_sequence_number: reached.sub_sequence_number(),
            pending: progress.pending().map(|pending| (pending.to_string(), pending.sub_sequence_number())),
        };
        let begun = processor.begin(&start).await;
        begun.map_err(|error| ProcessError::Unavailable(error.into()))?;
        Ok(Self { processor, progress, accounts, under_way: FuturesOrdered::new() })
    }

    pub(super) async fn deliver(&mut self, chunk: Chunk<impl Send + 'static>) -> Result<(), ProcessError> {
        let two_phase = self.processor.two_phase();
        let most = if two_phase { 1 } else { self.processor.concurrency().max(1) };
        while self.under_way.len() >= most {
            self.settle().await?;
        }
        if let (true, Some(checkpoint)) = (two_phase && !chunk.records.is_empty(), &chunk.checkpoint) {
            // A lost lease is somebody else's to process.
            if self.progress.prepare(checkpoint.clone()).await.is_err() {
                return Ok(());
            }
        }
        self.accounts.note_begun(&chunk);
        let processor = self.processor;
        let processing = async move {
            let Chunk { records, checkpoint, memory, .. } = chunk;
            let result = if records.is_empty() { Ok(()) } else { processor.process(&records).await };
            drop(memory);
            Done { records, checkpoint, result }
        };
        self.under_way.push_back(processing.boxed());
        if most == 1 { self.settle().await } else { Ok(()) }
    }

    pub(super) async fn settle(&mut self) -> Result<(), ProcessError> {
        let Some(Done { records, checkpoint, result }) = self.under_way.next().await else {
            return std::future::pending().await;
        };
        match result {
            Ok(()) => {
                self.accounts.note_done(&records);
                if let Some(checkpoint) = checkpoint {
                    self.progress.reach(checkpoint, records.len() as u64);
                }
                Ok(())
            }
            Err(Failure::Unavailable(source)) => Err(ProcessError::Unavailable(source)),
            Err(Failure::Rejected(source)) => Err(ProcessError::Rejected { records, source }),
        }
    }

    /// Waits for all that is under way.
    pub(super) async fn finish(&mut self) -> Result<(), ProcessError> {
        while !self.under_way.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }
}
