//! Epsagon's autoscaler: quick up, and down once a day to half use.
//!
//! Source: epsagon/kinesis-autoscaler, commit a866ff4: `kinesis_autoscaler/*.py` and the alarms of
//! `examples/stream_subscription.yml`. Up: use of at least 0.75 in one period of 5 minutes, to twice as many (up to 3
//! shards), half more (up to 50) or a quarter more. Down: use of at most 0.25 in all 288 periods of a day, to where the
//! day's highest use is 50 %, at least half. Missing data counts as zero. The count is a literal in the alarms; a
//! function that finds another count only corrects the alarms, also while its own change is under way. A refused call
//! makes the function fail.

use super::{
    alarm::{Alarm, EveryMinute},
    rival::{ShardScaler, View},
    series::periods_filled_with_zero,
};
use crate::decide::{Action, ActionResult, Outcome};

const UP: f64 = 0.75;
const DOWN: f64 = 0.25;
/// A day of periods.
const DOWN_PERIODS: usize = 288;
const PERIOD: usize = 5;
/// What the highest use of the day should be after a step down.
const RESIZED_USE: f64 = 0.5;

#[derive(Debug, Default)]
pub(super) struct Epsagon {
    minutes: EveryMinute,
    up: Alarm,
    down: Alarm,
    literal: Option<u32>,
}

impl Epsagon {
    fn periods<'a>(view: &View<'a>, shards: u32, count: usize) -> impl Iterator<Item = f64> + use<'a> {
        periods_filled_with_zero(view.metrics, view.now, shards, (count, PERIOD))
    }

    fn correct(&mut self, count: u32) {
        self.literal = Some(count);
        self.up.reset();
        self.down.reset();
    }
}

fn up(open: u32) -> u32 {
    match open {
        ..=3 => open * 2,
        4..=50 => (open * 3).div_ceil(2),
        _ => (open * 5).div_ceil(4),
    }
}

fn down(open: u32, highest_use: f64) -> u32 {
    let half_used = (f64::from(open) * highest_use / RESIZED_USE).ceil() as u32;
    half_used.max(open.div_ceil(2))
}

impl ShardScaler for Epsagon {
    fn decide(&mut self, view: &View<'_>) -> Option<Action> {
        if !self.minutes.due(view.now) {
            return None;
        }
        let open = view.open_shards()?;
        let literal = *self.literal.get_or_insert(open);
        let high = Self::periods(view, literal, 1).any(|usage| usage >= UP);
        // The alarm for going down has no action at one shard.
        let low = literal > 1
            && Self::periods(view, literal, DOWN_PERIODS).take_while(|usage| *usage <= DOWN).count() == DOWN_PERIODS;
        let (rises, falls) = (self.up.fires(high, view.now), self.down.fires(low, view.now));
        if !rises && !falls {
            return None;
        }
        if literal != open {
            self.correct(open);
            return None;
        }
        let highest = || Self::periods(view, open, DOWN_PERIODS).fold(0.0, f64::max);
        let to = if rises { up(open) } else { down(open, highest()) };
        (to != open).then(|| view.update_shard_count(open, to))
    }

    fn note(&mut self, outcome: &Outcome) {
        if matches!(outcome.result, ActionResult::Done) {
            self.correct(outcome.action.from_to().1);
        } else {
            let rose = outcome.action.from_to().1 > outcome.action.from_to().0;
            let alarm = if rose { &mut self.up } else { &mut self.down };
            alarm.failed(outcome.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_larger_for_small_streams() {
        assert_eq!([1, 3, 4, 5, 50, 51].map(up), [2, 6, 6, 8, 75, 64]);
    }

    #[test]
    fn down_goes_to_half_use_but_not_below_half() {
        assert_eq!([(10, 0.2), (10, 0.25), (16, 0.24), (5, 0.01)].map(|(open, use_)| down(open, use_)), [5, 5, 8, 3]);
    }
}
