//! AWS's Lambda sample: double or halve the shards by two alarms.
//!
//! Source: aws-samples/kinesis-auto-scaling, commit e1e52f8: `golang/scale.go` and the defaults of
//! `kinesis_scaling_cf.yaml`. Up: use of at least 0.75 in 5 of 5 periods of 5 minutes. Down: below 0.25 in 57 of 60; the
//! term for iterator age is off by default (its divisor is -1). Missing data counts as zero. The shard count is a
//! literal in the alarms, which the function rewrites after each change, so a count that somebody else changes leaves
//! the alarms wrong. Faults that are kept: an odd count halves to below AWS's limit (5 to 2) and is refused; there is no
//! maximum. A refused call sets the alarm to OK, so it is tried again every minute; while the stream is UPDATING too,
//! which is simplified.

use super::{
    alarm::{Alarm, EveryMinute},
    rival::{ShardScaler, View},
    series::periods_filled_with_zero,
};
use crate::decide::{Action, ActionResult, Outcome};

const UP: f64 = 0.75;
const UP_PERIODS: usize = 5;
const DOWN: f64 = 0.25;
const DOWN_PERIODS: usize = 60;
/// How many of [`DOWN_PERIODS`] must be below [`DOWN`].
const DOWN_DATAPOINTS: usize = 57;
const PERIOD: usize = 5;

#[derive(Debug, Default)]
pub(super) struct AwsLambda {
    minutes: EveryMinute,
    up: Alarm,
    down: Alarm,
    /// The shard count in the alarms' formulas.
    literal: Option<u32>,
}

impl AwsLambda {
    fn is_high(view: &View<'_>, literal: u32) -> bool {
        let periods = periods_filled_with_zero(view.metrics, view.now, literal, (UP_PERIODS, PERIOD));
        periods.take_while(|usage| *usage >= UP).count() == UP_PERIODS
    }

    fn is_low(view: &View<'_>, literal: u32) -> bool {
        let mut high = 0;
        let periods = periods_filled_with_zero(view.metrics, view.now, literal, (DOWN_PERIODS, PERIOD));
        let judged = periods.take_while(|usage| {
            high += usize::from(*usage >= DOWN);
            high <= DOWN_PERIODS - DOWN_DATAPOINTS
        });
        judged.count() == DOWN_PERIODS
    }
}

impl ShardScaler for AwsLambda {
    fn decide(&mut self, view: &View<'_>) -> Option<Action> {
        if !self.minutes.due(view.now) {
            return None;
        }
        let open = view.open_shards()?;
        let literal = *self.literal.get_or_insert(open);
        let (high, low) = (Self::is_high(view, literal), literal > 1 && Self::is_low(view, literal));
        let (up, down) = (self.up.fires(high, view.now), self.down.fires(low, view.now));
        let to = if up { open * 2 } else { (open / 2).max(1) };
        (up || down).then(|| view.update_shard_count(open, to))
    }

    fn note(&mut self, outcome: &Outcome) {
        self.up.reset();
        self.down.reset();
        if matches!(outcome.result, ActionResult::Done) {
            self.literal = Some(outcome.action.from_to().1);
        }
    }
}
