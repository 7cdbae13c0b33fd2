//! Rates over a sliding window.

use tokio::time::Instant;

use crate::report::Rate;

/// The window of every rate in a report.
pub(crate) const WINDOW_SECONDS: u64 = 10;

/// One slot per second of the window, and one for the second under way.
const SLOTS: usize = WINDOW_SECONDS as usize + 1;

/// An amount per second, averaged over the last [`WINDOW_SECONDS`] full seconds, or over fewer when it is younger.
#[derive(Debug, Clone)]
pub(crate) struct Window<const N: usize> {
    origin: Instant,
    slots: [Slot<N>; SLOTS],
}

#[derive(Debug, Clone, Copy)]
struct Slot<const N: usize> {
    second: u64,
    amounts: [u64; N],
}

impl<const N: usize> Window<N> {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, slots: [Slot { second: 0, amounts: [0; N] }; SLOTS] }
    }

    pub(crate) fn add(&mut self, now: Instant, amounts: [u64; N]) {
        let second = self.second(now);
        let slot = &mut self.slots[(second % SLOTS as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, amounts: [0; N] };
        }
        for (sum, amount) in slot.amounts.iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    /// The amounts per second.
    pub(crate) fn per_second(&self, now: Instant) -> [f64; N] {
        let current = self.second(now);
        let oldest = current.saturating_sub(WINDOW_SECONDS);
        let seconds = current.clamp(1, WINDOW_SECONDS);
        let mut sums = [0; N];
        for slot in &self.slots {
            // In its first second the task has nothing else to go by than the second under way.
            if (oldest..current.max(1)).contains(&slot.second) {
                for (sum, amount) in sums.iter_mut().zip(slot.amounts) {
                    *sum += amount;
                }
            }
        }
        sums.map(|sum| sum as f64 / seconds as f64)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs()
    }
}

/// Records and bytes that went by: their rate and their total.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    window: Window<2>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Flow {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { window: Window::new(origin), records: 0, bytes: 0 }
    }

    pub(crate) fn add(&mut self, now: Instant, records: u64, bytes: u64) {
        self.window.add(now, [records, bytes]);
        self.records += records;
        self.bytes += bytes;
    }

    pub(crate) fn rate(&self, now: Instant) -> Rate {
        let [records_per_second, bytes_per_second] = self.window.per_second(now);
        Rate { records_per_second, bytes_per_second }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(origin: Instant, seconds: f64) -> Instant {
        origin + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_steady_flow_has_its_rate_after_one_second_and_later() {
        let origin = Instant::now();
        let mut flow = Flow::new(origin);
        for tenth in 0..300 {
            flow.add(at(origin, f64::from(tenth) / 10.0), 5, 100);
        }
        for seconds in [2.0, 9.9, 15.5, 29.0] {
            let mut young = Flow::new(origin);
            (0..300)
                .map(|tenth| at(origin, f64::from(tenth) / 10.0))
                .filter(|then| *then < at(origin, seconds))
                .for_each(|then| young.add(then, 5, 100));
            let rate = young.rate(at(origin, seconds));
            assert_eq!((rate.records_per_second, rate.bytes_per_second), (50.0, 1000.0), "after {seconds} s");
        }
        assert_eq!((flow.records, flow.bytes), (1500, 30_000));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let origin = Instant::now();
        let mut flow = Flow::new(origin);
        flow.add(at(origin, 3.0), 1000, 1);
        assert_eq!(flow.rate(at(origin, 13.9)).records_per_second, 100.0);
        assert_eq!(flow.rate(at(origin, 14.0)).records_per_second, 0.0);
    }
}
