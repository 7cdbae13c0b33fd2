//! The reading side of a tenure: from the shard to the processor, until the shard ends or it is told to halt.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{End, Workplace};
use crate::consumer::{
    checkpoint::{Checkpoint, SequenceNumber},
    fetch::{Batch, Fetched, Fetcher},
    process::{Delivery, ProcessError, Session},
    progress::Progress,
    stats::LeaseStats,
    unpack::unpack,
};

/// User records that are processed together, and the most that a stop waits for.
const CHUNK_RECORDS: usize = 2000;

/// The first and the longest pause after the processor failed. It begins again at the last checkpoint until it gets on
/// or the lease is given up: nothing is skipped.
const PROCESSOR_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How often in a row a processor may leave the end of a shard without a checkpoint before the lease is given up.
const END_ATTEMPTS: u32 = 5;

/// The reading side of a tenure.
pub(super) struct Reader<'a> {
    pub(super) workplace: &'a Workplace,
    pub(super) shard_id: Arc<str>,
    /// The first record that came: where LATEST was, which must not move when the processor begins again.
    pub(super) first: Option<SequenceNumber>,
    pub(super) progress: &'a Progress,
    pub(super) stats: &'a Arc<LeaseStats>,
}

impl Reader<'_> {
    /// Reads until the processor is done, however often it takes.
    pub(super) async fn run(&mut self, halt: &CancellationToken) -> End {
        let (mut pause, mut ends) = (PROCESSOR_PAUSES.0, 0);
        loop {
            let start = self.progress.reached();
            let error = match self.attempt(&start, halt).await {
                Ok(end) => return end,
                Err(error) => error,
            };
            tracing::error!(
                shard = &*self.shard_id,
                error = crate::process::chain(&error),
                "the processor failed; it begins again at its last checkpoint"
            );
            ends = if matches!(error, ProcessError::EndNotCheckpointed) { ends + 1 } else { 0 };
            if ends == END_ATTEMPTS {
                tracing::error!(shard = &*self.shard_id, "gave up the lease of a shard whose end is not checkpointed");
                return End::Halted;
            }
            if self.progress.reached() != start {
                pause = PROCESSOR_PAUSES.0;
            }
            if halt.run_until_cancelled(sleep(pause)).await.is_none() {
                return End::Halted;
            }
            pause = (pause * 2).min(PROCESSOR_PAUSES.1);
        }
    }

    /// Reads from `start` on with a new session of the processor.
    async fn attempt(&mut self, start: &Checkpoint, halt: &CancellationToken) -> Result<End, ProcessError> {
        let opening = self.workplace.processor.open(&self.shard_id, self.progress);
        let Some(session) = halt.run_until_cancelled(opening).await else { return Ok(End::Halted) };
        let mut session = session?;
        match self.read(start, &mut session, halt).await {
            Ok(End::Shard(children)) => session.end().await.map(|()| End::Shard(children)),
            Ok(End::Halted) => {
                session.stop().await;
                Ok(End::Halted)
            }
            Err(error) => {
                session.abandon().await;
                Err(error)
            }
        }
    }

    async fn read(
        &mut self,
        start: &Checkpoint,
        session: &mut Session<'_>,
        halt: &CancellationToken,
    ) -> Result<End, ProcessError> {
        tracing::info!(shard = &*self.shard_id, from = %start, "reading a shard");
        let (output, fetched) = Fetcher::channel();
        let fetcher = Fetcher {
            kinesis: self.workplace.reading.clone(),
            stream: self.workplace.stream.clone(),
            shard_id: self.shard_id.clone(),
            position: match (start, &self.first) {
                (Checkpoint::Latest, Some(first)) => Checkpoint::At(first.clone(), 0),
                _ => start.clone(),
            },
            allotment: self.workplace.prefetch.join(),
            stats: self.stats.clone(),
        };
        let fetching = async {
            fetcher.run(&self.workplace.retrieval, output).await;
            // What it has left in the channel is still to be processed.
            std::future::pending().await
        };
        tokio::select! {
            end = self.process(start, session, fetched, halt) => end,
            never = fetching => never,
        }
    }

    /// Processes what is fetched. A batch is never abandoned half-way: `halt` is looked at between chunks.
    async fn process(
        &mut self,
        start: &Checkpoint,
        session: &mut Session<'_>,
        mut fetched: mpsc::Receiver<Fetched>,
        halt: &CancellationToken,
    ) -> Result<End, ProcessError> {
        while let Some(Some(next)) = halt.run_until_cancelled(fetched.recv()).await {
            match next {
                Fetched::Batch(batch) => self.process_batch(start, session, batch, halt).await?,
                Fetched::End(children) => return Ok(End::Shard(children)),
                Fetched::Gone => {
                    tracing::error!(shard = &*self.shard_id, "the shard's records expired before they were read");
                    return Ok(End::Shard(Vec::new()));
                }
            }
        }
        Ok(End::Halted)
    }

    /// Processes a batch, or what comes before `halt`.
    async fn process_batch(
        &mut self,
        start: &Checkpoint,
        session: &mut Session<'_>,
        batch: Batch,
        halt: &CancellationToken,
    ) -> Result<(), ProcessError> {
        let (mut users, mut checkpoint) = (Vec::new(), None);
        let mut records = batch.records.into_iter().peekable();
        while let Some(record) = records.next() {
            if self.first.is_none() {
                self.first = record.sequence_number().parse().ok();
            }
            checkpoint = unpack(record, &self.shard_id, start, &mut users).or(checkpoint);
            if users.len() < CHUNK_RECORDS && records.peek().is_some() {
                continue;
            }
            if halt.is_cancelled() {
                return Ok(());
            }
            self.stats.note_begun(batch.behind_ms, batch.fetched_at, Instant::now());
            let delivery = Delivery { records: &users, checkpoint: checkpoint.take(), behind_ms: batch.behind_ms };
            session.process(delivery).await?;
            let bytes = users.iter().map(|record| record.data.len() as u64).sum();
            let (count, now) = (users.len() as u64, Instant::now());
            self.stats.note_done(count, bytes, now);
            self.workplace.stats.note_processed(count, bytes, now);
            users.clear();
        }
        Ok(())
    }
}
