//! AWS's sample of Application Auto Scaling with a custom resource: one shard more or less.
//!
//! Source: aws-samples/aws-application-auto-scaling-kinesis, commit 9fe4d11: `index.py` and
//! `cloudformation/custom-application-autoscaling-kinesis.yaml`. Two alarms on IncomingRecords: out above a threshold in
//! one minute, in below it in 3 periods of 5 minutes; steps of one, cool-down 600 s, 1 to 8 shards. After a change both
//! thresholds become 80 % of the records that the shards take in a minute. Faults that are kept: bytes are not looked at,
//! so large or aggregated records never scale out; the threshold for going in compares five minutes with one, which is
//! 16 %; before the first change the thresholds are 1,000 and 700 records. The scaling policy repeats its step each
//! minute for as long as the alarm lasts, as step scaling does.

use jiff::{SignedDuration, Timestamp};

use super::{
    alarm::EveryMinute,
    rival::{ShardScaler, View},
    series::newest_first,
};
use crate::decide::{Action, ActionResult, Outcome};

const MIN: u32 = 1;
const MAX: u32 = 8;
const COOLDOWN: SignedDuration = SignedDuration::from_secs(600);
const FIRST_OUT: f64 = 1_000.0;
const FIRST_IN: f64 = 700.0;
/// Records that a shard takes in a minute, times 80 %.
const RECORDS_PER_SHARD: f64 = 1_000.0 * 60.0 * 0.8;
const IN_PERIODS: usize = 3;
const PERIOD: usize = 5;

#[derive(Debug)]
pub(super) struct AppAutoScaling {
    minutes: EveryMinute,
    out: f64,
    in_: f64,
    last: Option<Timestamp>,
}

impl Default for AppAutoScaling {
    fn default() -> Self {
        Self { minutes: EveryMinute::default(), out: FIRST_OUT, in_: FIRST_IN, last: None }
    }
}

impl AppAutoScaling {
    fn is_high(&self, view: &View<'_>) -> bool {
        newest_first(view.metrics, view.now, 1).flatten().any(|minute| minute.incoming_records > self.out)
    }

    /// Periods without any data are missing, and an alarm does not change its state for them.
    fn is_low(&self, view: &View<'_>) -> bool {
        let minutes: Vec<_> = newest_first(view.metrics, view.now, IN_PERIODS * PERIOD).collect();
        let low = |period: &&[Option<&super::super::MetricMinute>]| {
            let known = period.iter().flatten();
            known.clone().count() > 0 && known.map(|minute| minute.incoming_records).sum::<f64>() < self.in_
        };
        minutes.len() == IN_PERIODS * PERIOD && minutes.chunks(PERIOD).filter(low).count() == IN_PERIODS
    }
}

impl ShardScaler for AppAutoScaling {
    fn decide(&mut self, view: &View<'_>) -> Option<Action> {
        let cooling = self.last.is_some_and(|last| view.now.duration_since(last) < COOLDOWN);
        if !self.minutes.due(view.now) || cooling {
            return None;
        }
        let open = view.open_shards()?;
        if self.is_high(view) && open < MAX {
            return Some(view.update_shard_count(open, open + 1));
        }
        (self.is_low(view) && open > MIN).then(|| view.update_shard_count(open, open - 1))
    }

    fn note(&mut self, outcome: &Outcome) {
        self.last = Some(outcome.at);
        if matches!(outcome.result, ActionResult::Done) {
            let threshold = RECORDS_PER_SHARD * f64::from(outcome.action.from_to().1);
            (self.out, self.in_) = (threshold, threshold);
        }
    }
}
