//! A stream's past as CloudWatch has it.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy},
};
use controlplane::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    simulate::{Demand, Skew},
};
use jiff::{SignedDuration, Timestamp};

use super::load::Load;
use crate::{
    clock,
    failure::Failure,
    target::{Global, Target},
};

/// CloudWatch keeps one-minute data this long (Amazon CloudWatch, metrics retention).
const MINUTES_KEPT: Duration = Duration::from_secs(15 * 86_400);
/// And five-minute data this long.
const FIVE_MINUTES_KEPT: Duration = Duration::from_secs(63 * 86_400);

/// Most points of one answer (GetMetricData).
const POINTS_MAX: i32 = 100_800;

/// Most pages of an answer: 63 days in 100,800 points a page need far fewer.
const PAGES_MAX: usize = 50;

/// How many attempts clients are taken to make for each record that the shards refuse.
const ATTEMPTS: f64 = 1.5;

const METRICS: [(&str, &str); 3] =
    [("bytes", "IncomingBytes"), ("records", "IncomingRecords"), ("refused", "WriteProvisionedThroughputExceeded")];

/// Sums of one period.
#[derive(Debug, Clone, Copy, Default)]
struct Period {
    bytes: Option<f64>,
    records: Option<f64>,
    refused: f64,
}

/// The past of a stream as a load, with the size of its records and its shards.
pub(super) async fn read(global: &Global, stream: &str, since: Duration) -> Result<Load> {
    let target = Target::resolve(global).await?;
    let period = if since <= MINUTES_KEPT { 60 } else { 300 };
    if since > FIVE_MINUTES_KEPT {
        return Err(Failure::usage("CloudWatch keeps five-minute data for 63 days: use a shorter --since").into());
    }
    let end = clock::now();
    let start = end - SignedDuration::try_from(since).unwrap_or_default();
    let start = Timestamp::from_second(start.as_second().div_euclid(period) * period)?;
    let count = (end.as_second() - start.as_second()) / period;
    let periods = periods(&Client::new(&target.sdk), stream, start, period, count).await?;
    let (bytes, records) = totals(&periods);
    let shards = open_shards(&target, stream).await;
    if bytes <= 0.0 {
        return Err(nothing(stream, start, shards.as_ref().err()).into());
    }
    let record_bytes = bytes / records.max(1.0);
    let demand = demand(&periods, start, period);
    let name = format!("{stream} since {start}");
    let scale = format!("as it was: records of {record_bytes:.0} bytes");
    Ok(Load { name, demand, skew: Skew::default(), scale, record_bytes: Some(record_bytes), shards: shards.ok() })
}

async fn periods(client: &Client, stream: &str, start: Timestamp, period: i64, count: i64) -> Result<Vec<Period>> {
    let mut periods = vec![Period::default(); usize::try_from(count).unwrap_or_default()];
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let answer = client
            .get_metric_data()
            .set_metric_data_queries(Some(METRICS.map(|(id, name)| query(id, name, stream, period)).to_vec()))
            .start_time(DateTime::from_secs(start.as_second()))
            .end_time(DateTime::from_secs(start.as_second() + count * period))
            .scan_by(ScanBy::TimestampAscending)
            .max_datapoints(POINTS_MAX)
            .set_next_token(token)
            .send()
            .await
            .context("cannot read the stream's metrics")?;
        for result in answer.metric_data_results() {
            for (at, sum) in result.timestamps().iter().zip(result.values()) {
                let index = usize::try_from((at.secs() - start.as_second()).div_euclid(period)).ok();
                let Some(seen) = index.and_then(|index| periods.get_mut(index)) else { continue };
                match result.id() {
                    Some("bytes") => seen.bytes = Some(*sum),
                    Some("records") => seen.records = Some(*sum),
                    _ => seen.refused = *sum,
                }
            }
        }
        token = answer.next_token().map(ToOwned::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(periods)
}

fn query(id: &str, name: &str, stream: &str, period: i64) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace("AWS/Kinesis")
        .metric_name(name)
        .dimensions(Dimension::builder().name("StreamName").value(stream).build())
        .build();
    let stat = MetricStat::builder().metric(metric).period(period as i32).stat("Sum").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn totals(periods: &[Period]) -> (f64, f64) {
    let sum = |of: fn(&Period) -> Option<f64>| periods.iter().filter_map(of).sum();
    (sum(|period| period.bytes), sum(|period| period.records))
}

/// What clients wanted to store: what was taken, and what was refused, less their repeated attempts. Between the first
/// and the last period with data a missing one is a period without records: Kinesis publishes no zeros.
fn demand(periods: &[Period], start: Timestamp, period: i64) -> Demand {
    let shards = |seen: &Period| {
        let (bytes, records) = (seen.bytes.unwrap_or_default(), seen.records.unwrap_or_default());
        let refused = if records > 0.0 { 1.0 + seen.refused / records / ATTEMPTS } else { 1.0 };
        (bytes / SHARD_BYTES.0).max(records / SHARD_RECORDS.0) * refused / period as f64
    };
    let first = periods.iter().position(|period| period.bytes.is_some()).unwrap_or_default();
    let last = periods.iter().rposition(|period| period.bytes.is_some()).map_or(0, |last| last + 1);
    let minutes = (period / 60).max(1) as usize;
    let shards: Vec<f64> =
        periods[first..last].iter().flat_map(|period| std::iter::repeat_n(shards(period), minutes)).collect();
    let start = start + SignedDuration::from_secs(first as i64 * period);
    Demand { start, known: vec![true; shards.len()], shards }
}

async fn open_shards(target: &Target, stream: &str) -> Result<u32, aws_sdk_kinesis::Error> {
    let kinesis = aws_sdk_kinesis::Client::new(&target.sdk);
    let answer = kinesis.describe_stream_summary().stream_name(stream).send().await?;
    let open = answer.stream_description_summary.map_or(0, |summary| summary.open_shard_count);
    Ok(u32::try_from(open).unwrap_or_default())
}

/// Why there is no past, as far as Kinesis can say.
fn nothing(stream: &str, start: Timestamp, error: Option<&aws_sdk_kinesis::Error>) -> Failure {
    match error {
        Some(aws_sdk_kinesis::Error::ResourceNotFoundException(_)) => {
            Failure::failed(format!("there is no stream {stream} here"))
                .hint("--from-stream is a stream's name; --region and --name say where it is")
        }
        _ => Failure::failed(format!("CloudWatch has no record of {stream} since {start}"))
            .hint("Kinesis publishes a minute one to three minutes later, and nothing of minutes without records"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_counts_once_and_a_silent_minute_is_idle() {
        let mib = |mib: f64, refused| Period { bytes: Some(mib * SHARD_BYTES.0), records: Some(600.0), refused };
        let periods = [Period::default(), mib(60.0, 0.0), Period::default(), mib(60.0, 900.0), Period::default()];
        let demand = demand(&periods, Timestamp::UNIX_EPOCH, 60);
        assert_eq!(demand.start.as_second(), 60);
        assert_eq!(demand.shards, [1.0, 0.0, 2.0]);
    }

    #[test]
    fn small_records_fill_a_shard_by_their_number() {
        let period = Period { bytes: Some(6e6), records: Some(120_000.0), refused: 0.0 };
        assert_eq!(demand(&[period], Timestamp::UNIX_EPOCH, 60).shards, [2.0]);
    }
}
