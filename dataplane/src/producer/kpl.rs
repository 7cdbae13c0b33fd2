//! The KPL's metrics, under its names, so that what was built on them (dashboards, alarms, scaling policies) keeps working.
//!
//! Source: `metrics_constants.h` of awslabs/amazon-kinesis-producer, and "Monitor the Kinesis Producer Library with
//! Amazon CloudWatch" of the Kinesis developer guide. All are published for the stream; ErrorsByCode also by its code.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_cloudwatch::types::{MetricDatum, StandardUnit, StatisticSet};

use super::pipeline::Pipeline;
use crate::cloudwatch::dimension;

/// Error codes that are told apart between two publications; there are a handful.
const CODES_MAX: usize = 16;

/// A metric of the KPL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    UserRecordsReceived,
    UserRecordsPending,
    UserRecordsPut,
    UserRecordsDataPut,
    UserRecordExpired,
    UserRecordsPerKinesisRecord,
    UserRecordsPerPutRecordsRequest,
    KinesisRecordsPut,
    KinesisRecordsDataPut,
    KinesisRecordsPerPutRecordsRequest,
    AllErrors,
    RetriesPerRecord,
    BufferingTime,
    RequestTime,
}

/// Observations since the last publication.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unpublished {
    samples: BTreeMap<Metric, Sample>,
    errors_by_code: BTreeMap<Arc<str>, Sample>,
}

/// A statistic set of CloudWatch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sample {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::UserRecordsReceived => "UserRecordsReceived",
            Self::UserRecordsPending => "UserRecordsPending",
            Self::UserRecordsPut => "UserRecordsPut",
            Self::UserRecordsDataPut => "UserRecordsDataPut",
            Self::UserRecordExpired => "UserRecordExpired",
            Self::UserRecordsPerKinesisRecord => "UserRecordsPerKinesisRecord",
            Self::UserRecordsPerPutRecordsRequest => "UserRecordsPerPutRecordsRequest",
            Self::KinesisRecordsPut => "KinesisRecordsPut",
            Self::KinesisRecordsDataPut => "KinesisRecordsDataPut",
            Self::KinesisRecordsPerPutRecordsRequest => "KinesisRecordsPerPutRecordsRequest",
            Self::AllErrors => "AllErrors",
            Self::RetriesPerRecord => "RetriesPerRecord",
            Self::BufferingTime => "BufferingTime",
            Self::RequestTime => "RequestTime",
        }
    }

    fn unit(self) -> StandardUnit {
        match self {
            Self::UserRecordsDataPut | Self::KinesisRecordsDataPut => StandardUnit::Bytes,
            Self::BufferingTime | Self::RequestTime => StandardUnit::Milliseconds,
            _ => StandardUnit::Count,
        }
    }
}

impl Sample {
    /// Adds `count` observations of `value` each.
    fn add(&mut self, count: usize, value: f64) {
        self.min = if self.count == 0.0 { value } else { self.min.min(value) };
        self.max = if self.count == 0.0 { value } else { self.max.max(value) };
        self.count += count as f64;
        self.sum += count as f64 * value;
    }

    fn statistics(self) -> StatisticSet {
        let Self { count, sum, min, max } = self;
        StatisticSet::builder().sample_count(count).sum(sum).minimum(min).maximum(max).build()
    }
}

impl Unpublished {
    /// Adds `count` observations of `value` each.
    pub(crate) fn add(&mut self, metric: Metric, count: usize, value: f64) {
        if count > 0 {
            self.samples.entry(metric).or_default().add(count, value);
        }
    }

    /// Adds an error of a Kinesis record.
    pub(crate) fn add_error(&mut self, code: &Arc<str>) {
        self.add(Metric::AllErrors, 1, 1.0);
        if self.errors_by_code.len() < CODES_MAX || self.errors_by_code.contains_key(code) {
            self.errors_by_code.entry(code.clone()).or_default().add(1, 1.0);
        }
    }
}

/// The metrics since the last call.
pub(crate) fn data(pipeline: &Pipeline, stream: &str) -> Vec<MetricDatum> {
    let Unpublished { samples, errors_by_code } = pipeline.stats.figures().take_unpublished();
    let stream = dimension("StreamName", stream);
    let named = samples.into_iter().map(|(metric, sample)| {
        let datum = MetricDatum::builder().metric_name(metric.name()).unit(metric.unit()).dimensions(stream.clone());
        datum.statistic_values(sample.statistics()).build()
    });
    let by_code = errors_by_code.into_iter().map(|(code, sample)| {
        let datum = MetricDatum::builder().metric_name("ErrorsByCode").unit(StandardUnit::Count);
        let datum = datum.dimensions(stream.clone()).dimensions(dimension("ErrorCode", &code));
        datum.statistic_values(sample.statistics()).build()
    });
    named.chain(by_code).collect()
}
