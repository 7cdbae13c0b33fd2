//! The one clock of the control plane.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall-clock time that follows the monotonic clock from the start, and the machine's own clock only where that is ahead,
/// as after a laptop's sleep. A jump forward starts every stabilisation window anew. Time goes back only when such a jump
/// is corrected, never before the start; `decide` then moves what it remembers back with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started_at: machine_time(), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let passed = Instant::now().saturating_duration_since(self.started);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        self.started_at.checked_add(passed).unwrap_or(Timestamp::MAX).max(machine_time())
    }
}

#[expect(clippy::disallowed_methods, reason = "the only reading of the wall clock in this crate")]
fn machine_time() -> Timestamp {
    Timestamp::now()
}
