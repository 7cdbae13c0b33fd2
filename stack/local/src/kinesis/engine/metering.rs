//! What is measured, summed per minute in memory until the feed takes it to CloudWatch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kinesis::moment::Moment;

/// A metric of namespace `AWS/Kinesis`. The first seven exist per shard too (enhanced monitoring), under the same name
/// but for the iterator age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Metric {
    IncomingBytes,
    IncomingRecords,
    IteratorAgeMilliseconds,
    OutgoingBytes,
    OutgoingRecords,
    ReadProvisionedThroughputExceeded,
    WriteProvisionedThroughputExceeded,
    GetRecordsBytes,
    GetRecordsIteratorAge,
    GetRecordsLatency,
    GetRecordsRecords,
    GetRecordsSuccess,
    PutRecordBytes,
    PutRecordLatency,
    PutRecordSuccess,
    PutRecordsBytes,
    PutRecordsFailed,
    PutRecordsLatency,
    PutRecordsSuccess,
    PutRecordsSuccessful,
    PutRecordsThrottled,
    PutRecordsTotal,
    EventBytes,
    EventBehind,
    EventRecords,
    EventSuccess,
    SubscribeRateExceeded,
    SubscribeSuccess,
}

impl Metric {
    /// The metrics of enhanced monitoring, in the order AWS lists them.
    pub(crate) const SHARD_LEVEL: [Self; 7] = [
        Self::IncomingBytes,
        Self::IncomingRecords,
        Self::IteratorAgeMilliseconds,
        Self::OutgoingBytes,
        Self::OutgoingRecords,
        Self::ReadProvisionedThroughputExceeded,
        Self::WriteProvisionedThroughputExceeded,
    ];

    /// CloudWatch's name of the metric.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IncomingBytes => "IncomingBytes",
            Self::IncomingRecords => "IncomingRecords",
            Self::IteratorAgeMilliseconds => "IteratorAgeMilliseconds",
            Self::OutgoingBytes => "OutgoingBytes",
            Self::OutgoingRecords => "OutgoingRecords",
            Self::ReadProvisionedThroughputExceeded => "ReadProvisionedThroughputExceeded",
            Self::WriteProvisionedThroughputExceeded => "WriteProvisionedThroughputExceeded",
            Self::GetRecordsBytes => "GetRecords.Bytes",
            Self::GetRecordsIteratorAge => "GetRecords.IteratorAgeMilliseconds",
            Self::GetRecordsLatency => "GetRecords.Latency",
            Self::GetRecordsRecords => "GetRecords.Records",
            Self::GetRecordsSuccess => "GetRecords.Success",
            Self::PutRecordBytes => "PutRecord.Bytes",
            Self::PutRecordLatency => "PutRecord.Latency",
            Self::PutRecordSuccess => "PutRecord.Success",
            Self::PutRecordsBytes => "PutRecords.Bytes",
            Self::PutRecordsFailed => "PutRecords.FailedRecords",
            Self::PutRecordsLatency => "PutRecords.Latency",
            Self::PutRecordsSuccess => "PutRecords.Success",
            Self::PutRecordsSuccessful => "PutRecords.SuccessfulRecords",
            Self::PutRecordsThrottled => "PutRecords.ThrottledRecords",
            Self::PutRecordsTotal => "PutRecords.TotalRecords",
            Self::EventBytes => "SubscribeToShardEvent.Bytes",
            Self::EventBehind => "SubscribeToShardEvent.MillisBehindLatest",
            Self::EventRecords => "SubscribeToShardEvent.Records",
            Self::EventSuccess => "SubscribeToShardEvent.Success",
            Self::SubscribeRateExceeded => "SubscribeToShard.RateExceeded",
            Self::SubscribeSuccess => "SubscribeToShard.Success",
        }
    }

    /// CloudWatch's name of the unit.
    pub(crate) fn unit(self) -> &'static str {
        let name = self.name();
        if name.ends_with("Bytes") {
            "Bytes"
        } else if name.ends_with("Latency") || name.ends_with("Milliseconds") || name.ends_with("MillisBehindLatest") {
            "Milliseconds"
        } else {
            "Count"
        }
    }
}

/// The statistics of the samples of one minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) sum: f64,
    pub(crate) count: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
}

impl Statistics {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
        self.minimum = self.minimum.min(value);
        self.maximum = self.maximum.max(value);
    }
}

type Minute = BTreeMap<Metric, Statistics>;

/// The metrics of one stream, shard or consumer. What was not measured in a minute is absent, never zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    minute: Moment,
    current: Minute,
    complete: Vec<(Moment, Minute)>,
}

impl Meter {
    pub(crate) fn add(&mut self, metric: Metric, value: f64, now: Moment) {
        self.roll(now);
        self.current.entry(metric).and_modify(|statistics| statistics.add(value)).or_insert(Statistics {
            sum: value,
            count: 1.0,
            minimum: value,
            maximum: value,
        });
    }

    /// The minutes that are over, with the moment each began. They are handed out once.
    pub(crate) fn take_complete(&mut self, now: Moment) -> Vec<(Moment, Minute)> {
        self.roll(now);
        std::mem::take(&mut self.complete)
    }

    fn roll(&mut self, now: Moment) {
        let minute = now.minute();
        if minute > self.minute {
            if !self.current.is_empty() {
                self.complete.push((self.minute, std::mem::take(&mut self.current)));
            }
            self.minute = minute;
        }
    }
}

/// A count or a size as a sample.
pub(crate) fn sample(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_handed_out_once_when_it_is_over() {
        let mut meter = Meter::default();
        let minute = Moment::from_millis(1_763_865_600_000);
        meter.add(Metric::IncomingRecords, 3.0, minute);
        meter.add(Metric::IncomingRecords, 1.0, Moment::from_millis(minute.millis() + 59_999));
        assert!(meter.take_complete(Moment::from_millis(minute.millis() + 59_999)).is_empty());
        let complete = meter.take_complete(Moment::from_millis(minute.millis() + 60_000));
        let expected = Statistics { sum: 4.0, count: 2.0, minimum: 1.0, maximum: 3.0 };
        assert_eq!(complete, [(minute, Minute::from([(Metric::IncomingRecords, expected)]))]);
        assert!(meter.take_complete(Moment::from_millis(minute.millis() + 600_000)).is_empty());
    }
}
