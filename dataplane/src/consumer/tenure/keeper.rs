//! The writing side of a tenure. Only it writes the lease, so the counter has one author.

use std::{future, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{End, Signals, Workplace, term::Term};
use crate::consumer::{
    checkpoint::Checkpoint,
    counts::Count,
    lease::{Change, Lease, Load, TableError},
    progress::Progress,
    shards,
    stats::LeaseStats,
};

/// A lease is renewed so many times in its duration, as the KCL does: one renewal may fail.
const RENEWALS: u32 = 3;

/// The shortest time between two checkpoints that nobody waits for.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(250);

/// The pause after the table was not available.
const TABLE_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Keeper<'a> {
    workplace: &'a Workplace,
    lease: Lease,
    taken_at: Instant,
    progress: &'a Progress,
    term: &'a Term,
    stats: &'a LeaseStats,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        workplace: &'a Workplace,
        lease: Lease,
        taken_at: Instant,
        progress: &'a Progress,
        term: &'a Term,
        stats: &'a LeaseStats,
    ) -> Self {
        Self { workplace, lease, taken_at, progress, term, stats }
    }

    /// Renews the lease, with the checkpoint when it has moved and as soon as that is wanted, until `done`. When it is
    /// to be handed over, or lost, or may be, reading is told to `halt`.
    pub(super) async fn keep(
        &mut self,
        signals: &Signals,
        done: &CancellationToken,
        halt: &CancellationToken,
    ) -> Result<(), TableError> {
        let interval = self.term.duration() / RENEWALS;
        let mut next = self.term.secured_at() + interval;
        while done.run_until_cancelled(self.turn(next, signals)).await.is_some() {
            next = Instant::now() + interval;
            let change = Change {
                checkpoint: self.news(),
                pending: self.pending_news(),
                load: self.load(),
                ..Change::default()
            };
            match self.write(change).await {
                Ok(()) => {}
                Err(TableError::Requested(lease)) => {
                    let to = lease.owner.as_deref().unwrap_or("nobody");
                    tracing::info!(shard = lease.shard_id, to, "handing a lease over");
                    self.stats.count(Count::HandedOver);
                    self.lease = *lease;
                    halt.cancel();
                    next = Instant::now();
                }
                Err(TableError::Unavailable(problem)) if !self.term.is_over() => {
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

    async fn turn(&self, next: Instant, signals: &Signals) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.progress.wanted() => {}
            () = self.due() => {}
            () = signals.wanted.notified() => {}
            () = self.exposed(signals.exposed.clone()) => {}
        }
    }

    /// Returns when there is something to store that would come again if the lease were taken now, as it may be.
    async fn exposed(&self, mut exposed: watch::Receiver<bool>) {
        loop {
            // Whoever sends this outlives its tenures.
            if exposed.wait_for(|exposed| *exposed).await.is_err() {
                return future::pending().await;
            }
            sleep_until(self.term.secured_at() + CHECKPOINT_PAUSE).await;
            if self.news().is_some() {
                return;
            }
            sleep(CHECKPOINT_PAUSE).await;
        }
    }

    /// Returns when a checkpoint is due that is not waited for.
    async fn due(&self) {
        self.progress.due().await;
        sleep_until(self.term.secured_at() + CHECKPOINT_PAUSE).await;
    }

    /// Writes the last checkpoint and lets go of the lease, so that the next owner need not wait.
    pub(super) async fn conclude(&mut self, end: End) {
        loop {
            match self.write_end(&end).await {
                Ok(()) => {
                    let (shard, checkpoint) = (&self.lease.shard_id, &self.lease.checkpoint);
                    tracing::info!(shard, at = %checkpoint, "released a lease");
                    return;
                }
                // Now it goes to whoever asked for it.
                Err(TableError::Requested(lease)) => self.lease = *lease,
                Err(TableError::Unavailable(problem)) if !self.term.is_over() => {
                    tracing::warn!(shard = self.lease.shard_id, problem, "cannot release a lease");
                    sleep(TABLE_PAUSE).await;
                }
                Err(error) => {
                    self.stats.count(Count::Lost);
                    tracing::warn!(shard = self.lease.shard_id, %error, "lost a lease at its end");
                    return;
                }
            }
        }
    }

    async fn write_end(&mut self, end: &End) -> Result<(), TableError> {
        let (checkpoint, children) = match end {
            End::Halted => (self.news(), Vec::new()),
            End::Shard(children) => {
                // Before the end of the parent is known, or the children would have no lease if this worker died now.
                shards::add_children(&self.workplace.table, children).await?;
                let children = children.iter().map(|child| child.shard_id().to_owned()).collect();
                (Some(Checkpoint::ShardEnd), children)
            }
        };
        self.write(Change { checkpoint, children, release: true, ..Change::default() }).await
    }

    /// Writes, and waits for the answer while the lease is ours. One that is over already, as after this process was
    /// frozen, gets one more try: perhaps nobody has taken it.
    async fn write(&mut self, change: Change) -> Result<(), TableError> {
        let begun_at = Instant::now();
        let deadline = self.term.ends_at().max(begun_at + self.term.duration() / RENEWALS);
        let advancing = self.workplace.table.advance(&self.lease, &self.workplace.worker, &change);
        let silence = |_| TableError::Unavailable("no answer while the lease lasted".to_owned());
        self.lease = timeout_at(deadline, advancing).await.map_err(silence)??;
        self.term.secure(begun_at);
        self.progress.note_stored(&self.lease.checkpoint, self.lease.pending.as_ref());
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

    /// How far processing may come, if the table does not say so yet.
    fn pending_news(&self) -> Option<Checkpoint> {
        self.progress.pending().filter(|pending| self.lease.pending.as_ref() != Some(pending))
    }

    /// What the shard costs, once it was held for long enough to tell.
    fn load(&self) -> Option<Load> {
        let measured = self.workplace.stats.load(self.stats, self.taken_at, self.workplace.task.cpus())?;
        Some(self.lease.load.toward(measured))
    }
}
