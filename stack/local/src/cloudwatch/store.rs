//! Every metric's samples, in buckets of a minute and, for high-resolution metrics, of a second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::samples::Samples;

/// How long one-minute data is kept, as on AWS (user guide, metrics retention).
const MINUTES_KEPT_S: u64 = 15 * 24 * 3_600;

/// How long data of less than a minute is kept, as on AWS (user guide, metrics retention).
const SECONDS_KEPT_S: u64 = 3 * 3_600;

/// Which metric: a namespace, a name, and dimensions in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct MetricId {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Vec<(String, String)>,
}

impl MetricId {
    pub(super) fn new(namespace: String, name: String, mut dimensions: Vec<(String, String)>) -> Self {
        dimensions.sort();
        Self { namespace, name, dimensions }
    }
}

struct Bucket {
    samples: Samples,
    /// When it is published, in milliseconds since the Unix epoch.
    visible_at_ms: u64,
}

/// One metric's samples.
pub(super) struct Metric {
    pub(super) unit: String,
    pub(super) last_put_ms: u64,
    /// By the second at which the minute begins.
    minutes: BTreeMap<u64, Bucket>,
    seconds: BTreeMap<u64, Bucket>,
}

/// When something is put into the store and when it may be seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication {
    pub(super) now_ms: u64,
    pub(super) visible_at_ms: u64,
}

impl Metric {
    /// Every period that begins in `from_s..until_s`, has samples and is published at `now_ms`.
    pub(super) fn periods(&self, period_s: u64, from_s: u64, until_s: u64, now_ms: u64) -> BTreeMap<u64, Samples> {
        let buckets = if period_s < 60 { &self.seconds } else { &self.minutes };
        let mut periods: BTreeMap<u64, Samples> = BTreeMap::new();
        for (at, bucket) in buckets.range(from_s..until_s.max(from_s)) {
            if bucket.visible_at_ms <= now_ms {
                periods
                    .entry(at / period_s * period_s)
                    .and_modify(|samples| samples.add(&bucket.samples))
                    .or_insert_with(|| bucket.samples.clone());
            }
        }
        periods
    }

    pub(super) fn is_published(&self, now_ms: u64) -> bool {
        self.minutes.values().any(|bucket| bucket.visible_at_ms <= now_ms)
    }

    fn forget_before(&mut self, now_s: u64) {
        for (buckets, kept) in [(&mut self.minutes, MINUTES_KEPT_S), (&mut self.seconds, SECONDS_KEPT_S)] {
            while buckets.first_key_value().is_some_and(|(at, _)| at + kept < now_s) {
                buckets.pop_first();
            }
        }
    }
}

fn put(buckets: &mut BTreeMap<u64, Bucket>, at_s: u64, samples: &Samples, publication: Publication) {
    let Publication { now_ms, visible_at_ms } = publication;
    match buckets.get_mut(&at_s) {
        Some(bucket) => {
            bucket.samples.add(samples);
            // A period is published whole; what comes later still does not hide what was published already.
            if bucket.visible_at_ms > now_ms {
                bucket.visible_at_ms = visible_at_ms;
            }
        }
        None => drop(buckets.insert(at_s, Bucket { samples: samples.clone(), visible_at_ms })),
    }
}

/// All metrics.
pub(super) struct Store {
    metrics: BTreeMap<MetricId, Metric>,
    metrics_max: usize,
}

impl Store {
    pub(super) fn new(metrics_max: usize) -> Self {
        Self { metrics: BTreeMap::new(), metrics_max }
    }

    /// Adds samples. With too many metrics, the one that nobody fed for longest is forgotten.
    pub(super) fn put(&mut self, id: MetricId, unit: &str, sample: &Sample, publication: Publication) {
        if !self.metrics.contains_key(&id) && self.metrics.len() >= self.metrics_max {
            let stalest = self.metrics.iter().min_by_key(|(_, metric)| metric.last_put_ms).map(|(id, _)| id.clone());
            stalest.map(|id| self.metrics.remove(&id));
        }
        let metric = self.metrics.entry(id).or_insert_with(|| Metric {
            unit: unit.to_owned(),
            last_put_ms: 0,
            minutes: BTreeMap::new(),
            seconds: BTreeMap::new(),
        });
        metric.last_put_ms = publication.now_ms;
        put(&mut metric.minutes, sample.at_s / 60 * 60, &sample.samples, publication);
        if sample.is_high_resolution {
            put(&mut metric.seconds, sample.at_s, &sample.samples, publication);
        }
        metric.forget_before(publication.now_ms / 1_000);
    }

    pub(super) fn get(&self, id: &MetricId) -> Option<&Metric> {
        self.metrics.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&MetricId, &Metric)> {
        self.metrics.iter()
    }
}

/// Samples and when they were taken.
pub(super) struct Sample {
    /// Seconds since the Unix epoch.
    pub(super) at_s: u64,
    pub(super) samples: Samples,
    pub(super) is_high_resolution: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::samples::Statistic;

    fn id(name: &str) -> MetricId {
        MetricId::new(
            "N".to_owned(),
            name.to_owned(),
            vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        )
    }

    fn sample(at_s: u64, value: f64) -> Sample {
        Sample { at_s, samples: Samples::of(value, 1.0), is_high_resolution: false }
    }

    fn at(now_s: u64, delay_s: u64) -> Publication {
        Publication { now_ms: now_s * 1_000, visible_at_ms: (now_s + delay_s) * 1_000 }
    }

    fn sums(store: &Store, period_s: u64, now_s: u64) -> Vec<(u64, f64)> {
        let periods = store.get(&id("m")).unwrap().periods(period_s, 0, u64::MAX, now_s * 1_000);
        periods.iter().map(|(at, samples)| (*at, samples.statistic(Statistic::Sum).unwrap())).collect()
    }

    #[test]
    fn minutes_join_into_longer_periods_and_gaps_stay_gaps() {
        let mut store = Store::new(10);
        for (at_s, value) in [(0, 1.0), (59, 2.0), (60, 4.0), (301, 8.0)] {
            store.put(id("m"), "None", &sample(at_s, value), at(400, 0));
        }
        assert_eq!(sums(&store, 60, 400), [(0, 3.0), (60, 4.0), (300, 8.0)]);
        assert_eq!(sums(&store, 300, 400), [(0, 7.0), (300, 8.0)]);
        assert!(sums(&store, 10, 400).is_empty(), "nothing was put with high resolution");
    }

    #[test]
    fn a_period_is_published_once_it_is_whole_and_never_hidden_again() {
        let mut store = Store::new(10);
        store.put(id("m"), "None", &sample(0, 1.0), at(10, 60));
        store.put(id("m"), "None", &sample(0, 1.0), at(59, 60));
        assert!(sums(&store, 60, 80).is_empty());
        assert_eq!(sums(&store, 60, 119), [(0, 2.0)]);
        store.put(id("m"), "None", &sample(0, 1.0), at(200, 60));
        assert_eq!(sums(&store, 60, 200), [(0, 3.0)]);
    }

    #[test]
    fn old_minutes_and_the_stalest_metric_are_forgotten() {
        let mut store = Store::new(2);
        store.put(id("m"), "None", &sample(0, 1.0), at(0, 0));
        store.put(id("m"), "None", &sample(MINUTES_KEPT_S + 1, 2.0), at(MINUTES_KEPT_S + 1, 0));
        assert_eq!(sums(&store, 60, MINUTES_KEPT_S + 1).len(), 1);
        store.put(id("other"), "None", &sample(0, 1.0), at(MINUTES_KEPT_S + 2, 0));
        store.put(id("third"), "None", &sample(0, 1.0), at(MINUTES_KEPT_S + 3, 0));
        assert!(store.get(&id("m")).is_none() && store.iter().count() == 2);
    }
}
