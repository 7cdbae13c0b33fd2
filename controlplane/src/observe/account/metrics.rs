//! CloudWatch, 500 series a call and each minute once, whichever pipelines they belong to.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat},
};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{Failed, Pace};
use crate::limits::{METRIC_AGE_MAX, METRIC_DELAY, METRIC_PERIOD, SERIES_PER_CALL};

/// A metric with its dimensions and one statistic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::observe) struct Series {
    pub(in crate::observe) namespace: &'static str,
    pub(in crate::observe) name: &'static str,
    /// As CloudWatch names it, for example `Sum`.
    pub(in crate::observe) statistic: &'static str,
    pub(in crate::observe) dimensions: Vec<(&'static str, String)>,
}

/// The newest finished minute of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::observe) struct Point {
    /// When the minute began.
    pub(in crate::observe) at: Timestamp,
    pub(in crate::observe) value: f64,
}

/// Reads each minute of each series once, however often it is asked for.
pub(in crate::observe) struct Metrics {
    client: Client,
    pace: Pace,
    /// Whoever asks while a minute is read waits for it.
    minute: Mutex<Minute>,
}

/// What is known of one minute.
#[derive(Default)]
struct Minute {
    /// Where it ends, in seconds since the Unix epoch.
    end: i64,
    /// Every series that was asked for in this minute or the one before; its point, once it was read.
    series: BTreeMap<Series, Known>,
    failed: Option<Failed>,
}

#[derive(Default, Clone, Copy)]
struct Known {
    is_wanted: bool,
    is_read: bool,
    point: Option<Point>,
}

impl Metrics {
    pub(super) fn new(client: Client, pace: Pace) -> Self {
        Self { client, pace, minute: Mutex::default() }
    }

    /// The newest point of each of `series`, in their order; none where CloudWatch has none of the last minutes.
    ///
    /// The first who asks in a minute reads it for all who asked in the minute before.
    pub(in crate::observe) async fn read(
        &self,
        series: &[Series],
        now: Timestamp,
    ) -> Result<Vec<Option<Point>>, Failed> {
        let mut minute = self.minute.lock().await;
        minute.turn(newest_published(now), series);
        if let Some(failed) = &minute.failed {
            return Err(failed.clone());
        }
        let unread = minute.unread();
        for chunk in unread.chunks(SERIES_PER_CALL) {
            self.pace.take().await;
            match self.fetch(chunk, minute.end).await {
                Ok(points) => minute.learn(chunk, points),
                Err(failed) => {
                    minute.failed = Some(failed.clone());
                    return Err(failed);
                }
            }
        }
        Ok(series.iter().map(|series| minute.series.get(series)?.point).collect())
    }

    async fn fetch(&self, series: &[Series], end: i64) -> Result<Vec<Option<Point>>, Failed> {
        let queries = series.iter().enumerate().map(|(place, series)| series.query(place)).collect();
        let call = self
            .client
            .get_metric_data()
            .set_metric_data_queries(Some(queries))
            .start_time(DateTime::from_secs(end - METRIC_AGE_MAX.as_secs().cast_signed()))
            .end_time(DateTime::from_secs(end));
        let mut pages = call.into_paginator().send();
        let mut points = vec![None; series.len()];
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failed::of(&aws_sdk_cloudwatch::Error::from(error)))?;
            for result in page.metric_data_results() {
                let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
                if let Some(point) = place.and_then(|place| points.get_mut(place)) {
                    *point = newest(*point, result);
                }
            }
        }
        Ok(points)
    }
}

impl Minute {
    /// Begins the minute that ends at `end`, if that is a later one, and adds what is asked for. A turn that began a moment
    /// before the minute is content with it; only a clock that was put back makes an earlier minute the newest.
    fn turn(&mut self, end: i64, asked: &[Series]) {
        let is_put_back = end < self.end - METRIC_PERIOD.as_secs().cast_signed();
        if end > self.end || is_put_back {
            self.series.retain(|_, known| std::mem::take(known).is_wanted);
            (self.end, self.failed) = (end, None);
        }
        for series in asked {
            match self.series.get_mut(series) {
                Some(known) => known.is_wanted = true,
                None => _ = self.series.insert(series.clone(), Known { is_wanted: true, ..Known::default() }),
            }
        }
    }

    fn unread(&self) -> Vec<Series> {
        self.series.iter().filter(|(_, known)| !known.is_read).map(|(series, _)| series.clone()).collect()
    }

    fn learn(&mut self, series: &[Series], points: Vec<Option<Point>>) {
        for (series, point) in series.iter().zip(points) {
            if let Some(known) = self.series.get_mut(series) {
                (known.is_read, known.point) = (true, point);
            }
        }
    }
}

/// Where the newest minute ends that is finished and published.
fn newest_published(now: Timestamp) -> i64 {
    let finished = now.as_second() - METRIC_DELAY.as_secs().cast_signed();
    finished - finished.rem_euclid(METRIC_PERIOD.as_secs().cast_signed())
}

impl Series {
    fn query(&self, place: usize) -> MetricDataQuery {
        let dimension = |(name, value): &(&str, String)| Dimension::builder().name(*name).value(value).build();
        let metric = Metric::builder()
            .namespace(self.namespace)
            .metric_name(self.name)
            .set_dimensions(Some(self.dimensions.iter().map(dimension).collect()))
            .build();
        let period = i32::try_from(METRIC_PERIOD.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder().metric(metric).period(period).stat(self.statistic).build();
        MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
    }
}

/// The newest point, in whatever order they come. A number that no metric can have is none, and hides older ones.
fn newest(known: Option<Point>, result: &MetricDataResult) -> Option<Point> {
    let points = result.timestamps().iter().zip(result.values());
    let points =
        points.filter_map(|(at, value)| Some(Point { at: Timestamp::from_second(at.secs()).ok()?, value: *value }));
    let newest = known.into_iter().chain(points).max_by_key(|point| point.at)?;
    (newest.value.is_finite() && newest.value >= 0.0).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(points: &[(i64, f64)]) -> MetricDataResult {
        let (times, values): (Vec<_>, Vec<_>) =
            points.iter().map(|(at, value)| (DateTime::from_secs(*at), *value)).unzip();
        MetricDataResult::builder().set_timestamps(Some(times)).set_values(Some(values)).build()
    }

    fn series(name: &'static str) -> Series {
        Series { namespace: "n", name, statistic: "Sum", dimensions: Vec::new() }
    }

    #[test]
    fn the_newest_point_counts_in_whatever_order_they_come() {
        let point = newest(None, &result(&[(120, 60.0), (180, 600.0), (60, 6.0)])).unwrap();
        assert_eq!((point.at.as_second(), point.value), (180, 600.0));
    }

    #[test]
    fn no_point_is_none_and_neither_is_a_number_that_no_metric_can_have() {
        for points in [&[][..], &[(60, f64::NAN)], &[(60, -1.0)], &[(60, f64::INFINITY)]] {
            assert_eq!(newest(None, &result(points)), None, "{points:?}");
        }
    }

    #[test]
    fn the_minute_under_way_and_the_one_that_is_still_being_published_are_not_read() {
        let at = |second| newest_published(Timestamp::from_second(second).unwrap());
        assert_eq!((at(600), at(659), at(660)), (540, 540, 600));
    }

    #[test]
    fn a_series_is_read_again_each_minute_until_nobody_asks_for_it() {
        let mut minute = Minute::default();
        minute.turn(60, &[series("a"), series("b")]);
        assert_eq!(minute.unread().len(), 2);
        minute.learn(&[series("a"), series("b")], vec![None, None]);
        minute.turn(60, &[series("a")]);
        assert_eq!(minute.unread().len(), 0, "a minute is read once");
        minute.turn(120, &[series("a")]);
        assert_eq!(minute.unread().len(), 2, "whoever asked in the last minute will ask again");
        minute.turn(180, &[series("a")]);
        assert_eq!(minute.unread(), [series("a")], "nobody asked for b");
    }

    #[test]
    fn a_turn_that_began_before_the_minute_does_not_have_it_read_again_unless_the_clock_was_put_back() {
        let mut minute = Minute::default();
        minute.turn(7_200, &[series("a")]);
        minute.learn(&[series("a")], vec![None]);
        minute.turn(7_140, &[series("a")]);
        assert_eq!((minute.end, minute.unread().len()), (7_200, 0), "a slow turn");
        minute.turn(3_600, &[series("a")]);
        assert_eq!((minute.end, minute.unread().len()), (3_600, 1), "an hour back");
    }
}
