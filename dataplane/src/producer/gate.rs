//! How fast records go to one shard. Pure.
//!
//! A shard takes 1 MiB and 1,000 records a second and refuses the rest, record by record. What it refuses costs a
//! round trip and the CPU of signing it, and other producers share the shard. So each shard has an allowance of bytes
//! and of records that refills at a rate, which starts at the whole quota, falls with the share of records that were
//! throttled and grows back by addition (AIMD; the proportional cut is DCTCP's, RFC 8257).
//!
//! # Retry budget
//! What is sent again is paid for from the same allowance as what is new, so retries never add to the load on a shard.
//! Where an answer had nothing stored in it, the shard is left alone for a moment, longer each time, and then tried
//! with one record: in an outage the retries are one record a shard each one to two seconds.

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

/// Write quota of a shard: bytes of data and partition keys in a second.
const BYTES_PER_SECOND: f64 = 1_048_576.0;

/// Write quota of a shard: records in a second.
const RECORDS_PER_SECOND: f64 = 1000.0;

/// The lowest rate, as a share of the quota: 50 records a second, so that a shard that has room again is noticed.
const RATE_MIN: f64 = 0.05;

/// Growth of the rate in a second without throttling, as a share of the quota.
const GROWTH_PER_SECOND: f64 = 0.1;

/// Answers to requests that were under way together say the same thing, so the rate is cut once in this time.
const CUT_INTERVAL: Duration = Duration::from_millis(100);

/// The pause after a first refusal. In it the shard earns a tenth of its quota.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause: how late the end of an outage may be noticed.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What one answer said about one shard's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) stored: usize,
    /// Refused because the shard had no quota left.
    pub(crate) throttled: usize,
    /// Refused, or not answered, for another reason.
    pub(crate) failed: usize,
}

/// The pace of one shard.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// Share of the quota.
    rate: f64,
    /// What may be sent at `counted_at`. Below zero after a record that was larger than what was left.
    bytes: f64,
    records: f64,
    counted_at: Option<Instant>,
    changed_at: Option<Instant>,
    closed_until: Option<Instant>,
    on_their_way: usize,
    /// Answers in a row with refusals and nothing stored.
    fruitless: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            rate: 1.0,
            bytes: BYTES_PER_SECOND,
            records: RECORDS_PER_SECOND,
            counted_at: None,
            changed_at: None,
            closed_until: None,
            on_their_way: 0,
            fruitless: 0,
        }
    }
}

impl Gate {
    /// Whether a record, of any size, may go now.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        if self.closed_until.is_some_and(|until| until > now) {
            return false;
        }
        if self.fruitless > 0 {
            return self.on_their_way == 0;
        }
        let (bytes, records) = self.allowance(now);
        bytes > 0.0 && records > 0.0
    }

    /// When it admits again, if it does not and no answer has to come first.
    pub(crate) fn opens_at(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Some(until);
        }
        let (bytes, records) = self.allowance(now);
        let missing = (-bytes / BYTES_PER_SECOND).max(-records / RECORDS_PER_SECOND);
        let waits = self.fruitless == 0 && missing >= 0.0;
        // A millisecond more than it takes to get there: timers have no finer steps, and there is not yet beyond.
        waits.then(|| now + Duration::from_secs_f64(missing / self.rate) + Duration::from_millis(1))
    }

    pub(crate) fn sent(&mut self, bytes: usize, now: Instant) {
        let (left_bytes, left_records) = self.allowance(now);
        self.bytes = left_bytes - bytes as f64;
        self.records = left_records - 1.0;
        self.counted_at = Some(now);
        self.on_their_way += 1;
    }

    pub(crate) fn answered(&mut self, verdict: Verdict, now: Instant, random: &mut impl Rng) {
        let Verdict { stored, throttled, failed } = verdict;
        self.on_their_way = self.on_their_way.saturating_sub(stored + throttled + failed);
        self.fruitless = match stored {
            0 if throttled + failed > 0 => self.fruitless.saturating_add(1),
            _ => 0,
        };
        let since_change = self.changed_at.map(|then| now.saturating_duration_since(then));
        if throttled > 0 {
            self.bytes = self.bytes.min(0.0);
            self.records = self.records.min(0.0);
            self.counted_at = Some(now);
            if since_change.is_none_or(|since| since >= CUT_INTERVAL) {
                let share = throttled as f64 / (stored + throttled + failed) as f64;
                self.rate = (self.rate * (1.0 - share / 2.0)).max(RATE_MIN);
                self.changed_at = Some(now);
            }
        } else if stored > 0 {
            let seconds = since_change.unwrap_or_default().as_secs_f64().min(1.0);
            self.rate = (self.rate + GROWTH_PER_SECOND * seconds).min(1.0);
            self.changed_at = Some(now);
        }
        if throttled + failed > 0 {
            self.closed_until = Some(now + pause(self.fruitless, random));
        }
    }

    /// Bytes and records that may be sent.
    fn allowance(&self, now: Instant) -> (f64, f64) {
        let elapsed = self.counted_at.map(|then| now.saturating_duration_since(then)).unwrap_or_default();
        let earned = self.rate * elapsed.as_secs_f64();
        let bytes = self.bytes + earned * BYTES_PER_SECOND;
        let records = self.records + earned * RECORDS_PER_SECOND;
        // What a second did not use is lost, as it is on the other side.
        (bytes.min(self.rate * BYTES_PER_SECOND), records.min(self.rate * RECORDS_PER_SECOND))
    }
}

/// The pause after so many fruitless answers in a row: doubling, and drawn between half and all of it so that
/// producers that were refused together do not come back together.
fn pause(fruitless: u32, random: &mut impl Rng) -> Duration {
    let doublings = fruitless.saturating_sub(1).min(16);
    let longest = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
    longest.mul_f64(random.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const THROTTLED: Verdict = Verdict { stored: 0, throttled: 1, failed: 0 };
    const FAILED: Verdict = Verdict { stored: 0, throttled: 0, failed: 1 };
    const STORED: Verdict = Verdict { stored: 1, throttled: 0, failed: 0 };

    fn setting() -> (Instant, StdRng, Gate) {
        (Instant::now(), StdRng::seed_from_u64(1), Gate::default())
    }

    /// Records of this size that are sent, and stored at once, in so many seconds.
    fn sent_in(gate: &mut Gate, seconds: u64, bytes: usize, from: Instant, random: &mut StdRng) -> usize {
        let (mut now, mut sent) = (from, 0);
        while now < from + Duration::from_secs(seconds) {
            while gate.admits(now) {
                gate.sent(bytes, now);
                gate.answered(STORED, now, random);
                sent += 1;
            }
            now = gate.opens_at(now).expect("it opens with time");
        }
        sent
    }

    #[test]
    fn a_shard_gets_its_quota_of_records_and_of_bytes_and_no_more() {
        let (now, mut random, mut gate) = setting();
        let small = sent_in(&mut gate, 10, 100, now, &mut random);
        assert!((10_000..=11_001).contains(&small), "{small} records in ten seconds after a pause");
        let large = sent_in(&mut Gate::default(), 10, 51_200, now, &mut random);
        assert!((200..=226).contains(&large), "{large} aggregates in ten seconds after a pause");
    }

    #[test]
    fn one_large_record_may_go_and_is_paid_for_afterwards() {
        let (now, _, mut gate) = setting();
        gate.sent(10 << 20, now);
        assert!(!gate.admits(now + Duration::from_millis(8900)));
        assert!(gate.admits(now + Duration::from_millis(9100)));
    }

    #[test]
    fn the_rate_falls_with_the_share_that_was_throttled_and_grows_back() {
        let (now, mut random, mut gate) = setting();
        gate.answered(Verdict { stored: 3, throttled: 1, failed: 0 }, now, &mut random);
        assert_eq!(gate.rate, 0.875);
        gate.answered(Verdict { stored: 3, throttled: 1, failed: 0 }, now, &mut random);
        assert_eq!(gate.rate, 0.875, "answers that come together count once");
        gate.answered(THROTTLED, now + CUT_INTERVAL, &mut random);
        assert_eq!(gate.rate, 0.4375);
        for second in 1..=9 {
            gate.answered(STORED, now + CUT_INTERVAL + Duration::from_secs(second), &mut random);
        }
        assert_eq!(gate.rate, 1.0);
        for tenth in 0..100 {
            gate.answered(THROTTLED, now + Duration::from_secs(60) + tenth * CUT_INTERVAL, &mut random);
        }
        assert_eq!(gate.rate, RATE_MIN);
    }

    #[test]
    fn a_failure_that_is_no_throttle_pauses_and_leaves_the_rate() {
        let (now, mut random, mut gate) = setting();
        gate.sent(5000, now);
        gate.answered(FAILED, now, &mut random);
        assert_eq!(gate.rate, 1.0);
        assert!(!gate.admits(now + PAUSE_MIN / 2 - Duration::from_millis(1)));
        assert!(gate.admits(now + PAUSE_MIN));
    }

    #[test]
    fn after_an_answer_with_nothing_stored_one_record_is_tried_at_a_time() {
        let (now, mut random, mut gate) = setting();
        gate.answered(FAILED, now, &mut random);
        let later = now + PAUSE_MAX;
        assert!(gate.admits(later));
        gate.sent(100, later);
        assert!(!gate.admits(later));
        assert_eq!(gate.opens_at(later), None, "the answer comes first");
        gate.answered(STORED, later, &mut random);
        assert!(gate.admits(later));
    }

    #[test]
    fn pauses_double_while_nothing_is_stored_and_stay_under_the_longest() {
        let mut random = StdRng::seed_from_u64(2);
        for (fruitless, longest) in [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (u32::MAX, 2000)] {
            for _ in 0..100 {
                let pause = pause(fruitless, &mut random).as_millis();
                assert!((longest / 2..=longest).contains(&pause), "{pause} ms after {fruitless}");
            }
        }
    }

    #[test]
    fn an_outage_costs_a_record_each_one_to_two_seconds() {
        let (start, mut random, mut gate) = setting();
        let (mut now, mut tries) = (start, 0);
        while now < start + Duration::from_secs(60) {
            assert!(gate.admits(now));
            gate.sent(51_200, now);
            gate.answered(FAILED, now, &mut random);
            tries += 1;
            now = gate.opens_at(now).expect("it opens with time");
        }
        assert!((30..=70).contains(&tries), "{tries} tries in a minute");
    }
}
