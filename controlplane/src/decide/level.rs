//! What a reading is worth over the last minute: what comes in bursts of seconds is no reason for another count.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::elapsed;
use crate::units::Millis;

/// Over how long readings are averaged: CloudWatch's shortest period, so that reports and metrics mean the same.
const OVER: Millis = Millis(60_000);

/// A reading that is so much more or less than those before it is no burst but another load: they say nothing about it.
const STEP: f64 = 1.25;

/// Readings of the last minute, as far as they belong together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Level {
    readings: VecDeque<(Timestamp, f64)>,
}

impl Level {
    /// Adds a reading, and answers with the mean.
    pub(super) fn note(&mut self, value: f64, now: Timestamp) -> f64 {
        self.readings.retain(|(at, _)| *at < now && elapsed(*at, now) < OVER);
        let before = self.mean().unwrap_or(value);
        if value > before * STEP || value * STEP < before {
            self.readings.clear();
        }
        self.readings.push_back((now, value));
        self.mean().unwrap_or(value)
    }

    fn mean(&self) -> Option<f64> {
        let sum: f64 = self.readings.iter().map(|(_, value)| value).sum();
        (!self.readings.is_empty()).then(|| sum / self.readings.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn means(values: &[f64]) -> Vec<f64> {
        let mut level = Level::default();
        let at = |index: usize| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(15 * index as i64);
        values.iter().enumerate().map(|(index, value)| level.note(*value, at(index))).collect()
    }

    #[test]
    fn bursts_are_averaged_over_a_minute() {
        assert_eq!(means(&[10.0, 12.0, 10.0, 12.0, 10.0, 13.0]), [10.0, 11.0, 32.0 / 3.0, 11.0, 11.0, 11.25]);
    }

    #[test]
    fn a_step_counts_at_once_in_both_directions() {
        assert_eq!(means(&[10.0, 10.0, 30.0, 32.0, 10.0]), [10.0, 10.0, 30.0, 31.0, 10.0]);
    }

    #[test]
    fn readings_of_a_clock_that_went_back_are_forgotten() {
        let mut level = Level::default();
        let at = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        level.note(10.0, at(100));
        assert_eq!(level.note(12.0, at(90)), 12.0);
    }
}
