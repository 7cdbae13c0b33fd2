//! Counts that never change: what a person would have set who knew the load.

use super::rival::Rival;
use crate::simulate::trace::PEAK_QUANTILE;

/// How full a person who sizes for the peak lets the shards and tasks become.
const PEAK_USE: f64 = 0.75;

/// Shards that a consumer task and a producer task work for, rounded to what both do in the simulated world's defaults.
const SHARDS_PER_CONSUMER: f64 = 2.0;
const SHARDS_PER_PRODUCER: f64 = 8.0;

/// Fixed counts for some load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) shards: u32,
    producers: u32,
    consumers: u32,
}

impl Fixed {
    pub(super) fn mean(demand: &[f64]) -> Self {
        Self::of(demand.iter().sum::<f64>() / demand.len().max(1) as f64)
    }

    /// For the minute that sets a trace's scale, at [`PEAK_USE`].
    pub(super) fn peak(demand: &[f64]) -> Self {
        let mut sorted = demand.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (PEAK_QUANTILE * sorted.len() as f64).ceil() as usize;
        Self::of(sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default() / PEAK_USE)
    }

    fn of(demand: f64) -> Self {
        let whole = |count: f64| (count.ceil() as u32).max(1);
        Self {
            shards: whole(demand),
            producers: whole(demand / SHARDS_PER_PRODUCER),
            consumers: whole(demand / SHARDS_PER_CONSUMER),
        }
    }

    pub(super) fn rival(self, name: &'static str) -> Rival {
        Rival::new(name).begin_with(self.shards).begin_with_tasks(self.producers, self.consumers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_carry_the_mean_or_the_peak_with_a_quarter_free() {
        let demand = [0.5, 1.0, 9.0, 1.5];
        assert_eq!(Fixed::mean(&demand), Fixed { shards: 3, producers: 1, consumers: 2 });
        assert_eq!(Fixed::peak(&demand), Fixed { shards: 12, producers: 2, consumers: 6 });
    }
}
