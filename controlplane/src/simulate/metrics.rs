//! CloudWatch, as the simulated world publishes it: sums of whole minutes, late, and now and then never.

use jiff::{SignedDuration, Timestamp};

/// One minute of the metrics of one pipeline. Sums are over the minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MetricMinute {
    /// `IncomingBytes`, Sum: what was accepted.
    pub incoming_bytes: f64,
    /// `IncomingRecords`, Sum: Kinesis records that were accepted.
    pub incoming_records: f64,
    /// `WriteProvisionedThroughputExceeded`, Sum: Kinesis records that were refused, retries too.
    pub throttled_records: f64,
    /// `GetRecords.Bytes`, Sum; absent where nobody polls.
    pub read_bytes: Option<f64>,
    /// `GetRecords.Records`, Sum; absent where nobody polls.
    pub read_records: Option<f64>,
    /// `GetRecords.IteratorAgeMilliseconds`, Maximum; absent where nobody polls.
    pub iterator_age_ms: Option<f64>,
    /// `CPUUtilization` of the producers, Average, in percent.
    pub producer_cpu: f64,
    /// `CPUUtilization` of the consumers, Average, in percent.
    pub consumer_cpu: f64,
}

#[derive(Debug, Clone, Copy)]
struct Published {
    /// Seconds since the start; absent when it never comes.
    at_s: Option<u32>,
    minute: MetricMinute,
}

/// The series so far. Minutes are counted from the start of the run.
#[derive(Debug, Clone)]
pub struct Metrics {
    start: Timestamp,
    minutes: Vec<Published>,
}

impl Metrics {
    pub(super) fn new(start: Timestamp, minutes: usize) -> Self {
        Self { start, minutes: Vec::with_capacity(minutes) }
    }

    pub(super) fn publish(&mut self, minute: MetricMinute, at_s: Option<u32>) {
        self.minutes.push(Published { at_s, minute });
    }

    /// The last `count` whole minutes before `now`, the oldest first: nothing where CloudWatch does not have one (yet).
    pub fn window(&self, now: Timestamp, count: usize) -> impl DoubleEndedIterator<Item = Option<&MetricMinute>> {
        let passed = self.passed_s(now);
        let end = (passed / 60) as usize;
        (end.saturating_sub(count)..end).map(move |index| self.at(index, passed))
    }

    /// The newest minute that is published at `now` and no older than `age_s`, with when it began.
    #[must_use]
    pub fn newest(&self, now: Timestamp, age_s: u32) -> Option<(Timestamp, &MetricMinute)> {
        let passed = self.passed_s(now);
        let oldest = (passed.saturating_sub(age_s)).div_ceil(60) as usize;
        let end = (passed / 60) as usize;
        let index = (oldest..end).rev().find(|index| self.at(*index, passed).is_some())?;
        let began = self.start + SignedDuration::from_secs(index as i64 * 60);
        Some((began, &self.minutes.get(index)?.minute))
    }

    fn at(&self, index: usize, passed_s: u32) -> Option<&MetricMinute> {
        let published = self.minutes.get(index)?;
        published.at_s.is_some_and(|at| at <= passed_s).then_some(&published.minute)
    }

    fn passed_s(&self, now: Timestamp) -> u32 {
        u32::try_from(now.duration_since(self.start).as_secs()).unwrap_or_default()
    }
}
