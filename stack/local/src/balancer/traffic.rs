//! Counts of what went through, published as `AWS/ApplicationELB` metrics.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;

use crate::cloudwatch::Datum;

/// The period of `AWS/ApplicationELB` metrics.
const MINUTE_MS: u64 = 60_000;

/// What went through since the counts were last taken.
#[derive(Default)]
pub(super) struct Traffic(Mutex<Counts>);

/// Counts of requests.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Counts {
    requests: u64,
    /// Answers of targets by hundreds: `2XX` to `5XX`.
    answers: [u64; 4],
    /// Answers that the balancer gave itself, all of them 5XX.
    refused: u64,
    time: Option<Times>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Times {
    sum: f64,
    count: f64,
    minimum: f64,
    maximum: f64,
}

impl Traffic {
    /// A target answered.
    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        if let Some(class) = usize::from(status.as_u16() / 100).checked_sub(2).filter(|class| *class < 4) {
            counts.answers[class] += 1;
        }
        let took = took.as_secs_f64();
        let time = counts.time.get_or_insert(Times { sum: 0.0, count: 0.0, minimum: took, maximum: took });
        time.sum += took;
        time.count += 1.0;
        time.minimum = time.minimum.min(took);
        time.maximum = time.maximum.max(took);
    }

    /// The balancer answered, because no target did.
    pub(super) fn refused(&self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        counts.refused += 1;
    }

    pub(super) fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The names that metrics of one group carry.
pub(super) struct Labels {
    pub(super) load_balancer: String,
    pub(super) target_group: String,
}

impl Labels {
    /// ELB publishes by load balancer, and by target group within one.
    fn dimensions(&self) -> [Vec<(&'static str, String)>; 2] {
        let balancer = ("LoadBalancer", self.load_balancer.clone());
        [vec![balancer.clone()], vec![("TargetGroup", self.target_group.clone()), balancer]]
    }
}

/// What the counts say as metrics. Nothing is published of what did not happen.
pub(super) fn of_traffic(counts: &Counts, labels: &Labels, now_ms: u64) -> Vec<Datum> {
    const CLASSES: [&str; 4] = [
        "HTTPCode_Target_2XX_Count",
        "HTTPCode_Target_3XX_Count",
        "HTTPCode_Target_4XX_Count",
        "HTTPCode_Target_5XX_Count",
    ];
    let classes = CLASSES.into_iter().zip(counts.answers);
    let numbers = [("RequestCount", counts.requests), ("HTTPCode_ELB_5XX_Count", counts.refused)];
    let mut data = Vec::new();
    for dimensions in labels.dimensions() {
        for (name, number) in numbers.into_iter().chain(classes.clone()).filter(|(_, number)| *number > 0) {
            let sum = number as f64;
            let times = Times { sum, count: sum, minimum: 1.0, maximum: 1.0 };
            data.push(datum(name, "Count", dimensions.clone(), times, now_ms));
        }
        if let Some(times) = counts.time {
            data.push(datum("TargetResponseTime", "Seconds", dimensions, times, now_ms));
        }
    }
    data
}

/// How many targets are healthy and unhealthy now.
pub(super) fn of_health(healthy: usize, unhealthy: usize, labels: &Labels, now_ms: u64) -> Vec<Datum> {
    let [_, dimensions] = labels.dimensions();
    let one = |name, number: usize| {
        let sum = number as f64;
        datum(name, "Count", dimensions.clone(), Times { sum, count: 1.0, minimum: sum, maximum: sum }, now_ms)
    };
    vec![one("HealthyHostCount", healthy), one("UnHealthyHostCount", unhealthy)]
}

fn datum(
    name: &'static str,
    unit: &'static str,
    dimensions: Vec<(&'static str, String)>,
    times: Times,
    now_ms: u64,
) -> Datum {
    let Times { sum, count, minimum, maximum } = times;
    let at_ms = now_ms / MINUTE_MS * MINUTE_MS;
    Datum { namespace: "AWS/ApplicationELB", name, dimensions, unit, at_ms, sum, count, minimum, maximum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_metrics_once_by_balancer_and_once_by_group() {
        let traffic = Traffic::default();
        traffic.answered(StatusCode::OK, Duration::from_millis(10));
        traffic.answered(StatusCode::NOT_FOUND, Duration::from_millis(30));
        traffic.refused();
        let labels = Labels { load_balancer: "app/weir/1".to_owned(), target_group: "targetgroup/weir/2".to_owned() };
        let data = of_traffic(&traffic.take(), &labels, 90_000);
        let by_group = |datum: &&Datum| datum.dimensions.len() == 2;
        let shown: Vec<_> = data.iter().filter(by_group).map(|it| (it.name, it.sum, it.at_ms)).collect();
        assert_eq!(
            shown,
            [
                ("RequestCount", 3.0, 60_000),
                ("HTTPCode_ELB_5XX_Count", 1.0, 60_000),
                ("HTTPCode_Target_2XX_Count", 1.0, 60_000),
                ("HTTPCode_Target_4XX_Count", 1.0, 60_000),
                ("TargetResponseTime", 0.04, 60_000),
            ]
        );
        assert_eq!(data.len(), 10);
        assert!(of_traffic(&traffic.take(), &labels, 90_000).is_empty());
    }
}
