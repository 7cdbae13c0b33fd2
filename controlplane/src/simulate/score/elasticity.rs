//! SPEC's measures of elasticity (SPEC-RG-2016-01, "Ready for Rain?"), of shards.

use super::{super::Minute, Score};

/// What rounding of a mean leaves.
const EQUAL: f64 = 1e-6;

/// The measures as the part of a score that they are. The need is in whole shards, at least one.
pub(super) fn measures(minutes: &[Minute]) -> Score {
    let need = |minute: &Minute| (minute.demand_shards - EQUAL).ceil().max(1.0);
    let mut sum = Score::default();
    for minute in minutes {
        let (need, supply) = (need(minute), minute.shards);
        sum.under_accuracy_pct += (need - supply).max(0.0) / need;
        sum.over_accuracy_pct += (supply - need).max(0.0) / need;
        sum.under_time_pct += if supply < need - EQUAL { 1.0 } else { 0.0 };
        sum.over_time_pct += if supply > need + EQUAL { 1.0 } else { 0.0 };
    }
    let (mut unstable, mut jitter) = (0.0, 0.0);
    for pair in minutes.windows(2) {
        let supply = direction(pair[1].shards - pair[0].shards);
        let needed = direction(need(&pair[1]) - need(&pair[0]));
        unstable += (supply - needed).abs().min(1.0);
        jitter += supply.abs() - needed.abs();
    }
    let length = (minutes.len() as f64).max(1.0);
    let percent = |sum: f64| 100.0 * sum / length;
    Score {
        under_accuracy_pct: percent(sum.under_accuracy_pct),
        over_accuracy_pct: percent(sum.over_accuracy_pct),
        under_time_pct: percent(sum.under_time_pct),
        over_time_pct: percent(sum.over_time_pct),
        instability_pct: 100.0 * unstable / (length - 1.0).max(1.0),
        jitter_per_hour: jitter / (length / 60.0),
        ..Score::default()
    }
}

fn direction(change: f64) -> f64 {
    if change.abs() < EQUAL { 0.0 } else { change.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortage_and_excess_count_by_how_much_and_how_long() {
        let minute = |demand_shards, shards| Minute { demand_shards, shards, ..Minute::default() };
        let score = measures(&[minute(4.0, 2.0), minute(1.5, 2.0), minute(0.2, 2.0), minute(1.0, 1.0)]);
        assert_eq!((score.under_accuracy_pct, score.over_accuracy_pct), (12.5, 25.0));
        assert_eq!((score.under_time_pct, score.over_time_pct), (25.0, 25.0));
        assert!((score.instability_pct - 100.0).abs() < 1e-9, "{score:?}");
        assert_eq!(score.jitter_per_hour, -15.0);
    }
}
