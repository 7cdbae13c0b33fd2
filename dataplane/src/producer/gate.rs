//! How fast records go to one shard. Pure.
//!
//! A shard takes 1 MiB and 1,000 records a second and refuses the rest, record by record. What it refuses costs a
//! round trip and the CPU of signing it, so each shard has a window of bytes on their way, which grows by addition
//! and shrinks by halves, and after a refusal it is left alone for a moment, longer each time that it takes nothing.

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

/// A shard's write quota of one second: more cannot be on its way to any purpose.
const WINDOW_MAX: usize = 1 << 20;

/// The smallest window, and its growth after an answer without a refusal.
const WINDOW_STEP: usize = 64 << 10;

/// What a small record costs of the window, so that the window of bytes also keeps the quota of 1,000 records a second.
const RECORD_COST_MIN: usize = WINDOW_MAX / 1000;

/// The pause after a first refusal. In it the shard earns a tenth of its quota.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause: how late the end of an outage may be noticed.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What one answer said about one shard's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) stored: usize,
    pub(crate) refused: usize,
}

/// The pace of one shard.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    window: usize,
    on_their_way: usize,
    closed_until: Option<Instant>,
    /// Answers in a row with refusals and nothing stored.
    fruitless: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self { window: WINDOW_MAX, on_their_way: 0, closed_until: None, fruitless: 0 }
    }
}

impl Gate {
    /// What a Kinesis record of `bytes` costs of the window.
    pub(crate) fn cost(bytes: usize) -> usize {
        bytes.max(RECORD_COST_MIN)
    }

    /// Whether a record of this cost may go now. A shard with nothing on its way takes a record of any size.
    pub(crate) fn admits(&self, cost: usize, now: Instant) -> bool {
        self.closed_until.is_none_or(|until| until <= now)
            && (self.on_their_way == 0 || self.on_their_way + cost <= self.window)
    }

    /// When the pause ends, if there is one.
    pub(crate) fn opens_at(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| *until > now)
    }

    pub(crate) fn sent(&mut self, cost: usize) {
        self.on_their_way += cost;
    }

    /// Takes note of an answer to records that cost `cost` together.
    pub(crate) fn answered(&mut self, cost: usize, verdict: Verdict, now: Instant, random: &mut impl Rng) {
        self.on_their_way = self.on_their_way.saturating_sub(cost);
        if verdict.refused == 0 {
            self.fruitless = 0;
            self.window = (self.window + WINDOW_STEP).min(WINDOW_MAX);
            return;
        }
        self.fruitless = if verdict.stored > 0 { 0 } else { self.fruitless.saturating_add(1) };
        self.window = (self.window / 2).max(WINDOW_STEP);
        self.closed_until = Some(now + pause(self.fruitless, random));
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

    const REFUSED: Verdict = Verdict { stored: 0, refused: 1 };
    const STORED: Verdict = Verdict { stored: 1, refused: 0 };

    #[test]
    fn a_refusal_closes_the_gate_for_a_moment() {
        let (now, mut random, mut gate) = (Instant::now(), StdRng::seed_from_u64(1), Gate::default());
        gate.sent(5000);
        gate.answered(5000, REFUSED, now, &mut random);
        assert!(!gate.admits(1, now + PAUSE_MIN / 2 - Duration::from_millis(1)));
        assert!(gate.admits(1, now + PAUSE_MIN));
        assert_eq!(gate.opens_at(now + PAUSE_MIN), None);
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
    fn a_partial_refusal_keeps_the_pause_short_and_the_window_shrinks_to_a_floor() {
        let (now, mut random, mut gate) = (Instant::now(), StdRng::seed_from_u64(3), Gate::default());
        for _ in 0..50 {
            gate.answered(0, Verdict { stored: 1, refused: 1 }, now, &mut random);
            assert!(gate.opens_at(now).expect("closed") <= now + PAUSE_MIN);
        }
        gate.sent(1);
        let later = now + PAUSE_MIN;
        assert!(gate.admits(WINDOW_STEP - 1, later));
        assert!(!gate.admits(WINDOW_STEP, later));
        gate.answered(1, STORED, later, &mut random);
        gate.sent(1);
        assert!(gate.admits(WINDOW_STEP, later));
    }

    #[test]
    fn no_more_than_a_second_of_quota_is_on_its_way_but_one_large_record_may_go_alone() {
        let (now, mut gate) = (Instant::now(), Gate::default());
        assert!(gate.admits(10 << 20, now));
        for _ in 0..1000 {
            assert!(gate.admits(Gate::cost(10), now));
            gate.sent(Gate::cost(10));
        }
        assert!(!gate.admits(Gate::cost(10), now));
    }
}
