//! How the load spreads over hash keys.

use super::super::chance::Chance;

/// Which keys clients use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Skew {
    /// Every hash key as often as any other.
    #[default]
    Uniform,
    /// Keys whose frequency falls with this power of their rank.
    Zipf { exponent: f64, keys: u32 },
    /// One key takes this share of the load from a minute on.
    HotKey { share: f64, from_minute: u32 },
    /// The keys of a narrow range, a hundredth of all, take this share of the load from a minute on.
    HotRange { share: f64, from_minute: u32 },
}

/// Where a hot key or range lies: neither in the middle of a quarter nor at its edge.
const HOT_AT: f64 = 0.401;
const HOT_WIDTH: f64 = 0.01;

/// The load's distribution over the hash keys, which are taken as numbers from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    skew: Skew,
    /// Positions of single keys and the share up to each, in order of position.
    points: Vec<(f64, f64)>,
}

impl Keys {
    pub(super) fn new(skew: Skew, chance: &mut Chance) -> Self {
        let mut points = Vec::new();
        if let Skew::Zipf { exponent, keys } = skew {
            points = (1..=keys).map(|rank| (chance.share(), f64::from(rank).powf(-exponent))).collect();
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
            let total: f64 = points.iter().map(|(_, weight)| weight).sum();
            let mut sum = 0.0;
            for (_, weight) in &mut points {
                sum += *weight / total;
                *weight = sum;
            }
        }
        Self { skew, points }
    }

    /// Whether the distribution changes with this minute.
    pub(super) fn changes_at(&self, minute: u32) -> bool {
        match self.skew {
            Skew::HotKey { from_minute, .. } | Skew::HotRange { from_minute, .. } => minute == from_minute,
            Skew::Uniform | Skew::Zipf { .. } => false,
        }
    }

    /// The share of the load in a range.
    pub(super) fn share(&self, low: f64, high: f64, minute: u32) -> f64 {
        let width = high - low;
        match self.skew {
            Skew::Zipf { .. } => self.up_to(high) - self.up_to(low),
            Skew::HotKey { share, from_minute } if minute >= from_minute => {
                let hot = if low <= HOT_AT && HOT_AT < high { share } else { 0.0 };
                hot + width * (1.0 - share)
            }
            Skew::HotRange { share, from_minute } if minute >= from_minute => {
                let covered = (high.min(HOT_AT + HOT_WIDTH) - low.max(HOT_AT)).max(0.0) / HOT_WIDTH;
                covered * share + width * (1.0 - share)
            }
            Skew::Uniform | Skew::HotKey { .. } | Skew::HotRange { .. } => width,
        }
    }

    /// The heaviest single key in a range, with its share of the whole load.
    pub(super) fn heaviest(&self, low: f64, high: f64, minute: u32) -> Option<(f64, f64)> {
        match self.skew {
            Skew::HotKey { share, from_minute } if minute >= from_minute && low <= HOT_AT && HOT_AT < high => {
                Some((HOT_AT, share))
            }
            Skew::Zipf { .. } => {
                let first = self.points.partition_point(|(at, _)| *at < low);
                let mut before = first.checked_sub(1).map_or(0.0, |index| self.points[index].1);
                let mut most: Option<(f64, f64)> = None;
                for (at, sum) in self.points[first..].iter().take_while(|(at, _)| *at < high) {
                    let share = sum - before;
                    before = *sum;
                    if most.is_none_or(|(_, known)| share > known) {
                        most = Some((*at, share));
                    }
                }
                most
            }
            _ => None,
        }
    }

    fn up_to(&self, at: f64) -> f64 {
        let count = self.points.partition_point(|(point, _)| *point < at);
        count.checked_sub(1).map_or(0.0, |index| self.points[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::chance::Purpose, *};

    #[test]
    fn every_distribution_adds_up_to_the_whole_load() {
        let skews = [
            Skew::Uniform,
            Skew::Zipf { exponent: 1.0, keys: 1000 },
            Skew::HotKey { share: 0.3, from_minute: 5 },
            Skew::HotRange { share: 0.3, from_minute: 5 },
        ];
        for skew in skews {
            let keys = Keys::new(skew, &mut Chance::new(1, Purpose::Keys));
            for minute in [0, 9] {
                let total: f64 =
                    (0..7).map(|part| keys.share(f64::from(part) / 7.0, f64::from(part + 1) / 7.0, minute)).sum();
                assert!((total - 1.0).abs() < 1e-9, "{skew:?} {total}");
            }
        }
    }
}
