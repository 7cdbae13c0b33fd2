//! How amazon-kinesis-scaling-utils makes one direction of four series.
//!
//! Source: awslabs/amazon-kinesis-scaling-utils, tags V.9.6.0 and v.9.8.0,
//! `auto/StreamMonitor.java` (`processCloudwatchMetrics`). For PUT and GET each, by bytes and records each, minutes above
//! the upper threshold are counted as high and those below the lower as low. No minute at all counts as low for the whole
//! time, and every minute that is missing as one more. The series with the higher average votes.

/// Where the stream should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    Up,
    Down,
    None,
}

/// How PUT's and GET's votes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matrix {
    /// Up if either says so, nothing if both say nothing, down in every other case.
    V960,
    /// Up if either says so, down if both say so, else nothing.
    V980,
}

/// `scaleUp` and `scaleDown` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Thresholds {
    pub(super) up: f64,
    pub(super) up_minutes: usize,
    pub(super) down: f64,
    pub(super) down_minutes: usize,
}

impl Thresholds {
    /// Minutes that are asked of CloudWatch.
    pub(super) fn window(&self) -> usize {
        self.up_minutes.max(self.down_minutes)
    }

    /// The vote of one operation: bytes and records as shares of what the shards take, the oldest first.
    pub(super) fn vote(&self, bytes: &[f64], records: &[f64]) -> Vote {
        let voter = if average(bytes) >= average(records) { bytes } else { records };
        let high = voter.iter().filter(|usage| **usage > self.up).count();
        let low = voter.iter().filter(|usage| **usage < self.down).count();
        let missing = self.window().saturating_sub(voter.len());
        let nothing = if voter.is_empty() { self.down_minutes } else { 0 };
        if high >= self.up_minutes {
            Vote::Up
        } else if low + missing + nothing >= self.down_minutes {
            Vote::Down
        } else {
            Vote::None
        }
    }
}

/// Each minute counts as much as all before it together.
fn average(usages: &[f64]) -> f64 {
    usages
        .iter()
        .copied()
        .reduce(|average, usage| if average == 0.0 { usage } else { f64::midpoint(average, usage) })
        .unwrap_or_default()
}

impl Matrix {
    pub(super) fn combine(self, put: Vote, get: Vote) -> Vote {
        let either = |vote| put == vote || get == vote;
        let waits = match self {
            Self::V960 => put == Vote::None && get == Vote::None,
            Self::V980 => either(Vote::None),
        };
        if either(Vote::Up) {
            Vote::Up
        } else if waits {
            Vote::None
        } else {
            Vote::Down
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Thresholds = Thresholds { up: 0.75, up_minutes: 1, down: 0.25, down_minutes: 1 };
    const README: Thresholds = Thresholds { up: 0.75, up_minutes: 5, down: 0.25, down_minutes: 15 };

    #[test]
    fn a_minute_votes_by_its_busier_series() {
        for (bytes, records, vote) in [
            (0.8, 0.1, Vote::Up),
            (0.1, 0.8, Vote::Up),
            (0.75, 0.1, Vote::None),
            (0.5, 0.1, Vote::None),
            (0.2, 0.1, Vote::Down),
        ] {
            assert_eq!(SAMPLE.vote(&[bytes], &[records]), vote, "{bytes} {records}");
        }
    }

    #[test]
    fn missing_minutes_vote_down() {
        assert_eq!(SAMPLE.vote(&[], &[]), Vote::Down);
        assert_eq!(README.vote(&[0.5; 14], &[0.1; 14]), Vote::None);
        assert_eq!(README.vote(&[0.2; 10], &[0.1; 10]), Vote::Down, "five of fifteen are missing");
        assert_eq!(README.vote(&[0.8; 4], &[0.1; 4]), Vote::None, "eleven missing are not fifteen");
    }

    #[test]
    fn the_shipped_matrix_goes_down_where_the_later_one_waits() {
        use Vote::{Down, None, Up};
        for (put, get, shipped, later) in [
            (None, Down, Down, None),
            (Down, None, Down, None),
            (Down, Down, Down, Down),
            (Up, Down, Up, Up),
            (None, Up, Up, Up),
            (None, None, None, None),
        ] {
            assert_eq!(
                (Matrix::V960.combine(put, get), Matrix::V980.combine(put, get)),
                (shipped, later),
                "{put:?} {get:?}"
            );
        }
    }
}
