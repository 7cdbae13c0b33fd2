//! Loads that no file is needed for, each the pure form of something that happens.

use std::{f64::consts::TAU, fmt, str::FromStr};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::Trace;

const DAY: usize = 24 * 60;

/// Records a minute at the quiet level.
const QUIET: f64 = 600.0;

/// The form of a synthetic trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Four times the quiet level from 09:00 to 18:00 of every day.
    Square,
    /// Twenty times the quiet level, from one minute to the next and for good, after a third of the time.
    Step,
    /// A day's tide between one and nine times the quiet level.
    Sine,
    /// A tide, and a crowd after half of the time: ten times the tide within two minutes, halved every 30 minutes.
    FlashCrowd,
    /// From the quiet level to twelve times as much, evenly.
    Ramp,
    /// Independent minutes around four times the quiet level, with heavy tails.
    Noise,
}

impl Shape {
    pub const ALL: [Self; 6] = [Self::Square, Self::Step, Self::Sine, Self::FlashCrowd, Self::Ramp, Self::Noise];

    fn name(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Step => "step",
            Self::Sine => "sine",
            Self::FlashCrowd => "flash-crowd",
            Self::Ramp => "ramp",
            Self::Noise => "noise",
        }
    }

    /// A trace of this form. Only [`Shape::Noise`] depends on the seed.
    #[must_use]
    pub fn trace(self, minutes: usize, seed: u64) -> Trace {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let level = |minute| self.level(minute, minutes, &mut random);
        let records = (0..minutes).map(level).map(|level| Some(QUIET * level)).collect();
        Trace { start: Timestamp::UNIX_EPOCH, records }
    }

    /// The load in multiples of the quiet level.
    fn level(self, minute: usize, minutes: usize, random: &mut Xoshiro256PlusPlus) -> f64 {
        let tide = 5.0 - 4.0 * (TAU * (minute % DAY) as f64 / DAY as f64).cos();
        match self {
            Self::Square => f64::from([1, 4][usize::from((9..18).contains(&(minute % DAY / 60)))]),
            Self::Step => f64::from([1, 20][usize::from(minute >= minutes / 3)]),
            Self::Sine => tide,
            Self::FlashCrowd => match minute.checked_sub(minutes / 2) {
                None => tide,
                Some(since) => tide * (1.0 + 9.0 * (since as f64 / 2.0).min(1.0) * 0.5_f64.powf(since as f64 / 30.0)),
            },
            Self::Ramp => 1.0 + 11.0 * minute as f64 / minutes as f64,
            // Log-normal by the sum of twelve: its median is 4, and one minute in a hundred has more than 12.
            Self::Noise => 4.0 * (0.5 * ((0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0)).exp(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No shape has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no synthetic trace `{0}`; there are square, step, sine, flash-crowd, ramp and noise")]
pub struct UnknownShape(String);

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(text: &str) -> Result<Self, UnknownShape> {
        Self::ALL.into_iter().find(|shape| shape.name() == text).ok_or_else(|| UnknownShape(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(shape: Shape) -> Vec<f64> {
        shape.trace(2 * DAY, 1).records.into_iter().flatten().collect()
    }

    #[test]
    fn every_shape_has_its_ratio_of_high_to_low() {
        for (shape, ratio) in [(Shape::Square, 4.0), (Shape::Step, 20.0), (Shape::Sine, 9.0), (Shape::Ramp, 12.0)] {
            let records = records(shape);
            let (low, high) = records.iter().fold((f64::MAX, 0.0_f64), |(low, high), at| (low.min(*at), high.max(*at)));
            assert!((high / low - ratio).abs() < 0.01, "{shape}: {}", high / low);
        }
    }

    #[test]
    fn a_crowd_comes_within_two_minutes_and_leaves() {
        let records = records(Shape::FlashCrowd);
        assert!(records[DAY + 2] > 9.0 * records[DAY - 1]);
        assert!(records[DAY + 6 * 60] < 1.01 * records[6 * 60]);
    }

    #[test]
    fn noise_follows_its_seed() {
        assert_eq!(Shape::Noise.trace(100, 3), Shape::Noise.trace(100, 3));
        assert_ne!(Shape::Noise.trace(100, 3), Shape::Noise.trace(100, 4));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        assert!(Shape::ALL.into_iter().all(|shape| shape.to_string().parse() == Ok(shape)));
        assert!("saw".parse::<Shape>().is_err());
    }
}
