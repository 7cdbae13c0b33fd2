//! So many calls a second, in the order in which they were asked for.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// How many calls may be made at once after a silence: those of the pipelines that share a moment.
const BURST: u32 = 5;

/// The pace of one operation for a whole account. Whoever waits is served in turn, so no pipeline starves.
pub(in crate::observe) struct Pace {
    interval: Duration,
    /// When the next call is due. It lies in the past after a silence, by no more than a burst.
    due: Mutex<Instant>,
}

impl Pace {
    pub(in crate::observe) fn new(calls_per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / calls_per_second, due: Mutex::new(Instant::now()) }
    }

    /// Waits for the right to make one call.
    pub(in crate::observe) async fn take(&self) {
        // Tokio's mutex is fair, and whoever holds it waits for all behind it.
        let mut due = self.due.lock().await;
        let now = Instant::now();
        let oldest = now.checked_sub(self.interval * (BURST - 1)).unwrap_or(now);
        let at = (*due).max(oldest);
        tokio::time::sleep_until(at).await;
        *due = at + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(10);
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        let took = async |calls: u32| {
            for _ in 0..calls {
                pace.take().await;
            }
            Instant::now() - start
        };
        assert_eq!(took(BURST).await, Duration::ZERO);
        assert_eq!(took(10).await, Duration::from_secs(1));
    }
}
