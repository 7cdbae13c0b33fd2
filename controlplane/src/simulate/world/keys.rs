//! How the load spreads over hash keys.

use std::{fmt, str::FromStr, sync::Arc};

use super::super::chance::Chance;

/// Keys of a Zipf distribution where nobody says how many: as many as devices or users of a middling service.
const ZIPF_KEYS: u32 = 10_000;

/// Which keys clients use.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Several loads added, each with an equal part of the hash keys for itself: what share of the whole each has in
    /// every minute.
    Parts(Arc<[Vec<f64>]>),
}

/// A text that says nothing about keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` says nothing about keys; write uniform, zipf=1.1 (the exponent), hot=0.2 or hot-range=0.2 (the share of the load)"
)]
pub struct UnknownSkew(String);

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf { exponent, .. } => write!(f, "zipf={exponent}"),
            Self::HotKey { share, .. } => write!(f, "hot={share}"),
            Self::HotRange { share, .. } => write!(f, "hot-range={share}"),
            Self::Parts(shares) => {
                write!(f, "{} loads with a part of the range each", shares.first().map_or(0, Vec::len))
            }
        }
    }
}

impl FromStr for Skew {
    type Err = UnknownSkew;

    /// Reads `uniform`, `zipf=EXPONENT`, `hot=SHARE` or `hot-range=SHARE`, all of them from the first minute on.
    fn from_str(text: &str) -> Result<Self, UnknownSkew> {
        let unknown = || UnknownSkew(text.to_owned());
        if text == "uniform" {
            return Ok(Self::Uniform);
        }
        let (name, number) = text.split_once('=').ok_or_else(unknown)?;
        let number: f64 = number.parse().map_err(|_| unknown())?;
        match name {
            "zipf" if (0.0..=10.0).contains(&number) => Ok(Self::Zipf { exponent: number, keys: ZIPF_KEYS }),
            "hot" if (0.0..=1.0).contains(&number) => Ok(Self::HotKey { share: number, from_minute: 0 }),
            "hot-range" if (0.0..=1.0).contains(&number) => Ok(Self::HotRange { share: number, from_minute: 0 }),
            _ => Err(unknown()),
        }
    }
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
        match &self.skew {
            Skew::HotKey { from_minute, .. } | Skew::HotRange { from_minute, .. } => minute == *from_minute,
            Skew::Parts(shares) => {
                let minute = minute as usize;
                minute > 0 && minute < shares.len() && shares[minute] != shares[minute - 1]
            }
            Skew::Uniform | Skew::Zipf { .. } => false,
        }
    }

    /// The share of the load in a range.
    pub(super) fn share(&self, low: f64, high: f64, minute: u32) -> f64 {
        let width = high - low;
        match self.skew {
            Skew::Zipf { .. } => self.up_to(high) - self.up_to(low),
            Skew::Parts(ref shares) => {
                let shares = shares.get(minute as usize).or(shares.last()).map(Vec::as_slice).unwrap_or_default();
                let parts = shares.len() as f64;
                let within = |(part, share): (usize, &f64)| {
                    let (from, to) = (part as f64 / parts, (part + 1) as f64 / parts);
                    (high.min(to) - low.max(from)).max(0.0) * parts * share
                };
                shares.iter().enumerate().map(within).sum()
            }
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
            Skew::Parts(vec![vec![0.5, 0.2, 0.3], vec![0.0, 1.0, 0.0]].into()),
        ];
        for skew in skews {
            let keys = Keys::new(skew.clone(), &mut Chance::new(1, Purpose::Keys));
            for minute in [0, 9] {
                let total: f64 =
                    (0..7).map(|part| keys.share(f64::from(part) / 7.0, f64::from(part + 1) / 7.0, minute)).sum();
                assert!((total - 1.0).abs() < 1e-9, "{skew:?} {total}");
            }
        }
    }

    #[test]
    fn each_of_several_loads_has_a_part_of_the_keys_for_itself() {
        let skew = Skew::Parts(vec![vec![0.25, 0.75], vec![0.25, 0.75], vec![1.0, 0.0]].into());
        let keys = Keys::new(skew, &mut Chance::new(1, Purpose::Keys));
        assert_eq!((keys.share(0.0, 0.5, 1), keys.share(0.25, 0.75, 1)), (0.25, 0.5));
        assert_eq!((keys.share(0.0, 0.5, 2), keys.share(0.5, 1.0, 99)), (1.0, 0.0), "the last minute lasts");
        assert_eq!([0, 1, 2, 3].map(|minute| keys.changes_at(minute)), [false, false, true, false]);
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Skew>();
        assert_eq!(read("uniform"), Ok(Skew::Uniform));
        assert_eq!(read("zipf=1.2"), Ok(Skew::Zipf { exponent: 1.2, keys: ZIPF_KEYS }));
        assert_eq!(read("hot=0.3"), Ok(Skew::HotKey { share: 0.3, from_minute: 0 }));
        for wrong in ["", "zipf", "zipf=x", "zipf=-1", "hot=2", "hot=NaN", "cold=0.1"] {
            assert!(read(wrong).expect_err("not keys").to_string().contains("hot=0.2"), "{wrong}");
        }
    }
}
