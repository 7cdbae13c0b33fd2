//! Chance that can be repeated: a seed and a purpose give the same numbers on every machine.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// The numbers of one purpose under a seed: what one purpose draws does not shift another's.
#[derive(Debug, Clone)]
pub(super) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32) ^ (1 << 63 | purpose as u64)))
    }

    /// From 0 to 1, 1 excluded.
    pub(super) fn share(&mut self) -> f64 {
        self.0.random()
    }

    /// Whether something of this probability happens.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// Between two numbers.
    pub(super) fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.share()
    }

    /// Between two whole numbers, both included.
    pub(super) fn whole(&mut self, [low, high]: [u32; 2]) -> u32 {
        self.0.random_range(low..=high.max(low))
    }
}

/// What numbers are drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Keys = 1,
    CloudWatch = 2,
    /// How long AWS takes.
    Delays = 3,
    /// Which calls AWS refuses or leaves unanswered.
    Answers = 4,
    /// Which reads fail.
    Reads = 5,
    /// What people change by hand.
    Hands = 6,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_a_purpose_its_own() {
        let first = |seed, purpose| Chance::new(seed, purpose).share();
        assert_eq!(first(7, Purpose::Keys), first(7, Purpose::Keys));
        assert_ne!(first(7, Purpose::Keys), first(7, Purpose::Delays));
        assert_ne!(first(7, Purpose::Keys), first(8, Purpose::Keys));
    }
}
