//! A point in time, as records, shards and streams carry it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch: the precision of every Kinesis timestamp.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From the number that awsJson writes: seconds with a fraction. Negative input is the epoch.
    pub(crate) fn from_fractional_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as u64)
    }

    pub(crate) const fn millis(self) -> u64 {
        self.0
    }

    pub(crate) const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// As awsJson writes timestamps.
    pub(crate) fn fractional_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// When the minute began that this moment lies in.
    pub(crate) const fn minute(self) -> Self {
        Self(self.0 - self.0 % 60_000)
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time from `earlier` to here, zero when it is not earlier.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Moment {
    /// From the time since the Unix epoch.
    fn from(since_epoch: Duration) -> Self {
        Self(millis(since_epoch))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
