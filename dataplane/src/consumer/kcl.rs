//! The metrics that a KCL publishes, under its names: in the namespace of the application.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{MetricDatum, StandardUnit};

use super::{counts::Count, settings::MetricsLevel, stats::Stats};
use crate::{cloudwatch::dimension, report::ConsumerReport};

/// What was published last: a KCL publishes what was added since.
#[derive(Debug, Default)]
pub(crate) struct Published {
    records: u64,
    bytes: u64,
    taken: u64,
    lost: u64,
    /// Records and bytes of each lease.
    shards: BTreeMap<String, (u64, u64)>,
}

/// The data of one minute, by operation, and by shard where the level says so.
pub(crate) fn data(
    stats: &Stats,
    report: &ConsumerReport,
    level: MetricsLevel,
    published: &mut Published,
) -> Vec<MetricDatum> {
    if level == MetricsLevel::None {
        return Vec::new();
    }
    let ((records, bytes), counts) = (stats.totals(), stats.counts());
    let (taken, lost) = (counts.get(Count::Taken), counts.get(Count::Lost));
    let now = Published { records, bytes, taken, lost, shards: stats.lease_totals() };
    let count = |name, operation, value: u64| datum(name, operation, None, StandardUnit::Count, value as f64);
    let mut data = vec![
        count("RecordsProcessed", "ProcessTask", now.records - published.records),
        datum("DataBytesProcessed", "ProcessTask", None, StandardUnit::Bytes, (now.bytes - published.bytes) as f64),
        count("CurrentLeases", "RenewAllLeases", report.leases.len() as u64),
        count("LostLeases", "RenewAllLeases", now.lost - published.lost),
        count("TakenLeases", "TakeLeases", now.taken - published.taken),
    ];
    if let Some((leases, workers)) = stats.fleet() {
        data.push(count("TotalLeases", "TakeLeases", leases));
        data.push(count("NumWorkers", "TakeLeases", workers));
    }
    let behind = |operation, shard, value: u64| {
        datum("MillisBehindLatest", operation, shard, StandardUnit::Milliseconds, value as f64)
    };
    data.extend(report.behind_ms.map(|value| behind("ApplicationTracker", None, value)));
    if level == MetricsLevel::Detailed {
        for lease in &report.leases {
            let shard = Some(lease.shard_id.as_str());
            data.extend(lease.behind_ms.map(|value| behind("ProcessTask", shard, value)));
        }
        for (shard_id, total) in &now.shards {
            let (records, bytes) = since(*total, published.shards.get(shard_id).copied());
            let shard = Some(shard_id.as_str());
            data.push(datum("RecordsProcessed", "ProcessTask", shard, StandardUnit::Count, records as f64));
            data.push(datum("DataBytesProcessed", "ProcessTask", shard, StandardUnit::Bytes, bytes as f64));
        }
    }
    *published = now;
    data
}

/// What was added to a lease's figures, which begin anew when it is taken again.
fn since(now: (u64, u64), before: Option<(u64, u64)>) -> (u64, u64) {
    match before {
        Some(before) if before.0 <= now.0 && before.1 <= now.1 => (now.0 - before.0, now.1 - before.1),
        _ => now,
    }
}

fn datum(name: &str, operation: &str, shard: Option<&str>, unit: StandardUnit, value: f64) -> MetricDatum {
    let datum = MetricDatum::builder().metric_name(name).unit(unit).value(value);
    let datum = datum.dimensions(dimension("Operation", operation));
    shard.map_or(datum.clone(), |shard| datum.dimensions(dimension("ShardId", shard))).build()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn named(data: &[MetricDatum], name: &str, shard: bool) -> Vec<f64> {
        let of = |datum: &&MetricDatum| datum.metric_name() == Some(name) && (datum.dimensions().len() == 2) == shard;
        data.iter().filter(of).filter_map(MetricDatum::value).collect()
    }

    #[test]
    fn what_was_processed_since_the_last_minute_is_published_under_the_names_of_the_kcl() {
        let (stats, now) = (Stats::new(Instant::now()), Instant::now());
        let lease = stats.add("shardId-000000000000");
        let mut published = Published::default();
        lease.note_read(Some(1500));
        stats.note_processed(5, 50, now);
        lease.note_done(5, 50, now);
        let mut data_now = |level| {
            let report = stats.report("stream", "application", now);
            data(&stats, &report, level, &mut published)
        };
        let first = data_now(MetricsLevel::Detailed);
        assert_eq!(named(&first, "RecordsProcessed", false), [5.0]);
        assert_eq!(named(&first, "MillisBehindLatest", true), [1500.0]);
        assert_eq!(named(&first, "RecordsProcessed", true), [5.0]);
        assert_eq!(named(&first, "CurrentLeases", false), [1.0]);
        lease.note_done(2, 20, now);
        assert_eq!(named(&data_now(MetricsLevel::Detailed), "DataBytesProcessed", true), [20.0]);
        let second = data_now(MetricsLevel::Summary);
        assert_eq!(named(&second, "RecordsProcessed", false), [0.0], "nothing new");
        assert!(named(&second, "MillisBehindLatest", true).is_empty(), "no shards at this level");
        assert!(data_now(MetricsLevel::None).is_empty());
    }
}
