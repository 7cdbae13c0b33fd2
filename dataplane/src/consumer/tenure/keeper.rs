//! The writing side of a tenure. Only it writes the lease, so the counter has one author.

use std::time::Duration;

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{End, Workplace};
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
    /// When the last successful write was begun: others count from then at the earliest.
    alive_at: Instant,
    progress: &'a Progress,
    stats: &'a LeaseStats,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        workplace: &'a Workplace,
        lease: Lease,
        taken_at: Instant,
        progress: &'a Progress,
        stats: &'a LeaseStats,
    ) -> Self {
        Self { workplace, lease, taken_at, alive_at: taken_at, progress, stats }
    }

    /// Renews the lease, with the checkpoint when it has moved and as soon as that is wanted, until `done`. When it is
    /// to be handed over, or lost, or may be, reading is told to `halt`.
    pub(super) async fn keep(
        &mut self,
        wanted: &Notify,
        done: &CancellationToken,
        halt: &CancellationToken,
    ) -> Result<(), TableError> {
        let interval = self.workplace.lease_duration / RENEWALS;
        let mut next = self.alive_at + interval;
        while done.run_until_cancelled(self.turn(next, wanted)).await.is_some() {
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

    async fn turn(&self, next: Instant, wanted: &Notify) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.progress.wanted() => {}
            () = self.due() => {}
            () = wanted.notified() => {}
        }
    }

    /// Returns when a checkpoint is due that is not waited for.
    async fn due(&self) {
        self.progress.due().await;
        sleep_until(self.alive_at + CHECKPOINT_PAUSE).await;
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
                Err(TableError::Unavailable(problem)) if self.is_alive() => {
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

    async fn write(&mut self, change: Change) -> Result<(), TableError> {
        let begun_at = Instant::now();
        self.lease = self.workplace.table.advance(&self.lease, &self.workplace.worker, &change).await?;
        self.alive_at = begun_at;
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

    fn is_alive(&self) -> bool {
        Instant::now().saturating_duration_since(self.alive_at) < self.workplace.lease_duration
    }
}
