//! How long a lease is this worker's without a word from the table.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The time for which the last write secures a lease. Others take it over no sooner than that after they have seen the
/// write, so whoever stops at the end by its own clock never works beside its successor.
#[derive(Debug)]
pub(super) struct Term {
    duration: Duration,
    /// When the last write that succeeded was begun: others count from then at the earliest.
    secured_at: Mutex<Instant>,
}

impl Term {
    pub(super) fn new(duration: Duration, secured_at: Instant) -> Self {
        Self { duration, secured_at: Mutex::new(secured_at) }
    }

    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// Takes note of a write that was begun at `begun_at` and has succeeded.
    pub(super) fn secure(&self, begun_at: Instant) {
        *self.secured_at.lock().unwrap_or_else(PoisonError::into_inner) = begun_at;
    }

    pub(super) fn secured_at(&self) -> Instant {
        *self.secured_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ends_at(&self) -> Instant {
        self.secured_at() + self.duration
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.ends_at()
    }
}
