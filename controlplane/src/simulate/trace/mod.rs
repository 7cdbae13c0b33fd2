//! Load over time: from a CSV file to the demand that a stream meets, minute by minute and second by second.
//!
//! Pure: text comes in, whoever reads the file names it. A minute that the file does not tell of is missing, never
//! zero; only [`Trace::demand`] fills it, by a stated [`Gaps`] policy, and still says which minutes were known.

mod add;
mod bursts;
mod read;
mod resample;
mod scale;
mod synthetic;

pub use add::{Added, add};
pub use bursts::{BURST_QUANTILES, Bursts};
pub use read::TraceError;
pub use scale::{PEAK_QUANTILE, Scale, ScaleError};
pub use synthetic::{Shape, UnknownShape};

use jiff::Timestamp;

/// Records per minute over time. Minute 0 begins at `start`, which is the first row's time and not a full minute of the
/// clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    pub start: Timestamp,
    /// Records of each minute; `None` where the file says nothing.
    pub records: Vec<Option<f64>>,
}

/// What the clients want to write, in shards: 1.0 is as much as one shard takes in a minute of even load.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    pub start: Timestamp,
    pub shards: Vec<f64>,
    /// Whether the trace told of the minute; if not, its demand is [`Gaps`]' guess.
    pub known: Vec<bool>,
}

/// What the demand was while nobody wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// A straight line between the known minutes around the gap: it adds neither a step nor idle time that nobody saw.
    #[default]
    Bridge,
    /// No demand, for files that leave idle times out.
    Zero,
}

impl Trace {
    /// Reads a trace: `time,value` rows of any regular period, rows of single events, or one count a line.
    ///
    /// Times are `2014-04-01 00:00:00` (UTC), RFC 3339, or seconds since 1970. A value that is empty, `-`, `null` or
    /// `NaN` is missing. Rows that come irregularly and on average more than once a minute are events: each is one
    /// record and further columns are not read. Other rows hold for a period, which is the median step between rows;
    /// where the next row is later than one and a half periods, what follows the period is missing.
    ///
    /// # Errors
    /// With the line, what is wrong with it and what to do.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        resample::minutes(&read::rows(text)?)
    }

    /// The demand at a scale, with its gaps filled.
    #[must_use]
    pub fn demand(&self, scale: Scale, gaps: Gaps) -> Demand {
        let unit = scale.records_per_shard_minute(&self.records);
        let filled = match gaps {
            Gaps::Bridge => bridged(&self.records),
            Gaps::Zero => self.records.iter().map(|records| records.unwrap_or_default()).collect(),
        };
        Demand {
            start: self.start,
            shards: filled.into_iter().map(|records| records / unit).collect(),
            known: self.records.iter().map(Option::is_some).collect(),
        }
    }
}

/// Fills gaps with straight lines; there is a known minute at both ends of a trace that was read.
fn bridged(records: &[Option<f64>]) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::with_capacity(records.len());
    for (minute, records) in records.iter().enumerate() {
        let Some(value) = *records else { continue };
        let gap = minute - filled.len();
        let before = filled.last().copied().unwrap_or(value);
        filled.extend((1..=gap).map(|step| before + (value - before) * step as f64 / (gap + 1) as f64));
        filled.push(value);
    }
    let last = filled.last().copied().unwrap_or_default();
    filled.resize(records.len(), last);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_MINUTES: &str = "timestamp,value\n2014-04-10 00:00:00,50\n2014-04-10 00:05:00,100\n\
                                2014-04-10 00:15:00,200\n2014-04-10 00:20:00,200\n";

    #[test]
    fn a_period_is_spread_over_its_minutes_and_a_hole_stays_missing() {
        let trace = Trace::parse(FIVE_MINUTES).expect("a trace");
        assert_eq!(trace.start.to_string(), "2014-04-10T00:00:00Z");
        assert_eq!(trace.records.len(), 25);
        assert_eq!(trace.records[..5], [Some(10.0); 5]);
        assert_eq!(trace.records[5..10], [Some(20.0); 5]);
        assert_eq!(trace.records[10..15], [None; 5], "nobody wrote these minutes down");
        assert_eq!(trace.records[15..], [Some(40.0); 10]);
    }

    #[test]
    fn a_gap_is_bridged_or_idle_as_its_policy_says() {
        let trace = Trace { start: Timestamp::UNIX_EPOCH, records: vec![Some(60.0), None, None, Some(120.0)] };
        let unit = Scale::Records { bytes_per_record: 1.0 };
        let shards = |gaps| trace.demand(unit, gaps).shards.iter().map(|shards| shards * 60_000.0).collect::<Vec<_>>();
        for (bridged, wanted) in shards(Gaps::Bridge).into_iter().zip([60.0, 80.0, 100.0, 120.0]) {
            assert!((bridged - wanted).abs() < 1e-9);
        }
        assert_eq!(shards(Gaps::Zero), [60.0, 0.0, 0.0, 120.0]);
        assert_eq!(trace.demand(unit, Gaps::Zero).known, [true, false, false, true]);
    }

    #[test]
    fn the_peak_minute_needs_as_many_shards_as_the_scale_says() {
        let records = (1..=10_000).map(|minute| Some(f64::from(minute))).collect();
        let trace = Trace { start: Timestamp::UNIX_EPOCH, records };
        let demand = trace.demand("peak=12shards".parse().expect("a scale"), Gaps::Bridge);
        assert!((demand.shards[9_994] - 12.0).abs() < 1e-9, "the 9,995th of 10,000 minutes is the 99.95th percentile");
        assert!(demand.shards[9_999] > 12.0);
    }

    #[test]
    fn every_trace_beside_the_project_is_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("skipped: there is no {}", folder.display());
            return;
        };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.extension().is_none_or(|extension| extension != "csv") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a readable trace");
            let trace = Trace::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let known = trace.records.iter().flatten().count();
            let expected: usize = text.lines().count() - 1;
            assert!(known >= expected.min(58), "{}: {known} minutes of {expected} rows", path.display());
            let demand = trace.demand("peak=12".parse().expect("a scale"), Gaps::Bridge);
            assert!(demand.shards.iter().all(|shards| shards.is_finite() && *shards >= 0.0), "{}", path.display());
        }
    }
}
