//! What CloudWatch knows: minutes that are finished and published, of producers and consumers whoever wrote them.

use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, Statistic},
};
use jiff::{SignedDuration, Timestamp};

use super::{Reading, Source};
use crate::{
    Settings,
    limits::{METRIC_AGE_MAX, METRIC_DELAY, METRIC_PERIOD},
    units::{BytesPerSecond, Fraction, Millis, RecordsPerSecond},
};

/// The newest minute that is finished and published, as far as each metric has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Minute {
    pub(super) incoming_records: Option<Reading<RecordsPerSecond>>,
    pub(super) incoming_bytes: Option<Reading<BytesPerSecond>>,
    pub(super) throttled_records: Option<Reading<RecordsPerSecond>>,
    pub(super) lag: Option<Reading<Millis>>,
    pub(super) producer_cpu: Option<Reading<Fraction>>,
    pub(super) consumer_cpu: Option<Reading<Fraction>>,
}

/// Reads a minute once, however often it is asked for.
pub(super) struct Metrics {
    client: Client,
    queries: Vec<MetricDataQuery>,
    last: Option<(Timestamp, Minute)>,
}

/// A metric, as a query names it.
struct Wanted<'a> {
    id: &'a str,
    namespace: &'a str,
    name: &'a str,
    statistic: Statistic,
    dimensions: Vec<(&'a str, &'a str)>,
}

impl Metrics {
    pub(super) fn new(client: Client, settings: &Settings) -> Self {
        Self { client, queries: wanted(settings).iter().map(Wanted::query).collect(), last: None }
    }

    /// The newest published minute, from memory when it was read less than a minute ago.
    pub(super) async fn read(&mut self, now: Timestamp) -> Result<Minute, aws_sdk_cloudwatch::Error> {
        let period = SignedDuration::from_secs(METRIC_PERIOD.as_secs().cast_signed());
        if let Some((at, minute)) = &self.last
            && now.duration_since(*at) < period
        {
            return Ok(minute.clone());
        }
        let finished = now.as_second() - METRIC_DELAY.as_secs().cast_signed();
        let end = finished - finished.rem_euclid(METRIC_PERIOD.as_secs().cast_signed());
        let answer = self
            .client
            .get_metric_data()
            .set_metric_data_queries(Some(self.queries.clone()))
            .start_time(DateTime::from_secs(end - METRIC_AGE_MAX.as_secs().cast_signed()))
            .end_time(DateTime::from_secs(end))
            .send()
            .await?;
        let minute = minute(answer.metric_data_results());
        self.last = Some((now, minute.clone()));
        Ok(minute)
    }
}

fn wanted(settings: &Settings) -> Vec<Wanted<'_>> {
    let Settings { stream, cluster, producer_service, consumer_service, .. } = settings;
    let kinesis = |id, name, statistic| Wanted {
        id,
        namespace: "AWS/Kinesis",
        name,
        statistic,
        dimensions: vec![("StreamName", stream)],
    };
    let cpu = |id, service| Wanted {
        id,
        namespace: "AWS/ECS",
        name: "CPUUtilization",
        statistic: Statistic::Average,
        dimensions: vec![("ClusterName", cluster), ("ServiceName", service)],
    };
    vec![
        kinesis("incoming_records", "IncomingRecords", Statistic::Sum),
        kinesis("incoming_bytes", "IncomingBytes", Statistic::Sum),
        kinesis("throttled_records", "WriteProvisionedThroughputExceeded", Statistic::Sum),
        kinesis("lag", "GetRecords.IteratorAgeMilliseconds", Statistic::Maximum),
        cpu("producer_cpu", producer_service),
        cpu("consumer_cpu", consumer_service),
    ]
}

impl Wanted<'_> {
    fn query(&self) -> MetricDataQuery {
        let dimensions =
            self.dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(*value).build());
        let metric = Metric::builder()
            .namespace(self.namespace)
            .metric_name(self.name)
            .set_dimensions(Some(dimensions.collect()))
            .build();
        let period = i32::try_from(METRIC_PERIOD.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder().metric(metric).period(period).stat(self.statistic.as_str()).build();
        MetricDataQuery::builder().id(self.id).metric_stat(stat).build()
    }
}

fn minute(results: &[MetricDataResult]) -> Minute {
    let newest = |id: &str| {
        let result = results.iter().find(|result| result.id() == Some(id))?;
        let points = result.timestamps().iter().zip(result.values());
        let (at, value) = points.max_by_key(|(at, _)| at.secs())?;
        let at = Timestamp::from_second(at.secs()).ok()?;
        (value.is_finite() && *value >= 0.0).then_some((at, *value))
    };
    let seconds = METRIC_PERIOD.as_secs_f64();
    let cpu = |id| newest(id).map(|(at, percent)| reading(at, Fraction(percent / 100.0)));
    Minute {
        incoming_records: newest("incoming_records").map(|(at, sum)| reading(at, RecordsPerSecond(sum / seconds))),
        incoming_bytes: newest("incoming_bytes").map(|(at, sum)| reading(at, BytesPerSecond(sum / seconds))),
        throttled_records: newest("throttled_records").map(|(at, sum)| reading(at, RecordsPerSecond(sum / seconds))),
        lag: newest("lag").map(|(at, age)| reading(at, Millis(age as u64))),
        producer_cpu: cpu("producer_cpu"),
        consumer_cpu: cpu("consumer_cpu"),
    }
}

fn reading<T>(at: Timestamp, value: T) -> Reading<T> {
    Reading { value, at, source: Source::CloudWatch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(id: &str, points: &[(i64, f64)]) -> MetricDataResult {
        let (times, values): (Vec<_>, Vec<_>) =
            points.iter().map(|(at, value)| (DateTime::from_secs(*at), *value)).unzip();
        MetricDataResult::builder().id(id).set_timestamps(Some(times)).set_values(Some(values)).build()
    }

    #[test]
    fn the_newest_point_counts_in_whatever_order_they_come_and_sums_become_rates() {
        let minute = minute(&[series("incoming_records", &[(120, 60.0), (180, 600.0), (60, 6.0)])]);
        let rate = minute.incoming_records.unwrap();
        assert_eq!((rate.value, rate.at.as_second()), (RecordsPerSecond(10.0), 180));
    }

    #[test]
    fn no_point_is_no_reading_and_neither_is_a_number_that_no_metric_can_have() {
        let minute = minute(&[
            series("incoming_bytes", &[]),
            series("lag", &[(60, f64::NAN)]),
            series("producer_cpu", &[(60, -1.0)]),
        ]);
        assert!(minute.incoming_bytes.is_none() && minute.lag.is_none() && minute.producer_cpu.is_none());
        assert!(minute.throttled_records.is_none());
    }
}
