//! Target tracking of a service's CPU, as ECS offers it.
//!
//! Sources: Amazon ECS and Application Auto Scaling developer guides. Out when three minutes in a row are above the
//! target, in when fifteen are below nine tenths of it; the new count is the old one times use over target, rounded up;
//! no step in while a step out cools down; without data nothing happens.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::MetricMinute,
    rival::{TaskScaler, View},
    series::newest_first,
};
use crate::decide::Service;

const OUT_MINUTES: usize = 3;
const IN_MINUTES: usize = 15;
const IN_SHARE: f64 = 0.9;

#[derive(Debug, Clone)]
pub(super) struct TargetTracking {
    /// In percent.
    target: f64,
    min: u32,
    max: u32,
    cooldown: SignedDuration,
    last: Option<Timestamp>,
}

impl TargetTracking {
    fn new(target: f64, min: u32, max: u32, cooldown_s: i64) -> Self {
        Self { target, min, max, cooldown: SignedDuration::from_secs(cooldown_s), last: None }
    }

    /// The console's defaults: 70 % and five minutes of cool-down, between the counts of Weir's default policy.
    pub(super) fn usual() -> Self {
        Self::new(70.0, 1, 16, 300)
    }

    /// aws-samples/amazon-kinesis-data-processor-aws-fargate, commit c7a1056.
    pub(super) fn of_the_sample_consumers() -> Self {
        Self::new(65.0, 1, 15, 10)
    }

    /// The same.
    pub(super) fn of_the_sample_producers() -> Self {
        Self::new(65.0, 1, 15, 60)
    }
}

impl TaskScaler for TargetTracking {
    fn desired(&mut self, view: &View<'_>, service: Service, desired: u32) -> u32 {
        let cpu = |minute: &MetricMinute| match service {
            Service::Producer => minute.producer_cpu,
            Service::Consumer => minute.consumer_cpu,
        };
        if self.last.is_some_and(|last| view.now.duration_since(last) < self.cooldown) {
            return desired;
        }
        let uses: Vec<_> = newest_first(view.metrics, view.now, IN_MINUTES).map(|minute| minute.map(cpu)).collect();
        let all = |count: usize, holds: &dyn Fn(f64) -> bool| {
            uses.len() >= count && uses[..count].iter().all(|cpu| cpu.is_some_and(holds))
        };
        let high = all(OUT_MINUTES, &|cpu| cpu > self.target);
        let low = all(IN_MINUTES, &|cpu| cpu < IN_SHARE * self.target);
        let (true, Some(Some(cpu))) = (high || low, uses.first()) else { return desired };
        let wanted = (f64::from(desired) * cpu / self.target).ceil() as u32;
        let wanted = if high { wanted.max(desired) } else { wanted.min(desired) };
        let wanted = wanted.clamp(self.min, self.max);
        if wanted != desired {
            self.last = Some(view.now);
        }
        wanted
    }
}
