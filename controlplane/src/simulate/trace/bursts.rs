//! From minutes to seconds: load within a minute is not even.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// How much more than the minute's mean its busiest second brings: quantile and ratio.
///
/// Measured on a trace of Twitter requests with one-second resolution for the quantiles 50 %, 95 % and 99 %. The two
/// ends are assumptions: an even minute of a large stream, and a little beyond the last measured step.
pub const BURST_QUANTILES: [(f64, f64); 5] = [(0.0, 1.15), (0.5, 1.35), (0.95, 1.57), (0.99, 1.81), (1.0, 2.05)];

const SECONDS: usize = 60;

/// Expands minutes into seconds, each minute alike for the same seed whatever was expanded before.
///
/// A minute draws the ratio of its busiest second from [`BURST_QUANTILES`], and exponentially distributed weights for
/// its seconds, which are stretched so that their mean is 1 and their highest is the ratio: many seconds a little below
/// the mean, few far above it. Seconds do not depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    seed: u64,
}

impl Bursts {
    /// No second has more than this times its minute's mean.
    pub const HIGHEST: f64 = BURST_QUANTILES[BURST_QUANTILES.len() - 1].1;

    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The load of each second of a minute, in the unit of `mean`: its mean is `mean`, and none is negative.
    #[must_use]
    pub fn expand(&self, minute: usize, mean: f64) -> [f64; SECONDS] {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed.rotate_left(32) ^ minute as u64);
        let peak = ratio(random.random());
        let mut weights = [0.0; SECONDS];
        for weight in &mut weights {
            *weight = -(1.0 - random.random::<f64>()).ln();
        }
        let average = weights.iter().sum::<f64>() / SECONDS as f64;
        let highest = weights.iter().copied().fold(0.0, f64::max);
        // The lowest weight is 0, so this stays above 0 while the highest is more than `peak` times the average; in
        // the rare minute where it is not, the peak is lower than drawn.
        let stretch = ((peak - 1.0) / (highest - average)).min(1.0 / average);
        weights.map(|weight| mean * (1.0 + (weight - average) * stretch).max(0.0))
    }
}

/// The quantile function through [`BURST_QUANTILES`], straight in between.
fn ratio(quantile: f64) -> f64 {
    let after = BURST_QUANTILES.partition_point(|(known, _)| *known <= quantile).clamp(1, BURST_QUANTILES.len() - 1);
    let ((low, from), (high, to)) = (BURST_QUANTILES[after - 1], BURST_QUANTILES[after]);
    from + (to - from) * (quantile - low) / (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_keeps_its_mean_and_is_never_negative() {
        let bursts = Bursts::new(7);
        for minute in 0..5_000 {
            let seconds = bursts.expand(minute, 3.0);
            let mean = seconds.iter().sum::<f64>() / 60.0;
            assert!((mean - 3.0).abs() < 1e-9, "minute {minute} has the mean {mean}");
            assert!(seconds.iter().all(|second| *second >= 0.0));
        }
        assert_eq!(bursts.expand(1, 0.0), [0.0; 60]);
    }

    #[test]
    fn the_busiest_seconds_are_as_high_as_the_model_says() {
        let bursts = Bursts::new(1);
        let peak = |minute| bursts.expand(minute, 1.0).into_iter().fold(0.0, f64::max);
        let mut peaks: Vec<f64> = (0..20_000).map(peak).collect();
        peaks.sort_by(f64::total_cmp);
        for (quantile, ratio) in &BURST_QUANTILES[1..4] {
            let seen = peaks[(quantile * 20_000.0) as usize];
            assert!((seen - ratio).abs() < 0.03, "{quantile}: {seen} and not {ratio}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_seconds_in_any_order_and_another_gives_others() {
        let forward = [3, 4].map(|minute| Bursts::new(5).expand(minute, 1.0));
        let backward = [4, 3].map(|minute| Bursts::new(5).expand(minute, 1.0));
        assert_eq!(forward[0], backward[1]);
        assert_ne!(forward[0], forward[1]);
        assert_ne!(forward[0], Bursts::new(6).expand(3, 1.0));
    }
}
