//! What CloudWatch knows: minutes that are finished and published, of producers and consumers whoever wrote them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Reading, ShardLoad, Source,
    account::{Account, Failed, Point, Series},
    stream::Stream,
};
use crate::{
    limits::METRIC_PERIOD,
    policy::PipelineSpec,
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

/// The shard-level metrics from which a shard's load follows.
const SHARD_LEVEL: [&str; 3] = ["IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"];

impl Minute {
    pub(super) async fn read(account: &Account, spec: &PipelineSpec, now: Timestamp) -> Result<Self, Failed> {
        let (producer, consumer) =
            (cpu(spec, spec.producer_service.as_ref()), cpu(spec, spec.consumer_service.as_ref()));
        let fan_out = spec.application.as_ref().map(|application| fan_out_lag(&spec.stream, application));
        let mut series: Vec<_> =
            SHARD_LEVEL.iter().map(|name| kinesis(name, "Sum", vec![("StreamName", spec.stream.clone())])).collect();
        series.push(kinesis(
            "GetRecords.IteratorAgeMilliseconds",
            "Maximum",
            vec![("StreamName", spec.stream.clone())],
        ));
        let named = series.len();
        series.extend([&fan_out, &producer, &consumer].into_iter().flatten().cloned());
        let points = account.metrics.read(&series, now).await?;
        let mut others = points[named..].iter().copied();
        let mut next = |is_wanted: bool| if is_wanted { others.next().flatten() } else { None };
        let (fan_out, producer, consumer) =
            (next(fan_out.is_some()), next(producer.is_some()), next(consumer.is_some()));
        Ok(Self {
            incoming_records: points[0].map(|point| point.reading(RecordsPerSecond(point.per_second()))),
            incoming_bytes: points[1].map(|point| point.reading(BytesPerSecond(point.per_second()))),
            throttled_records: points[2].map(|point| point.reading(RecordsPerSecond(point.per_second()))),
            lag: slower(points[3], fan_out).map(|point| point.reading(Millis(point.value as u64))),
            producer_cpu: producer.map(|point| point.reading(Fraction(point.value / 100.0))),
            consumer_cpu: consumer.map(|point| point.reading(Fraction(point.value / 100.0))),
        })
    }
}

/// What each shard takes, where shard-level metrics are published; empty where they are not, or not of every shard that
/// CloudWatch should know.
pub(super) async fn shards(
    account: &Account,
    name: &str,
    stream: &Stream,
    now: Timestamp,
) -> Result<BTreeMap<String, ShardLoad>, Failed> {
    if !SHARD_LEVEL.iter().all(|metric| stream.shard_metrics.contains(*metric)) {
        return Ok(BTreeMap::new());
    }
    let of_shard = |id: &String| {
        let dimensions = vec![("StreamName", name.to_owned()), ("ShardId", id.clone())];
        SHARD_LEVEL.map(|metric| kinesis(metric, "Sum", dimensions.clone()))
    };
    let series: Vec<_> = stream.open.iter().flat_map(|shard| of_shard(&shard.id)).collect();
    let points = account.metrics.read(&series, now).await?;
    let loads = stream.open.iter().zip(points.chunks(SHARD_LEVEL.len())).filter_map(|(shard, points)| {
        let [records, bytes, throttled] = *points else { return None };
        Some(ShardLoad {
            shard_id: shard.id.clone(),
            records: RecordsPerSecond(records?.per_second()),
            bytes: BytesPerSecond(bytes?.per_second()),
            // Published only in minutes in which something was refused.
            throttled: RecordsPerSecond(throttled.map_or(0.0, Point::per_second)),
            ..ShardLoad::default()
        })
    });
    Ok(loads.map(|load| (load.shard_id.clone(), load)).collect())
}

fn kinesis(name: &'static str, statistic: &'static str, dimensions: Vec<(&'static str, String)>) -> Series {
    Series { namespace: "AWS/Kinesis", name, statistic, dimensions }
}

/// The lag of consumers with fan-out, whose reads no stream-level metric counts. The KCL registers under its application's
/// name.
fn fan_out_lag(stream: &str, application: &str) -> Series {
    let dimensions = vec![("StreamName", stream.to_owned()), ("ConsumerName", application.to_owned())];
    kinesis("SubscribeToShardEvent.MillisBehindLatest", "Maximum", dimensions)
}

fn cpu(spec: &PipelineSpec, service: Option<&String>) -> Option<Series> {
    let dimensions = vec![("ClusterName", spec.cluster.clone()?), ("ServiceName", service?.clone())];
    Some(Series { namespace: "AWS/ECS", name: "CPUUtilization", statistic: "Average", dimensions })
}

fn slower(one: Option<Point>, other: Option<Point>) -> Option<Point> {
    one.into_iter().chain(other).max_by(|one, other| one.value.total_cmp(&other.value))
}

impl Point {
    /// A minute's sum as a rate.
    fn per_second(self) -> f64 {
        self.value / METRIC_PERIOD.as_secs_f64()
    }

    fn reading<T>(self, value: T) -> Reading<T> {
        Reading { value, at: self.at, source: Source::CloudWatch }
    }
}
