//! How far a shard is processed, between the side of a tenure that reads and the side that writes the lease.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoint;

/// Everything up to `reached` is processed; everything up to `stored` is so in the lease table.
#[derive(Debug)]
pub(crate) struct Progress {
    reached: Mutex<Checkpoint>,
    stored: watch::Sender<Checkpoint>,
    urgent: Notify,
    lost: CancellationToken,
}

/// The lease is another worker's: its checkpoint is no longer ours to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseLost;

impl Progress {
    /// The progress of a lease that was taken at `checkpoint`.
    pub(crate) fn new(checkpoint: Checkpoint) -> Self {
        Self {
            stored: watch::Sender::new(checkpoint.clone()),
            reached: Mutex::new(checkpoint),
            urgent: Notify::new(),
            lost: CancellationToken::new(),
        }
    }

    pub(crate) fn reached(&self) -> Checkpoint {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves on. It is stored with the next renewal.
    pub(crate) fn reach(&self, checkpoint: Checkpoint) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = checkpoint;
    }

    /// Moves on and waits until it is stored, which takes one write and at most as long as the lease lives.
    pub(crate) async fn store(&self, checkpoint: Checkpoint) -> Result<(), LeaseLost> {
        let mut stored = self.stored.subscribe();
        self.reach(checkpoint.clone());
        self.urgent.notify_one();
        tokio::select! {
            _ = stored.wait_for(|stored| *stored == checkpoint) => Ok(()),
            () = self.lost.cancelled() => Err(LeaseLost),
        }
    }

    /// Returns when somebody waits for the progress to be stored.
    pub(crate) async fn wanted(&self) {
        self.urgent.notified().await;
    }

    pub(crate) fn note_stored(&self, checkpoint: &Checkpoint) {
        self.stored.send_replace(checkpoint.clone());
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
        let progress = Progress::new(Checkpoint::TrimHorizon);
        let storing = progress.store(at("7"));
        tokio::pin!(storing);
        assert!(timeout(Duration::from_secs(9), &mut storing).await.is_err());
        progress.wanted().await;
        progress.note_stored(&progress.reached());
        assert_eq!(storing.await, Ok(()));
    }

    #[tokio::test]
    async fn nothing_is_stored_in_a_lost_lease() {
        let progress = Progress::new(Checkpoint::TrimHorizon);
        progress.note_lost();
        assert_eq!(progress.store(at("7")).await, Err(LeaseLost));
    }
}
