//! The pause between two looks: short while things move, longer while they do not.

use std::time::Duration;

use crate::limits::{POLL_FIRST, POLL_LAST};

pub(crate) struct Pace(Duration);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(POLL_FIRST)
    }

    /// Something changed: look again soon.
    pub(crate) fn quicken(&mut self) {
        self.0 = POLL_FIRST;
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(POLL_LAST);
    }
}
