//! Substation's autoscaler: two alarms on single minutes, and a guard against running away.
//!
//! Source: brexhq/substation, commit 28f1b34, `cmd/aws/lambda/autoscale/main.go`. Up: use of at least 0.70 in 5 of 5
//! minutes, by 2 (below 5 shards), 1.75 (below 13), 1.5 (below 33) or 1.25. Down: at most 0.35 in 60 of 60, by the same.
//! A missing minute repeats the last one. At least 3 minutes since the last change for up, 30 for down. The function
//! waits for the end of a change. Faults that are kept: the stream's tags for minimum and maximum are read into variables
//! that nothing uses, so there is no maximum; a refused call makes the function fail, and its alarm stays in ALARM.

use jiff::{SignedDuration, Timestamp};

use super::{
    alarm::{Alarm, EveryMinute},
    rival::{ShardScaler, View},
    series::{newest_first, usage},
};
use crate::decide::{Action, ActionResult, Outcome};

const UP: f64 = 0.70;
const UP_MINUTES: usize = 5;
const DOWN: f64 = 0.35;
const DOWN_MINUTES: usize = 60;
const UP_GUARD: SignedDuration = SignedDuration::from_mins(3);
const DOWN_GUARD: SignedDuration = SignedDuration::from_mins(30);

#[derive(Debug, Default)]
pub(super) struct Substation {
    minutes: EveryMinute,
    up: Alarm,
    down: Alarm,
    literal: Option<u32>,
    /// The tag `LastScalingEvent`: when the last change ended.
    last: Option<Timestamp>,
    /// The function waits for the end of its change.
    changing: Option<u32>,
}

/// The last `count` minutes with `FILL(m, REPEAT)`: holes have the value of the minute before them, so at the old end,
/// where nothing is before, there may be fewer.
fn repeated(view: &View<'_>, shards: u32, count: usize) -> Vec<f64> {
    let mut seen: Vec<Option<f64>> =
        newest_first(view.metrics, view.now, count).map(|minute| minute.map(|minute| usage(minute, shards))).collect();
    seen.reverse();
    let mut last = None;
    let filled = seen.into_iter().filter_map(|usage| {
        last = usage.or(last);
        last
    });
    filled.collect()
}

fn all(usages: &[f64], count: usize, holds: impl Fn(f64) -> bool) -> bool {
    usages.len() >= count && usages[usages.len() - count..].iter().all(|usage| holds(*usage))
}

/// By how much a stream of this size grows and shrinks.
fn factor(open: u32) -> f64 {
    match open {
        ..5 => 2.0,
        5..13 => 1.75,
        13..33 => 1.5,
        _ => 1.25,
    }
}

fn up(open: u32) -> u32 {
    (f64::from(open) * factor(open)).floor() as u32
}

fn down(open: u32) -> u32 {
    ((f64::from(open) / factor(open)).ceil() as u32).max(1)
}

impl Substation {
    fn finish(&mut self, view: &View<'_>) {
        if view.is_active()
            && let Some(count) = self.changing.take()
        {
            (self.last, self.literal) = (Some(view.now), Some(count));
            self.up.reset();
            self.down.reset();
        }
    }

    fn is_recent(&self, now: Timestamp, guard: SignedDuration) -> bool {
        self.last.is_some_and(|last| now.duration_since(last) < guard)
    }
}

impl ShardScaler for Substation {
    fn decide(&mut self, view: &View<'_>) -> Option<Action> {
        self.finish(view);
        if self.changing.is_some() || !self.minutes.due(view.now) {
            return None;
        }
        let open = view.open_shards()?;
        let literal = *self.literal.get_or_insert(open);
        let usages = repeated(view, literal, DOWN_MINUTES);
        let high = all(&usages, UP_MINUTES, |usage| usage >= UP);
        let low = all(&usages, DOWN_MINUTES, |usage| usage <= DOWN);
        for (rises, breaching, guard) in [(true, high, UP_GUARD), (false, low, DOWN_GUARD)] {
            let alarm = if rises { &mut self.up } else { &mut self.down };
            if !alarm.fires(breaching, view.now) {
                continue;
            }
            if self.is_recent(view.now, guard) {
                let alarm = if rises { &mut self.up } else { &mut self.down };
                alarm.reset();
                continue;
            }
            let to = if rises { up(open) } else { down(open) };
            return (to != open).then(|| view.update_shard_count(open, to));
        }
        None
    }

    fn note(&mut self, outcome: &Outcome) {
        let (from, to) = outcome.action.from_to();
        if matches!(outcome.result, ActionResult::Done) {
            self.changing = Some(to);
        } else {
            let alarm = if to > from { &mut self.up } else { &mut self.down };
            alarm.failed(outcome.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_size_of_the_stream() {
        assert_eq!([1, 4, 5, 12, 13, 32, 33].map(up), [2, 8, 8, 21, 19, 48, 41]);
        assert_eq!([1, 2, 4, 5, 12, 13, 33].map(down), [1, 1, 2, 3, 7, 9, 27]);
    }
}
