//! The one clock of the control plane.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall-clock time that is read once and then follows the monotonic clock: a jump of the machine's clock moves no
/// cool-down and no window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the anchor of the only clock of this process")]
    pub(crate) fn start() -> Self {
        Self { started_at: Timestamp::now(), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let passed = Instant::now().saturating_duration_since(self.started);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        self.started_at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}
