//! The reading side of a tenure: from the shard to the processor, until the shard ends or it is told to halt.

use std::{collections::BTreeSet, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    End, Workplace,
    chunks::{Chunks, Cut},
    suspicion::{Position, Suspicion, Verdict, position},
    term::Term,
};
use crate::consumer::{
    checkpoint::{Checkpoint, SequenceNumber},
    counts::Count,
    fetch::{Batch, Fetched, Fetcher},
    process::{ProcessError, Session},
    progress::Progress,
    stats::{Accounts, LeaseStats},
    unpack::{Record, Shard},
};

/// The first and the longest pause after the processor failed. It begins again at the last checkpoint until it gets on
/// or the lease is given up: nothing is skipped.
const PROCESSOR_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The pause between two tries of a record that holds up its shard. Somebody may have cured the cause.
const STOPPED_PAUSE: Duration = Duration::from_secs(60);

/// How often in a row a processor may leave the end of a shard without a checkpoint before the lease is given up.
const END_ATTEMPTS: u32 = 5;

pub(super) struct Reader<'a> {
    workplace: &'a Workplace,
    shard: Shard,
    /// The first record that came: where LATEST was, which must not move when the processor begins again.
    first: Option<SequenceNumber>,
    progress: &'a Progress,
    term: &'a Term,
    stats: &'a std::sync::Arc<LeaseStats>,
    suspicion: Suspicion,
    /// Dead letters that no checkpoint is behind yet.
    skips: BTreeSet<Position>,
    pause: Duration,
    /// Ends of the shard in a row that were not checkpointed.
    ends: u32,
}

/// What to do after a failure.
enum Next {
    Again(Duration),
    GiveUp,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        workplace: &'a Workplace,
        shard: Shard,
        progress: &'a Progress,
        term: &'a Term,
        stats: &'a std::sync::Arc<LeaseStats>,
    ) -> Self {
        Self {
            workplace,
            shard,
            first: None,
            progress,
            term,
            stats,
            suspicion: Suspicion::new(workplace.poison.retries),
            skips: BTreeSet::new(),
            pause: PROCESSOR_PAUSES.0,
            ends: 0,
        }
    }

    /// Reads until the processor is done, however often it takes.
    pub(super) async fn run(&mut self, halt: &CancellationToken) -> End {
        loop {
            let start = self.progress.reached();
            let error = match self.attempt(&start, halt).await {
                Ok(end) => return end,
                Err(error) => error,
            };
            self.stats.note_failed();
            if self.progress.reached() != start {
                self.pause = PROCESSOR_PAUSES.0;
            }
            let next = halt.run_until_cancelled(self.judge(error)).await;
            let Some(Next::Again(pause)) = next else { return End::Halted };
            if halt.run_until_cancelled(sleep(pause)).await.is_none() {
                return End::Halted;
            }
        }
    }

    async fn judge(&mut self, error: ProcessError) -> Next {
        let text = crate::process::chain(&error);
        tracing::error!(
            shard = &*self.shard.id,
            error = text,
            "the processor failed; it begins again at its last checkpoint"
        );
        self.ends = if matches!(error, ProcessError::EndNotCheckpointed) { self.ends + 1 } else { 0 };
        if self.ends == END_ATTEMPTS {
            tracing::error!(shard = &*self.shard.id, "gave up the lease of a shard whose end is not checkpointed");
            return Next::GiveUp;
        }
        if let ProcessError::Rejected { records, .. } = &error
            && self.suspect(records) == Verdict::Guilty
            && let [guilty] = &records[..]
        {
            return self.convict(guilty, &text).await;
        }
        let pause = self.pause;
        // Narrowing down is work, not waiting.
        if !self.suspicion.is_narrowing() {
            self.pause = (self.pause * 2).min(PROCESSOR_PAUSES.1);
        }
        Next::Again(pause)
    }

    fn suspect(&mut self, records: &[Record]) -> Verdict {
        match (records.first().and_then(position), records.last().and_then(position)) {
            (Some(first), Some(last)) => self.suspicion.reject(first, last, records.len()),
            _ => Verdict::TryAgain,
        }
    }

    /// Does with a record that cannot be processed what the policy says: it becomes a dead letter, or holds up the
    /// shard for all to see.
    async fn convict(&mut self, record: &Record, error: &str) -> Next {
        let (shard, at, sub) = (&*self.shard.id, &*record.sequence_number, record.sub_sequence_number);
        self.pause = PROCESSOR_PAUSES.0;
        let Some(letters) = &self.workplace.poison.dead_letters else {
            tracing::error!(shard, at, sub, "a record holds up its shard; WEIR_POISON=dead-letter would set it aside");
            self.stats.set_stopped(Some(format!("record {at}/{sub}: {error}")));
            self.stats.count(Count::Stopped);
            return Next::Again(STOPPED_PAUSE);
        };
        match letters.store(record, error).await {
            Ok(()) => {
                tracing::error!(shard, at, sub, "a record that cannot be processed has become a dead letter");
                self.stats.count(Count::DeadLettered);
                self.skips.extend(position(record));
                Next::Again(Duration::ZERO)
            }
            Err(problem) => {
                tracing::error!(shard, at, sub, problem, "cannot store a dead letter; its record is tried again");
                Next::Again(PROCESSOR_PAUSES.1)
            }
        }
    }

    /// Reads from `start` on with a new session of the processor.
    async fn attempt(&mut self, start: &Checkpoint, halt: &CancellationToken) -> Result<End, ProcessError> {
        let accounts = Accounts { lease: self.stats, worker: &self.workplace.stats };
        let opening = self.workplace.processing.open(&self.shard.id, self.progress, accounts);
        let Some(session) = halt.run_until_cancelled(opening).await else { return Ok(End::Halted) };
        let mut session = session?;
        match self.read(start, &mut session, halt).await {
            Ok(End::Shard(children)) => session.end().await.map(|()| End::Shard(children)),
            Ok(End::Halted) => {
                if let Err(error) = session.stop().await {
                    let error = crate::process::chain(&error);
                    tracing::warn!(shard = &*self.shard.id, error, "what was under way at the end was not processed");
                }
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
        tracing::info!(shard = &*self.shard.id, from = %start, "reading a shard");
        let (output, fetched) = Fetcher::channel();
        let fetcher = Fetcher {
            kinesis: self.workplace.reading.clone(),
            stream: self.workplace.stream.clone(),
            shard_id: self.shard.id.clone(),
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

    /// Processes what is fetched. A chunk is never abandoned half-way: `halt` is looked at between chunks.
    async fn process(
        &mut self,
        start: &Checkpoint,
        session: &mut Session<'_>,
        mut fetched: mpsc::Receiver<Fetched>,
        halt: &CancellationToken,
    ) -> Result<End, ProcessError> {
        loop {
            let next = tokio::select! {
                biased;
                () = halt.cancelled() => return Ok(End::Halted),
                settled = session.settle() => {
                    settled?;
                    continue;
                }
                next = fetched.recv() => next,
            };
            match next {
                Some(Fetched::Batch(batch)) => self.process_batch(start, session, batch, halt).await?,
                Some(Fetched::End(children)) => return Ok(End::Shard(children)),
                Some(Fetched::Gone) => {
                    tracing::error!(shard = &*self.shard.id, "the shard's records expired before they were read");
                    return Ok(End::Shard(Vec::new()));
                }
                None => return Ok(End::Halted),
            }
        }
    }

    /// Processes a batch, or what comes before `halt`.
    async fn process_batch(
        &mut self,
        start: &Checkpoint,
        session: &mut Session<'_>,
        batch: Batch,
        halt: &CancellationToken,
    ) -> Result<(), ProcessError> {
        if self.first.is_none() {
            self.first = batch.records.first().and_then(|record| record.sequence_number().parse().ok());
        }
        let mut chunks = Chunks::new(batch);
        loop {
            let cut = Cut {
                shard: &self.shard,
                start,
                records_max: self.workplace.processing.chunk_records(),
                suspicion: &self.suspicion,
                skips: &self.skips,
            };
            let Some(chunk) = chunks.next(&cut) else { break };
            if self.must_halt(halt) {
                return Ok(());
            }
            let last = chunk.records.last().and_then(position);
            session.deliver(chunk).await?;
            if self.suspicion.suspects_any() {
                // What is suspected is judged before the next is delivered.
                session.finish().await?;
            }
            self.acquit(last);
        }
        self.stats.add(Count::OutOfRange, chunks.out_of_range());
        Ok(())
    }

    /// Whether nothing more may be processed. A process that was frozen finds out here that its lease may be another
    /// worker's by now, before the table has told it.
    fn must_halt(&self, halt: &CancellationToken) -> bool {
        if !halt.is_cancelled() && self.term.is_over() {
            tracing::warn!(shard = &*self.shard.id, "stopped reading a shard: its lease was not renewed in time");
            halt.cancel();
        }
        halt.is_cancelled()
    }

    /// Takes note that everything up to `last` is processed, as far as it is suspected.
    fn acquit(&mut self, last: Option<Position>) {
        let Some(last) = last else { return };
        if self.suspicion.suspects_any() {
            self.suspicion.acquit(&last);
            self.stats.set_stopped(None);
        }
        if let Checkpoint::At(number, sub) = self.progress.reached() {
            self.skips = self.skips.split_off(&(number, sub));
        }
    }
}
