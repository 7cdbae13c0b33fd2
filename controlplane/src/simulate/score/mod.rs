//! How good a run was: numbers that anybody can recompute from its timeline.

mod calls;
mod elasticity;
mod spread;

pub use spread::{Spread, Summary};

use serde::{Deserialize, Serialize};

use super::{
    Minute, Physics, Timeline,
    prices::{Prices, StreamUse, TaskUse},
};

/// What a score measures against.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// How far consumers may be behind (`[consumer] lag_objective`).
    pub lag_objective_s: f64,
    pub prices: Prices,
    pub physics: Physics,
}

macro_rules! score {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The score of one run, or of several: then each number is its median.
        #[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
        pub struct Score {
            $($(#[$doc])* pub $name: f64,)+
        }

        impl Score {
            /// What is measured, in the order of [`Score::values`].
            pub const NAMES: &[&'static str] = &[$(stringify!($name)),+];

            #[must_use]
            pub fn values(&self) -> Vec<f64> {
                vec![$(self.$name),+]
            }

            fn from_values(values: &[f64]) -> Self {
                let mut values = values.iter().copied();
                let mut next = || values.next().unwrap_or_default();
                Self { $($name: next()),+ }
            }
        }
    };
}

score! {
    /// Records that found no room in the second in which they came, in percent of all.
    throttled_pct,
    /// Records that nobody tries to store any more, in percent of all.
    lost_pct,
    /// Median over the minutes of how far the slowest consumer was behind at worst.
    lag_p50_s,
    /// The same that 99 % of the minutes did not exceed (nearest rank).
    lag_p99_s,
    lag_max_s,
    /// Minutes in which that was over the objective.
    lag_minutes,
    shard_hours,
    /// Hours of consumer tasks, those that start included.
    task_hours,
    /// Hours of producer tasks, those that start included.
    producer_hours,
    dollars,
    /// Changes of the shard count that AWS took: UpdateShardCount, SplitShard, MergeShards.
    calls,
    /// The most of them in any rolling 24 hours.
    calls_max_24h,
    /// Changes of the shard count that AWS refused.
    refused_calls,
    /// Changes within an hour after one in the other direction.
    reversals,
    /// Steps up after which the stream throttled as much as before.
    ineffective,
    /// SPEC's accuracy of under-provisioning: mean share of the needed shards that was missing, in percent.
    under_accuracy_pct,
    /// SPEC's accuracy of over-provisioning: mean share by which there were more than needed, in percent.
    over_accuracy_pct,
    /// SPEC's timeshare of under-provisioning, in percent.
    under_time_pct,
    /// SPEC's timeshare of over-provisioning, in percent.
    over_time_pct,
    /// SPEC's instability: share of the minutes in which supply and need moved in different directions, in percent.
    instability_pct,
    /// SPEC's jitter: changes of the supply less changes of the need, per hour.
    jitter_per_hour,
}

impl Score {
    /// The score of a run.
    #[must_use]
    pub fn of(timeline: &Timeline, terms: &Terms) -> Self {
        let minutes = &timeline.minutes;
        let sum = |of: fn(&Minute) -> f64| minutes.iter().map(of).sum::<f64>();
        let records = sum(|minute| minute.records);
        let percent = |part: f64| if records > 0.0 { 100.0 * part / records } else { 0.0 };
        let mut lags: Vec<f64> = minutes.iter().map(|minute| minute.lag_s).collect();
        lags.sort_by(f64::total_cmp);
        let changes = calls::changes(minutes);
        let elasticity = elasticity::measures(minutes);
        Self {
            throttled_pct: percent(sum(|minute| minute.throttled_records)),
            lost_pct: percent(sum(|minute| minute.lost_records)),
            lag_p50_s: rank(&lags, 0.5),
            lag_p99_s: rank(&lags, 0.99),
            lag_max_s: rank(&lags, 1.0),
            lag_minutes: lags.iter().filter(|lag| **lag > terms.lag_objective_s).count() as f64,
            shard_hours: sum(|minute| minute.shards) / 60.0,
            task_hours: sum(|minute| minute.tasks) / 60.0,
            producer_hours: sum(|minute| minute.producers) / 60.0,
            dollars: dollars(timeline, terms),
            calls: changes.len() as f64,
            calls_max_24h: calls::most_in_a_day(&changes) as f64,
            refused_calls: calls::refused(minutes) as f64,
            reversals: calls::reversals(&changes) as f64,
            ineffective: calls::ineffective(minutes, &changes) as f64,
            ..elasticity
        }
    }

    /// Whether this is at least as good as another in throttling and in shard-hours, and better in one of them.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        let no_worse = self.throttled_pct <= other.throttled_pct && self.shard_hours <= other.shard_hours;
        no_worse && (self.throttled_pct < other.throttled_pct || self.shard_hours < other.shard_hours)
    }
}

/// The value that this share of the sorted values does not exceed.
fn rank(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn dollars(timeline: &Timeline, terms: &Terms) -> f64 {
    let Terms { prices, physics, .. } = terms;
    let sum = |of: fn(&Minute) -> f64| timeline.minutes.iter().map(of).sum::<f64>();
    let stored = sum(|minute| minute.records) - sum(|minute| minute.lost_records);
    let stream = StreamUse {
        hours: timeline.minutes.len() as f64 / 60.0,
        shard_hours: sum(|minute| minute.shards) / 60.0,
        records: stored * physics.user_record_bytes / physics.kinesis_record_bytes,
        record_bytes: physics.kinesis_record_bytes,
        readers: 1,
        fan_out: timeline.fan_out,
        on_demand: timeline.on_demand,
        alarms: 0,
    };
    let tasks =
        |hours: f64, [vcpu, memory_gib]: [f64; 2]| prices.tasks(&TaskUse { task_hours: hours, vcpu, memory_gib });
    prices.stream(&stream)
        + tasks(sum(|minute| minute.tasks) / 60.0, physics.consumer_task_size)
        + tasks(sum(|minute| minute.producers) / 60.0, physics.producer_task_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_a_value_that_was_seen() {
        let sorted: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| rank(&sorted, share)), [5.0, 10.0, 10.0]);
        assert_eq!(rank(&[], 0.5), 0.0);
    }

    #[test]
    fn names_and_values_belong_together() {
        let score = Score { dollars: 7.0, ..Score::default() };
        let index = Score::NAMES.iter().position(|name| *name == "dollars").unwrap();
        assert_eq!(score.values()[index], 7.0);
        assert_eq!(Score::from_values(&score.values()), score);
    }

    #[test]
    fn dominance_needs_an_advantage_and_no_drawback() {
        let score = |throttled_pct, shard_hours| Score { throttled_pct, shard_hours, ..Score::default() };
        assert!(score(0.1, 90.0).dominates(&score(0.1, 100.0)));
        assert!(!score(0.1, 100.0).dominates(&score(0.1, 100.0)));
        assert!(!score(0.2, 90.0).dominates(&score(0.1, 100.0)));
    }
}
