//! The one clock of the process.

use std::time::Duration;

use tokio::time::Instant;

/// Wall-clock time that follows tokio's clock, so that a test with paused time moves quotas, retention and resharding too.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started_at: Duration,
    started: Instant,
}

impl Clock {
    /// Starts at the machine's current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the anchor of the only clock of this process")]
    pub fn start() -> Self {
        let started_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { started_at, started: Instant::now() }
    }

    /// Starts at a stated time, for tests.
    #[must_use]
    pub fn start_at(since_epoch: Duration) -> Self {
        Self { started_at: since_epoch, started: Instant::now() }
    }

    /// Time since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started_at + Instant::now().duration_since(self.started)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Seconds since the Unix epoch with a fraction, as awsJson writes timestamps.
    #[must_use]
    pub fn now_seconds(&self) -> f64 {
        self.now().as_secs_f64()
    }
}
