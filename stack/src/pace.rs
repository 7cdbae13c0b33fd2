//! The pause between two looks at something that changes by itself.

use std::time::Duration;

use crate::limits::{POLL_FIRST, POLL_LAST};

/// Pauses that grow by half each time: what takes long is looked at seldom, and what is quick is seen quickly.
pub(crate) struct Pace(Duration);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(POLL_FIRST)
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(POLL_LAST);
    }
}
