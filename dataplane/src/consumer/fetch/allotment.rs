//! The memory for records that are fetched and not processed yet.
//!
//! Every shard has a part of its own: a processor that is stuck on one shard fills that part and nobody else's.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

/// The least that a shard may hold, whatever the setting and the number of leases: a quarter of a second of a full
/// shard's two megabytes a second.
const SHARE_MIN: usize = 512 << 10;

/// The memory of all shards of a worker.
#[derive(Debug)]
pub(crate) struct Prefetch {
    bytes: usize,
    shards: AtomicUsize,
}

impl Prefetch {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { bytes, shards: AtomicUsize::new(0) })
    }

    /// The part of one more shard. It is given back when it is dropped.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<Allotment> {
        self.shards.fetch_add(1, Ordering::Relaxed);
        Arc::new(Allotment { prefetch: self.clone(), held: watch::Sender::new(0) })
    }
}

/// The memory of one shard.
#[derive(Debug)]
pub(crate) struct Allotment {
    prefetch: Arc<Prefetch>,
    held: watch::Sender<usize>,
}

/// Memory in use.
#[derive(Debug)]
pub(crate) struct Held {
    allotment: Arc<Allotment>,
    bytes: usize,
}

impl Allotment {
    /// The bytes that this shard may hold now.
    pub(crate) fn share(&self) -> usize {
        (self.prefetch.bytes / self.prefetch.shards.load(Ordering::Relaxed).max(1)).max(SHARE_MIN)
    }

    /// Waits until so many bytes fit. A shard that holds nothing may always fetch.
    pub(crate) async fn room(&self, bytes: usize) {
        let fits = |held: &usize| *held == 0 || *held + bytes <= self.share();
        // The sender is ours, so it is never gone.
        let _ = self.held.subscribe().wait_for(fits).await;
    }

    /// Takes memory for what is fetched, whether it fits or not: how large an answer is, is only known afterwards.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.send_modify(|held| *held += bytes);
        Held { allotment: self.clone(), bytes }
    }
}

impl Drop for Allotment {
    fn drop(&mut self) {
        self.prefetch.shards.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.allotment.held.send_modify(|held| *held -= self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn has_room(allotment: &Allotment, bytes: usize) -> bool {
        timeout(Duration::from_secs(1), allotment.room(bytes)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_is_stuck_leaves_the_others_their_memory() {
        let prefetch = Prefetch::new(4 << 20);
        let (stuck, other) = (prefetch.join(), prefetch.join());
        assert_eq!(stuck.share(), 2 << 20);
        let held = stuck.hold(2 << 20);
        assert!(!has_room(&stuck, 1).await);
        assert!(has_room(&other, 2 << 20).await);
        drop(held);
        assert!(has_room(&stuck, 2 << 20).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_without_records_may_fetch_whatever_its_share() {
        let prefetch = Prefetch::new(1 << 20);
        let shard = prefetch.join();
        assert!(has_room(&shard, 10 << 20).await);
        let _held = shard.hold(1);
        assert!(!has_room(&shard, 10 << 20).await);
    }

    #[test]
    fn the_memory_of_a_shard_that_is_given_up_goes_to_the_others() {
        let prefetch = Prefetch::new(4 << 20);
        let (one, two) = (prefetch.join(), prefetch.join());
        drop(one);
        assert_eq!(two.share(), 4 << 20);
    }
}
