//! Rows of any period into minutes.

use jiff::Timestamp;

use super::{
    Trace, TraceError,
    read::{Row, Rows},
};

const MINUTE: f64 = 60.0;

/// A minute is known when rows tell of at least this much of it.
const KNOWN_MIN: f64 = 30.0;

/// A step of more than this many periods is a gap; less is the jitter of whoever collected the rows.
const GAP_PERIODS: f64 = 1.5;

/// Steps are regular when at least half of them differ from the median by no more than this share of it.
const JITTER: f64 = 0.1;

/// The longest trace: ten years. More is a typing error in a date.
const MINUTES_MAX: usize = 10 * 366 * 24 * 60;

pub(super) fn minutes(rows: &Rows) -> Result<Trace, TraceError> {
    match rows {
        Rows::Counts(counts) => Ok(Trace { start: Timestamp::UNIX_EPOCH, records: counts.clone() }),
        Rows::Timed(rows) => timed(rows),
    }
}

fn timed(rows: &[Row]) -> Result<Trace, TraceError> {
    let median = median_step(rows)?;
    let mut minutes = Minutes::new(rows)?;
    if is_events(rows, median) {
        let first = rows.iter().map(|row| row.at).fold(f64::INFINITY, f64::min);
        let last = rows.iter().map(|row| row.at).fold(first, f64::max);
        rows.iter().for_each(|row| minutes.add(row.at, row.at, 1.0));
        minutes.cover(first, last);
    } else {
        ordered(rows)?;
        for (index, row) in rows.iter().enumerate() {
            let next = rows.get(index + 1).map(|next| next.at - row.at).filter(|step| *step < GAP_PERIODS * median);
            let end = row.at + next.unwrap_or(median);
            // Of rows with the same time the last one counts: the others last no time.
            if let Some(value) = row.value.filter(|_| end > row.at) {
                minutes.add(row.at, end, value / median * (end - row.at));
                minutes.cover(row.at, end);
            }
        }
    }
    minutes.finish(rows[0].line)
}

fn median_step(rows: &[Row]) -> Result<f64, TraceError> {
    let mut steps: Vec<_> = rows.windows(2).map(|pair| (pair[1].at - pair[0].at).abs()).collect();
    steps.retain(|step| *step > 0.0);
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().ok_or_else(|| TraceError {
        line: rows[0].line,
        problem: "all rows have the same time".to_owned(),
        remedy: "a trace needs rows at two different times at least",
    })
}

fn is_events(rows: &[Row], median: f64) -> bool {
    let regular = rows.windows(2).filter(|pair| (pair[1].at - pair[0].at - median).abs() <= JITTER * median).count();
    median < MINUTE && 2 * regular < rows.len() - 1
}

fn ordered(rows: &[Row]) -> Result<(), TraceError> {
    rows.windows(2).find(|pair| pair[1].at < pair[0].at).map_or(Ok(()), |pair| {
        Err(TraceError {
            line: pair[1].line,
            problem: format!("the time is earlier than that of line {}", pair[0].line),
            remedy: "sort the rows by time; local times that go back in autumn must be written with their offset",
        })
    })
}

/// Minutes that are being filled.
struct Minutes {
    first: f64,
    records: Vec<f64>,
    /// How many seconds of each minute are known.
    known: Vec<f64>,
}

impl Minutes {
    fn new(rows: &[Row]) -> Result<Self, TraceError> {
        let first = rows.iter().map(|row| row.at).fold(f64::INFINITY, f64::min);
        let far = |row: &&Row| (row.at - first) / MINUTE > MINUTES_MAX as f64;
        if let Some(row) = rows.iter().find(far) {
            return Err(TraceError {
                line: row.line,
                problem: "the time is more than ten years after the first".to_owned(),
                remedy: "correct the date, or cut the trace",
            });
        }
        Ok(Self { first, records: Vec::new(), known: Vec::new() })
    }

    /// Adds records that come evenly between two times, or all at once.
    fn add(&mut self, from: f64, to: f64, records: f64) {
        if to <= from {
            let minute = ((from - self.first) / MINUTE) as usize;
            self.grow(minute + 1);
            self.records[minute] += records;
        } else {
            self.spread(from, to, |minutes, minute, seconds| {
                minutes.records[minute] += records * seconds / (to - from);
            });
        }
    }

    fn cover(&mut self, from: f64, to: f64) {
        self.spread(from, to, |minutes, minute, seconds| minutes.known[minute] += seconds);
    }

    /// Calls `each` with every minute that the time touches and how many seconds of it.
    fn spread(&mut self, from: f64, to: f64, each: impl Fn(&mut Self, usize, f64)) {
        let (from, to) = (from - self.first, to - self.first);
        let mut minute = (from / MINUTE) as usize;
        while minute as f64 * MINUTE < to {
            let begin = from.max(minute as f64 * MINUTE);
            let end = to.min((minute + 1) as f64 * MINUTE);
            self.grow(minute + 1);
            each(self, minute, end - begin);
            minute += 1;
        }
    }

    fn grow(&mut self, minutes: usize) {
        if self.records.len() < minutes {
            self.records.resize(minutes, 0.0);
            self.known.resize(minutes, 0.0);
        }
    }

    fn finish(self, line: usize) -> Result<Trace, TraceError> {
        let minutes = self.records.iter().zip(&self.known);
        let known = |(records, known): (&f64, &f64)| (*known >= KNOWN_MIN).then(|| records * MINUTE / known);
        let records: Vec<_> = minutes.map(known).collect();
        let begin = records.iter().position(Option::is_some);
        let (Some(begin), Some(end)) = (begin, records.iter().rposition(Option::is_some)) else {
            return Err(TraceError {
                line,
                problem: "there is no minute with a known value".to_owned(),
                remedy: "a trace needs rows with values that last for half a minute or more",
            });
        };
        let millis = (self.first * 1e3).round() as i64 + 60_000 * begin as i64;
        let start = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MIN);
        Ok(Trace { start, records: records[begin..=end].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_the_minute_in_any_order() {
        let seconds = [0.0, 7.0, 8.0, 30.5, 61.0, 59.0, 95.0, 96.0, 180.0, 215.0];
        let lines = seconds.map(|second| format!("{},12,3", 1_700_000_000.0 + second));
        let trace = Trace::parse(&lines.join("\n")).expect("events");
        assert_eq!(
            trace.records[..3],
            [Some(5.0), Some(3.0), Some(0.0)],
            "a minute without events is idle, not missing"
        );
        let last = trace.records[3].expect("35 s are enough to tell");
        assert!((last - 2.0 * 60.0 / 35.0).abs() < 1e-9);
    }

    #[test]
    fn seconds_are_summed_and_jitter_makes_no_holes() {
        let seconds: String = (0..120).map(|second| format!("{},2\n", 1_700_000_000 + second)).collect();
        assert_eq!(Trace::parse(&seconds).expect("seconds").records, [Some(120.0); 2]);
        let jittered = "1700000000,60\n1700000055,60\n1700000125,60\n1700000180,60\n1700000240,60";
        let trace = Trace::parse(jittered).expect("minutes");
        assert!(trace.records.iter().all(|records| records.is_some_and(|value| (value - 60.0).abs() < 1e-9)));
    }

    #[test]
    fn rows_that_go_back_and_rows_of_one_time_are_refused() {
        let back = "2014-10-26 02:00:00,1\n2014-10-26 02:30:00,1\n2014-10-26 02:00:00,1\n2014-10-26 02:30:00,1";
        assert!(Trace::parse(back).expect_err("goes back").to_string().starts_with("line 3: the time is earlier"));
        assert!(Trace::parse("1700000000,1\n1700000000,1").is_err());
        assert!(Trace::parse("1700000000,1\n17000000000,1").is_err(), "a typing error in a date");
    }

    #[test]
    fn of_two_rows_with_one_time_the_later_counts() {
        let rows = "1700000000,1\n1700000060,1\n1700000060,5\n1700000120,1";
        assert_eq!(Trace::parse(rows).expect("a trace").records, [Some(1.0), Some(5.0), Some(1.0)]);
    }
}
