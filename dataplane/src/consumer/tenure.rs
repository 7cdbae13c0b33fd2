//! A lease while a worker holds it: renewed, read, processed and checkpointed.

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::types::ChildShard;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{Checkpoint, SequenceNumber},
    fetch::{Batch, Fetched, Fetcher, Prefetch, Retrieval},
    lease::{Change, Lease, Table, TableError},
    process::{Delivery, ProcessError, Processor, Session},
    progress::Progress,
    shards,
    stats::{LeaseStats, Stats},
    unpack::unpack,
};

/// A lease is renewed so many times in its duration, as the KCL does: one renewal may fail.
const RENEWALS: u32 = 3;

/// User records that are processed together, and the most that a stop waits for.
const CHUNK_RECORDS: usize = 2000;

/// The first and the longest pause after the processor failed. It begins again at the last checkpoint until it gets on
/// or the lease is given up: nothing is skipped.
const PROCESSOR_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How often in a row a processor may leave the end of a shard without a checkpoint before the lease is given up.
const END_ATTEMPTS: u32 = 5;

/// The pause after the table was not available.
const TABLE_PAUSE: Duration = Duration::from_millis(500);

/// What all tenures of a worker share.
pub(crate) struct Workplace {
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    /// Does not repeat what was refused: who reads a shard does so at the shard's pace.
    pub(crate) reading: aws_sdk_kinesis::Client,
    pub(crate) retrieval: Retrieval,
    pub(crate) stream: String,
    pub(crate) table: Table,
    pub(crate) processor: Processor,
    pub(crate) prefetch: Arc<Prefetch>,
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
    let progress = Progress::new(lease.checkpoint.clone());
    let (halt, done) = (stopping.child_token(), CancellationToken::new());
    let mut reader = Reader {
        workplace: &workplace,
        shard_id: shard_id.as_str().into(),
        first: None,
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
    progress: &'a Progress,
    stats: &'a LeaseStats,
}

impl Keeper<'_> {
    /// Renews the lease, with the checkpoint when it has moved and as soon as that is wanted, until `done`. When it is
    /// lost, or may be, reading is told to `halt`.
    async fn keep(&mut self, done: &CancellationToken, halt: &CancellationToken) -> Result<(), TableError> {
        let interval = self.workplace.lease_duration / RENEWALS;
        let mut next = self.alive_at + interval;
        while done.run_until_cancelled(self.turn(next)).await.is_some() {
            next = Instant::now() + interval;
            match self.write(Change { checkpoint: self.news(), release: false }).await {
                Ok(()) => {}
                Err(TableError::Unavailable(problem)) if self.is_alive() => {
                    tracing::warn!(shard = self.lease.shard_id, problem, "cannot renew a lease");
                    next = Instant::now() + TABLE_PAUSE;
                }
                Err(error) => {
                    self.progress.note_lost();
                    halt.cancel();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn turn(&self, next: Instant) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.progress.wanted() => {}
        }
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
        self.progress.note_stored(&self.lease.checkpoint);
        if change.checkpoint.is_some() {
            self.stats.note_checkpoint(begun_at);
        }
        Ok(())
    }

    /// The progress, if it is not in the table yet.
    fn news(&self) -> Option<Checkpoint> {
        let progress = self.progress.reached();
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
    /// The first record that came: where LATEST was, which must not move when the processor begins again.
    first: Option<SequenceNumber>,
    progress: &'a Progress,
    stats: &'a Arc<LeaseStats>,
}

impl Reader<'_> {
    /// Reads until the processor is done, however often it takes.
    async fn run(&mut self, halt: &CancellationToken) -> End {
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
