//! How far a shard is processed, between the side of a tenure that reads and the side that writes the lease.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoint;

/// Everything up to `reached` is processed; everything up to `stored` is so in the lease table.
#[derive(Debug)]
pub(crate) struct Progress {
    reached: Mutex<Reached>,
    stored: watch::Sender<Stored>,
    /// Somebody waits.
    urgent: Notify,
    /// So much is processed that it should be stored.
    due: Notify,
    lost: CancellationToken,
}

#[derive(Debug)]
struct Reached {
    checkpoint: Checkpoint,
    /// How far the processor may have come by now.
    pending: Option<Checkpoint>,
    /// User records since it was stored.
    records: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    checkpoint: Checkpoint,
    pending: Option<Checkpoint>,
}

/// The user records after which a checkpoint is due before the lease is. They bound what comes again after a crash.
const RECORDS_DUE: u64 = 10_000;

/// The lease is another worker's: its checkpoint is no longer ours to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseLost;

impl Progress {
    /// The progress of a lease that was taken at `checkpoint`, and how far its owner before may have come.
    pub(crate) fn new(checkpoint: Checkpoint, pending: Option<Checkpoint>) -> Self {
        Self {
            stored: watch::Sender::new(Stored { checkpoint: checkpoint.clone(), pending: pending.clone() }),
            reached: Mutex::new(Reached { checkpoint, pending, records: 0 }),
            urgent: Notify::new(),
            due: Notify::new(),
            lost: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reached(&self) -> Checkpoint {
        self.lock().checkpoint.clone()
    }

    pub(crate) fn pending(&self) -> Option<Checkpoint> {
        self.lock().pending.clone()
    }

    /// Moves on by so many user records. It is stored with the next renewal, or as soon as many records are behind.
    pub(crate) fn reach(&self, checkpoint: Checkpoint, records: u64) {
        let mut reached = self.lock();
        reached.checkpoint = checkpoint;
        reached.pending = None;
        reached.records += records;
        if reached.records >= RECORDS_DUE {
            self.due.notify_one();
        }
    }

    /// Moves on and waits until it is stored, which takes one write and at most as long as the lease lives.
    pub(crate) async fn store(&self, checkpoint: Checkpoint) -> Result<(), LeaseLost> {
        self.reach(checkpoint.clone(), 0);
        self.wait(|stored| stored.checkpoint == checkpoint).await
    }

    /// Waits until the table says that processing may come as far as this.
    pub(crate) async fn prepare(&self, pending: Checkpoint) -> Result<(), LeaseLost> {
        self.lock().pending = Some(pending.clone());
        self.wait(|stored| stored.pending.as_ref() == Some(&pending)).await
    }

    async fn wait(&self, done: impl FnMut(&Stored) -> bool) -> Result<(), LeaseLost> {
        let mut stored = self.stored.subscribe();
        self.urgent.notify_one();
        tokio::select! {
            _ = stored.wait_for(done) => Ok(()),
            () = self.lost.cancelled() => Err(LeaseLost),
        }
    }

    /// Returns when somebody waits for the progress to be stored.
    pub(crate) async fn wanted(&self) {
        self.urgent.notified().await;
    }

    /// Returns when many records are processed and not stored.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }

    pub(crate) fn note_stored(&self, checkpoint: &Checkpoint, pending: Option<&Checkpoint>) {
        {
            let mut reached = self.lock();
            if reached.checkpoint == *checkpoint {
                reached.records = 0;
            }
        }
        self.stored.send_replace(Stored { checkpoint: checkpoint.clone(), pending: pending.cloned() });
    }

    pub(crate) fn note_lost(&self) {
        self.lost.cancel();
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn at(number: &str) -> Checkpoint {
        Checkpoint::At(number.parse().expect("a number"), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_is_stored_when_the_writer_says_so_and_not_before() {
        let progress = Progress::new(Checkpoint::TrimHorizon, None);
        let storing = progress.store(at("7"));
        tokio::pin!(storing);
        assert!(timeout(Duration::from_secs(9), &mut storing).await.is_err());
        progress.wanted().await;
        progress.note_stored(&progress.reached(), None);
        assert_eq!(storing.await, Ok(()));
    }

    #[tokio::test]
    async fn nothing_is_stored_in_a_lost_lease() {
        let progress = Progress::new(Checkpoint::TrimHorizon, None);
        progress.note_lost();
        assert_eq!(progress.store(at("7")).await, Err(LeaseLost));
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_is_due_after_many_records() {
        let progress = Progress::new(Checkpoint::TrimHorizon, None);
        progress.reach(at("7"), RECORDS_DUE - 1);
        assert!(timeout(Duration::from_secs(9), progress.due()).await.is_err());
        progress.reach(at("8"), 1);
        progress.due().await;
        progress.note_stored(&at("8"), None);
        progress.reach(at("9"), 1);
        assert!(timeout(Duration::from_secs(9), progress.due()).await.is_err());
    }
}
