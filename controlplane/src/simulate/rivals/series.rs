//! CloudWatch's series as alarms and scalers see them.

use jiff::Timestamp;

use super::super::{MetricMinute, Metrics};
use crate::limits::{SHARD_BYTES, SHARD_RECORDS};

/// The newest published minute is looked for this far back. Without any, there is no data.
const NEWEST_MAX: usize = 15;

/// The last `count` minutes up to the newest that is published, the newest first; empty without a newest.
pub(super) fn newest_first(
    metrics: &Metrics,
    now: Timestamp,
    count: usize,
) -> impl Iterator<Item = Option<&MetricMinute>> {
    let unpublished = metrics.window(now, NEWEST_MAX).rev().take_while(Option::is_none).count();
    let known = unpublished < NEWEST_MAX;
    let count = if known { count } else { 0 };
    metrics.window(now, count + unpublished).rev().skip(unpublished).take(count)
}

/// Use of the shards in a minute, by bytes or records, whichever is more.
pub(super) fn usage(minute: &MetricMinute, shards: u32) -> f64 {
    let seconds = 60.0 * f64::from(shards.max(1));
    (minute.incoming_bytes / SHARD_BYTES.0).max(minute.incoming_records / SHARD_RECORDS.0) / seconds
}

/// Use in periods of `period` minutes, the newest first. `FILL(m, 0)`: what is missing counts as zero. A period that the
/// run has not had yet is none, and alarms need all of theirs.
pub(super) fn periods_filled_with_zero(
    metrics: &Metrics,
    now: Timestamp,
    shards: u32,
    (count, period): (usize, usize),
) -> impl Iterator<Item = f64> {
    let mut minutes = newest_first(metrics, now, count * period);
    let next = move || {
        let mut sum = MetricMinute::default();
        for _ in 0..period {
            if let Some(minute) = minutes.next()? {
                sum.incoming_bytes += minute.incoming_bytes;
                sum.incoming_records += minute.incoming_records;
            }
        }
        Some(usage(&sum, shards) / period as f64)
    };
    std::iter::from_fn(next)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::published, *};

    #[test]
    fn a_window_ends_at_the_newest_published_minute() {
        let (metrics, now) = published(&[Some(0.1), Some(0.2), None, Some(0.4)], 2);
        let seen: Vec<_> = newest_first(&metrics, now, 3).map(|minute| minute.map(|minute| usage(minute, 1))).collect();
        assert_eq!(seen.len(), 3);
        assert!(seen[0].is_some_and(|use_| (use_ - 0.4).abs() < 1e-9) && seen[1].is_none());
    }

    #[test]
    fn without_a_new_minute_there_is_no_data() {
        let (metrics, now) = published(&[Some(0.1)], 20);
        assert_eq!(newest_first(&metrics, now, 3).count(), 0);
    }

    #[test]
    fn periods_take_what_is_missing_for_zero_and_need_all_of_their_minutes() {
        let (metrics, now) = published(&[Some(0.9), Some(0.3), None, Some(0.4), Some(0.8)], 1);
        let seen: Vec<f64> = periods_filled_with_zero(&metrics, now, 1, (3, 2)).collect();
        assert_eq!(seen.len(), 2, "the first minute makes no period of two: {seen:?}");
        assert!((seen[0] - 0.6).abs() < 1e-9 && (seen[1] - 0.15).abs() < 1e-9, "{seen:?}");
    }
}
