//! Traces: CSV files with a time and the number of records of the period that begins then.

use std::{fmt, time::Duration};

use jiff::civil::DateTime;

use super::schedule::{Point, Schedule};

/// Why a file is not a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceError {
    /// Counted from 1.
    line: usize,
    problem: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// Reads a trace, replayed `speed` times as fast. The first line is a header; the last period is as long as the one
/// before it. A gap in the times is a time without records.
pub(crate) fn parse(text: &str, speed: f64) -> Result<Schedule, TraceError> {
    let rows = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
    let rows: Vec<_> = rows.map(|(index, line)| row(index + 1, line)).collect::<Result<_, _>>()?;
    let Some((first, _)) = rows.first() else {
        return Err(TraceError { line: 1, problem: "there are no rows below the header".to_owned() });
    };
    let step = rows.windows(2).map(|pair| seconds(pair[0].0, pair[1].0)).filter(|step| *step > 0.0);
    let step = step.fold(f64::INFINITY, f64::min);
    if !step.is_finite() {
        return Err(TraceError { line: 2, problem: "a trace needs two rows at different times".to_owned() });
    }
    let (mut points, mut total) = (Vec::with_capacity(2 * rows.len()), 0.0);
    for (index, (at, count)) in rows.iter().enumerate() {
        let begin = seconds(*first, *at);
        if points.last().is_none_or(|last: &(f64, f64)| last.0 < begin) {
            points.push((begin, total));
        }
        let end = rows.get(index + 1).map_or(begin + step, |(next, _)| seconds(*first, *next).min(begin + step));
        total += count;
        points.push((end, total));
    }
    let scaled = points.into_iter().map(|(at, total)| Point { at: Duration::from_secs_f64(at / speed), total });
    Ok(Schedule::Trace(scaled.collect()))
}

fn row(line: usize, text: &str) -> Result<(DateTime, f64), TraceError> {
    let wrong = |problem: &str| TraceError { line, problem: format!("{problem} in `{text}`") };
    let mut fields = text.split(',').map(str::trim);
    let at = fields.next().and_then(|at| at.parse().ok()).ok_or_else(|| wrong("there is no time"))?;
    let count: f64 = fields.next().and_then(|count| count.parse().ok()).ok_or_else(|| wrong("there is no count"))?;
    if count.is_finite() && count >= 0.0 { Ok((at, count)) } else { Err(wrong("the count is no count")) }
}

/// From one time to another; times that go back count as no time.
fn seconds(from: DateTime, to: DateTime) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "time,count\n2014-04-01 00:00:00,60\n2014-04-01 00:01:00,0\n2014-04-01 00:04:00,120\n";

    #[test]
    fn a_trace_is_replayed_faster_with_every_record() {
        let schedule = parse(TRACE, 60.0).expect("a trace");
        assert_eq!(schedule.due(Duration::from_millis(500)), 30);
        assert_eq!(schedule.due(Duration::from_secs(1)), 60);
        assert_eq!(schedule.due(Duration::from_secs(4)), 60, "nothing is due in a gap");
        assert_eq!(schedule.due(Duration::from_millis(4500)), 120);
        assert_eq!(schedule.due(Duration::from_secs(9)), 180);
    }

    #[test]
    fn a_wrong_row_is_named() {
        let error = parse("time,count\n2014-04-01 00:00:00,60\nyesterday,1\n", 1.0).expect_err("no time");
        assert_eq!(error.to_string(), "line 3: there is no time in `yesterday,1`");
        assert!(parse("time,count\n", 1.0).is_err());
        assert!(parse("time,count\n2014-04-01 00:00:00,-1\n2014-04-01 00:00:01,-1\n", 1.0).is_err());
    }
}
