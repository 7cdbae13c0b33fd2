//! A lease while a worker holds it: renewed, read, processed and checkpointed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_kinesis::types::ChildShard;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::Checkpoint,
    fetch::{Batch, Fetched, Fetcher},
    lease::{Change, Lease, Table, TableError},
    process::Processor,
    shards,
    stats::{LeaseStats, Stats},
    unpack::unpack,
};

/// A lease is renewed so many times in its duration, as the KCL does: one renewal may fail.
const RENEWALS: u32 = 3;

/// User records that are processed together, and the most that a stop waits for.
const CHUNK_RECORDS: usize = 2000;

/// The first and the longest pause after the processor failed. The batch is tried until it succeeds or the lease is
/// given up: nothing is skipped.
const PROCESSOR_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The pause after the table was not available.
const TABLE_PAUSE: Duration = Duration::from_millis(500);

/// Batches fetched ahead of the one that is being processed.
const PREFETCH: usize = 1;

/// What all tenures of a worker share.
pub(crate) struct Workplace {
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    pub(crate) stream: String,
    pub(crate) table: Table,
    pub(crate) processor: Processor,
    /// In units of [`super::fetch::MEMORY_UNIT`].
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) lease_duration: Duration,
    pub(crate) stats: Arc<Stats>,
}

/// Why reading ended.
enum End {
    /// The worker stops, or the lease is lost.
    Halted,
    /// Every record of the shard is processed. These shards follow.
    Shard(Vec<ChildShard>),
}

/// Keeps a lease from when it was taken at `taken_at`: reads its shard as soon as `go` is cancelled, until the shard
/// ends, the lease is lost, or `stopping`. Then writes the last checkpoint and gives the lease up.
pub(crate) async fn serve(
    workplace: Arc<Workplace>,
    lease: Lease,
    taken_at: Instant,
    go: CancellationToken,
    stopping: CancellationToken,
) {
    let shard_id = lease.shard_id.clone();
    let stats = workplace.stats.add(&shard_id);
    let progress = Mutex::new(lease.checkpoint.clone());
    let (halt, done) = (stopping.child_token(), CancellationToken::new());
    let reader = Reader {
        workplace: &workplace,
        shard_id: shard_id.as_str().into(),
        start: lease.checkpoint.clone(),
        progress: &progress,
        stats: &stats,
    };
    let mut keeper = Keeper { workplace: &workplace, lease, alive_at: taken_at, progress: &progress, stats: &stats };
    let reading = async {
        let end = match halt.run_until_cancelled(go.cancelled()).await {
            Some(()) => reader.run(&halt).await,
            None => End::Halted,
        };
        done.cancel();
        end
    };
    let (end, kept) = tokio::join!(reading, keeper.keep(&done, &halt));
    match kept {
        Ok(()) => keeper.conclude(end).await,
        Err(error) => tracing::warn!(shard = shard_id, %error, "lost a lease"),
    }
    workplace.stats.remove(&shard_id);
}

/// The writing side of a tenure. Only it writes the lease, so the counter has one author.
struct Keeper<'a> {
    workplace: &'a Workplace,
    lease: Lease,
    /// When the last successful write was begun: others count from then at the earliest.
    alive_at: Instant,
    progress: &'a Mutex<Checkpoint>,
    stats: &'a LeaseStats,
}

impl Keeper<'_> {
    /// Renews the lease, with the checkpoint when it has moved, until `done`. When it is lost, or may be, reading is
    /// told to `halt`.
    async fn keep(&mut self, done: &CancellationToken, halt: &CancellationToken) -> Result<(), TableError> {
        let interval = self.workplace.lease_duration / RENEWALS;
        let mut next = self.alive_at + interval;
        while done.run_until_cancelled(sleep_until(next)).await.is_some() {
            next = Instant::now() + interval;
            match self.write(Change { checkpoint: self.news(), release: false }).await {
                Ok(()) => {}
                Err(TableError::Unavailable(problem)) if self.is_alive() => {
                    tracing::warn!(shard = self.lease.shard_id, problem, "cannot renew a lease");
                    next = Instant::now() + TABLE_PAUSE;
                }
                Err(error) => {
                    halt.cancel();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes the last checkpoint and releases the lease, so that the next owner need not wait.
    async fn conclude(&mut self, end: End) {
        loop {
            match self.write_end(&end).await {
                Ok(()) => {
                    let (shard, checkpoint) = (&self.lease.shard_id, &self.lease.checkpoint);
                    tracing::info!(shard, at = %checkpoint, "released a lease");
                    return;
                }
                Err(TableError::Unavailable(problem)) if self.is_alive() => {
                    tracing::warn!(shard = self.lease.shard_id, problem, "cannot release a lease");
                    sleep(TABLE_PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(shard = self.lease.shard_id, %error, "lost a lease at its end");
                    return;
                }
            }
        }
    }

    async fn write_end(&mut self, end: &End) -> Result<(), TableError> {
        let checkpoint = match end {
            End::Halted => self.news(),
            End::Shard(children) => {
                // Before the end of the parent is known, or the children would have no lease if this worker died now.
                shards::add_children(&self.workplace.table, children).await?;
                Some(Checkpoint::ShardEnd)
            }
        };
        self.write(Change { checkpoint, release: true }).await
    }

    async fn write(&mut self, change: Change) -> Result<(), TableError> {
        let begun_at = Instant::now();
        self.lease = self.workplace.table.advance(&self.lease, &change).await?;
        self.alive_at = begun_at;
        if change.checkpoint.is_some() {
            self.stats.note_checkpoint(begun_at);
        }
        Ok(())
    }

    /// The progress, if it is not in the table yet.
    fn news(&self) -> Option<Checkpoint> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (progress != self.lease.checkpoint).then_some(progress)
    }

    fn is_alive(&self) -> bool {
        Instant::now().saturating_duration_since(self.alive_at) < self.workplace.lease_duration
    }
}

/// The reading side of a tenure.
struct Reader<'a> {
    workplace: &'a Workplace,
    shard_id: Arc<str>,
    start: Checkpoint,
    /// Everything up to here is processed.
    progress: &'a Mutex<Checkpoint>,
    stats: &'a Arc<LeaseStats>,
}

impl Reader<'_> {
    async fn run(&self, halt: &CancellationToken) -> End {
        tracing::info!(shard = &*self.shard_id, from = %self.start, "reading a shard");
        let (output, fetched) = mpsc::channel(PREFETCH);
        let fetcher = Fetcher {
            kinesis: self.workplace.kinesis.clone(),
            stream: self.workplace.stream.clone(),
            shard_id: self.shard_id.clone(),
            position: self.start.clone(),
            memory: self.workplace.memory.clone(),
            stats: self.stats.clone(),
            end: None,
        };
        let fetching = async {
            fetcher.run(output).await;
            // What it has left in the channel is still to be processed.
            std::future::pending::<End>().await
        };
        tokio::select! {
            end = self.process(fetched, halt) => end,
            never = fetching => never,
        }
    }

    /// Processes what is fetched. A batch is never abandoned half-way: `halt` is looked at between chunks.
    async fn process(&self, mut fetched: mpsc::Receiver<Fetched>, halt: &CancellationToken) -> End {
        while let Some(Some(next)) = halt.run_until_cancelled(fetched.recv()).await {
            match next {
                Fetched::Batch(batch) => {
                    if !self.process_batch(batch, halt).await {
                        return End::Halted;
                    }
                }
                Fetched::End(children) => return End::Shard(children),
                Fetched::Gone => {
                    tracing::error!(shard = &*self.shard_id, "the shard's records expired before they were read");
                    return End::Shard(Vec::new());
                }
            }
        }
        End::Halted
    }

    /// Whether the whole batch was processed.
    async fn process_batch(&self, batch: Batch, halt: &CancellationToken) -> bool {
        let (mut users, mut checkpoint) = (Vec::new(), None);
        let mut records = batch.records.into_iter().peekable();
        while let Some(record) = records.next() {
            checkpoint = unpack(record, &self.shard_id, &self.start, &mut users).or(checkpoint);
            if users.len() < CHUNK_RECORDS && records.peek().is_some() {
                continue;
            }
            self.stats.note_begun(batch.behind_ms, batch.fetched_at, Instant::now());
            if halt.is_cancelled() || !self.process_chunk(&users, halt).await {
                return false;
            }
            let bytes = users.iter().map(|record| record.data.len() as u64).sum();
            let (count, now) = (users.len() as u64, Instant::now());
            self.stats.note_done(count, bytes, now);
            self.workplace.stats.note_processed(count, bytes, now);
            if let Some(checkpoint) = checkpoint.take() {
                *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = checkpoint;
            }
            users.clear();
        }
        true
    }

    /// Whether the records were processed, however often it took.
    async fn process_chunk(&self, users: &[super::unpack::Record], halt: &CancellationToken) -> bool {
        let (mut pause, longest) = PROCESSOR_PAUSES;
        while let Err(error) = self.workplace.processor.process(users).await {
            let error = crate::process::chain(&error);
            tracing::error!(shard = &*self.shard_id, error, "the processor failed; the batch is tried again");
            if halt.run_until_cancelled(sleep(pause)).await.is_none() {
                return false;
            }
            pause = (pause * 2).min(longest);
        }
        true
    }
}
