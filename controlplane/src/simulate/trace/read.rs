//! Lines into rows.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Numbers in the first column from here on are seconds since 1970 and not counts: 2001-09-09.
const EPOCH_SECONDS_MIN: f64 = 1e9;

/// Numbers in the first column from here on are milliseconds since 1970.
const EPOCH_MILLIS_MIN: f64 = 1e12;

const TIME_REMEDY: &str =
    "write it as 2014-04-01 00:00:00, with a T and an offset, or as seconds since 1970, in the first column";
const VALUE_REMEDY: &str = "write a number of records that is not negative, or leave it empty where it is not known";

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}; {remedy}")]
pub struct TraceError {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// One line of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// Counted from 1.
    pub(super) line: usize,
    /// Seconds since 1970.
    pub(super) at: f64,
    /// Records of the period that begins then; `None` where they are not known.
    pub(super) value: Option<f64>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rows {
    /// Rows with times, at least one, which do not go back.
    Timed(Vec<Row>),
    /// One minute a line.
    Counts(Vec<Option<f64>>),
}

pub(super) fn rows(text: &str) -> Result<Rows, TraceError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.starts_with('#')).peekable();
    if lines.peek().is_some_and(|(_, line)| is_header(line)) {
        lines.next();
    }
    let lines: Vec<_> = lines.collect();
    let Some((_, first)) = lines.iter().find(|(_, line)| !line.is_empty()) else {
        return Err(TraceError {
            line: 1,
            problem: "there are no rows".to_owned(),
            remedy: "write `time,value` rows, or one count a line for each minute",
        });
    };
    if is_count(first) { counts(&lines) } else { timed(&lines) }
}

/// A first line without any number or time in its first column names the columns.
fn is_header(line: &str) -> bool {
    let first = field(line, 0).unwrap_or_default();
    !first.is_empty() && !first.starts_with(|letter: char| letter.is_ascii_digit() || "+-.".contains(letter))
}

fn is_count(line: &str) -> bool {
    field(line, 1).is_none() && line.parse().is_ok_and(|count: f64| count < EPOCH_SECONDS_MIN)
}

fn counts(lines: &[(usize, &str)]) -> Result<Rows, TraceError> {
    let last = lines.iter().rposition(|(_, line)| !line.is_empty()).unwrap_or_default();
    lines[..=last].iter().map(|(line, text)| value(*line, text)).collect::<Result<_, _>>().map(Rows::Counts)
}

fn timed(lines: &[(usize, &str)]) -> Result<Rows, TraceError> {
    let filled = lines.iter().filter(|(_, text)| !text.is_empty());
    let rows = filled.map(|(line, text)| {
        let first = field(text, 0).unwrap_or_default();
        let at = time(first).ok_or_else(|| TraceError {
            line: *line,
            problem: format!("`{first}` is no time"),
            remedy: TIME_REMEDY,
        })?;
        Ok(Row { line: *line, at, value: field(text, 1).map_or(Ok(Some(1.0)), |second| value(*line, second))? })
    });
    rows.collect::<Result<_, _>>().map(Rows::Timed)
}

fn field(line: &str, index: usize) -> Option<&str> {
    line.split(',').nth(index).map(|field| field.trim().trim_matches('"'))
}

fn value(line: usize, text: &str) -> Result<Option<f64>, TraceError> {
    if ["", "-", "null", "nan", "na"].contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
        _ => Err(TraceError { line, problem: format!("`{text}` is no count"), remedy: VALUE_REMEDY }),
    }
}

/// Seconds since 1970.
fn time(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return match number {
            millis if millis >= EPOCH_MILLIS_MIN => Some(millis / 1e3),
            seconds if seconds >= EPOCH_SECONDS_MIN => Some(seconds),
            _ => None,
        };
    }
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    Some(at.as_microsecond() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        rows(text).expect_err("not a trace").to_string()
    }

    #[test]
    fn a_wrong_line_is_named_with_its_remedy() {
        assert_eq!(
            error("time,count\n2014-04-01 00:00:00,60\nyesterday,1\n"),
            format!("line 3: `yesterday` is no time; {TIME_REMEDY}")
        );
        assert_eq!(error("time,count\n2014-04-01 00:00:00,-2\n"), format!("line 2: `-2` is no count; {VALUE_REMEDY}"));
        assert!(error("time,count\n\n").starts_with("line 1: there are no rows"));
        assert!(error("count\n3\n4,\n\nfive\n").starts_with("line 3: `4,` is no count"));
    }

    #[test]
    fn times_come_in_the_usual_notations() {
        let text = "2001-09-09 01:46:40,1\n2001-09-09T01:46:40Z,1\n2001-09-09T03:46:40+02:00,1\n1000000000,1\n\
                    1000000000000,1\n\"2001-09-09 01:46:40.0000000\",1";
        let Ok(Rows::Timed(rows)) = rows(text) else { panic!("rows with times") };
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row.at == 1e9), "{rows:?}");
    }

    #[test]
    fn a_count_a_line_is_a_minute_a_line_and_an_empty_one_is_missing() {
        assert_eq!(rows("count\n3\n\n5\n\n"), Ok(Rows::Counts(vec![Some(3.0), None, Some(5.0)])));
        assert_eq!(rows("3\n-\n5"), Ok(Rows::Counts(vec![Some(3.0), None, Some(5.0)])));
    }
}
