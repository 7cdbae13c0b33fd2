//! What a put leaves in the stream's metrics.

use crate::kinesis::{
    engine::{
        metering::{Metric, sample},
        stream::Stream,
    },
    moment::Moment,
};

/// What became of the records of one call.
pub(super) struct Tally {
    pub(super) total: u64,
    pub(super) stored: u64,
    /// Of the stored ones.
    pub(super) bytes: u64,
}

/// The metrics of one of the two operations.
pub(super) struct PutMetrics {
    bytes: Metric,
    latency: Metric,
    success: Metric,
    /// Total, successful, failed and throttled records: `PutRecords` only.
    records: Option<[Metric; 4]>,
}

pub(super) const PUT_RECORD: PutMetrics = PutMetrics {
    bytes: Metric::PutRecordBytes,
    latency: Metric::PutRecordLatency,
    success: Metric::PutRecordSuccess,
    records: None,
};

pub(super) const PUT_RECORDS: PutMetrics = PutMetrics {
    bytes: Metric::PutRecordsBytes,
    latency: Metric::PutRecordsLatency,
    success: Metric::PutRecordsSuccess,
    records: Some([
        Metric::PutRecordsTotal,
        Metric::PutRecordsSuccessful,
        Metric::PutRecordsFailed,
        Metric::PutRecordsThrottled,
    ]),
};

/// Counts one call.
pub(super) fn count(stream: &mut Stream, metrics: &PutMetrics, tally: &Tally, began: Moment, now: Moment) {
    let refused = tally.total - tally.stored;
    let meter = &mut stream.meter;
    meter.add(Metric::WriteProvisionedThroughputExceeded, sample(refused), now);
    meter.add(metrics.success, if tally.stored > 0 { 1.0 } else { 0.0 }, now);
    meter.add(metrics.latency, now.since(began).as_secs_f64() * 1000.0, now);
    if let Some(records) = metrics.records {
        for (metric, value) in records.into_iter().zip([tally.total, tally.stored, refused, refused]) {
            meter.add(metric, sample(value), now);
        }
    }
    if tally.stored > 0 {
        meter.add(Metric::IncomingBytes, sample(tally.bytes), now);
        meter.add(Metric::IncomingRecords, sample(tally.stored), now);
        meter.add(metrics.bytes, sample(tally.bytes), now);
    }
}
