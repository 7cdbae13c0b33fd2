//! The last minute, second by second: what task reports are means of.

use super::super::physics::RECENT_MAX;

const SLOTS: usize = (RECENT_MAX as usize + 4).next_power_of_two();

/// Amounts of the last seconds.
#[derive(Debug, Clone)]
pub(super) struct Recent([f32; SLOTS]);

impl Default for Recent {
    fn default() -> Self {
        Self([0.0; SLOTS])
    }
}

impl Recent {
    pub(super) fn push(&mut self, second: u32, amount: f64) {
        self.0[second as usize % SLOTS] = amount as f32;
    }

    /// The mean of the `window` seconds that ended with second `end`.
    pub(super) fn mean(&self, end: u32, window: u32) -> f64 {
        let seconds = (end + 1).saturating_sub(window)..=end;
        seconds.map(|second| f64::from(self.0[second as usize % SLOTS])).sum::<f64>() / f64::from(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_the_last_seconds_only() {
        let mut recent = Recent::default();
        (0..200).for_each(|second| recent.push(second, f64::from(second)));
        assert_eq!((recent.mean(199, 10), recent.mean(150, 1)), (194.5, 150.0));
    }
}
