//! When records are due. Pure: the elapsed time comes in.

use std::time::Duration;

/// An open-loop schedule: what is due depends on the time alone and not on how fast the last record was taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Schedule {
    /// Everything at once: as fast as it is taken.
    Immediate,
    /// A constant rate, for some time or for ever.
    Constant { per_second: f64, length: Option<Duration> },
    /// A trace: the records that are due at the end of each period.
    Trace(Vec<Point>),
}

/// How many records are due in all when this much time has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: Duration,
    pub(crate) total: f64,
}

impl Schedule {
    /// How many records should have been sent after `elapsed`.
    pub(crate) fn due(&self, elapsed: Duration) -> u64 {
        match self {
            Self::Immediate => u64::MAX,
            Self::Constant { per_second, length } => {
                let counted = length.map_or(elapsed, |length| elapsed.min(length));
                (per_second * counted.as_secs_f64()) as u64
            }
            Self::Trace(points) => interpolate(points, elapsed) as u64,
        }
    }

    /// True when nothing becomes due any more.
    pub(crate) fn is_over(&self, elapsed: Duration) -> bool {
        match self {
            Self::Immediate => true,
            Self::Constant { length, .. } => length.is_some_and(|length| elapsed >= length),
            Self::Trace(points) => points.last().is_none_or(|last| elapsed >= last.at),
        }
    }
}

/// The total at `elapsed`: within a period records are due evenly.
fn interpolate(points: &[Point], elapsed: Duration) -> f64 {
    let next = points.partition_point(|point| point.at <= elapsed);
    let before = next.checked_sub(1).map_or(Point { at: Duration::ZERO, total: 0.0 }, |index| points[index]);
    let Some(after) = points.get(next) else { return before.total };
    let share = (elapsed - before.at).as_secs_f64() / (after.at - before.at).as_secs_f64();
    before.total + (after.total - before.total) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_constant_rate_is_due_evenly_and_ends() {
        let schedule = Schedule::Constant { per_second: 100.0, length: Some(3 * SECOND) };
        assert_eq!(schedule.due(SECOND / 2), 50);
        assert_eq!(schedule.due(9 * SECOND), 300);
        assert!(!schedule.is_over(SECOND) && schedule.is_over(3 * SECOND));
    }

    #[test]
    fn a_trace_is_due_evenly_within_each_period() {
        let schedule = Schedule::Trace(vec![
            Point { at: SECOND, total: 10.0 },
            Point { at: 2 * SECOND, total: 10.0 },
            Point { at: 3 * SECOND, total: 110.0 },
        ]);
        assert_eq!(schedule.due(Duration::ZERO), 0);
        assert_eq!(schedule.due(SECOND / 2), 5);
        assert_eq!(schedule.due(2 * SECOND), 10);
        assert_eq!(schedule.due(2 * SECOND + SECOND / 4), 35);
        assert_eq!(schedule.due(60 * SECOND), 110);
        assert!(schedule.is_over(3 * SECOND));
    }
}
