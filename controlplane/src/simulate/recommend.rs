//! A policy for a stated preference: settings that do well on the first two thirds of a load, told by the last third.

use std::ops::Range;

use serde::Serialize;

use super::{Comparison, Contender, Maker, Scene, Score, Summary, Terms, Weir};
use crate::{
    policy::Policy,
    units::{Fraction, Millis},
};

/// Rounds through all settings: what one finds the next may use; more rounds change nothing on the traces that were tried.
const ROUNDS: usize = 2;

/// A setting must save this share of the cost to be worth naming.
const WORTH: f64 = 0.005;

/// The share of the load that the search sees.
const SEEN: f64 = 2.0 / 3.0;

/// What throttled and late records are worth, in dollars.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Preference {
    /// For a million records that find no room at once. A record that is lost counts as a hundred of them.
    pub throttled_million: f64,
    /// For an hour in which consumers are over their lag objective.
    pub late_hour: f64,
}

/// A lost record stands for so many that were only late.
const LOST: f64 = 100.0;

impl Preference {
    /// Shard-hours matter most.
    pub const COST: Self = Self { throttled_million: 0.2, late_hour: 0.05 };
    /// A million throttled records are worth about 130 shard-hours.
    pub const BALANCED: Self = Self { throttled_million: 2.0, late_hour: 0.5 };
    /// Throttling matters most.
    pub const SAFETY: Self = Self { throttled_million: 40.0, late_hour: 10.0 };

    /// What a run cost, with what it did to the records. `millions` is how many million records there were.
    #[must_use]
    pub fn cost(&self, score: &Score, millions: f64) -> f64 {
        let share = (score.throttled_pct + score.lost_pct * LOST) / 100.0;
        score.dollars + share * millions * self.throttled_million + score.lag_minutes / 60.0 * self.late_hour
    }
}

/// A setting and the values that are tried.
struct Setting {
    set: fn(&mut Policy, f64),
    values: &'static [f64],
}

const MINUTE: f64 = 60_000.0;
const HOUR: f64 = 60.0 * MINUTE;

/// What the search may change; bounds and objectives are a person's.
const SETTINGS: [Setting; 6] = [
    Setting {
        set: |policy, value| policy.stream.target_utilization = Fraction(value),
        values: &[0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9],
    },
    Setting {
        set: |policy, value| policy.guard.shards_stabilization = Millis(value as u64),
        values: &[0.5 * HOUR, HOUR, 2.0 * HOUR, 4.0 * HOUR, 8.0 * HOUR, 16.0 * HOUR, 24.0 * HOUR],
    },
    Setting {
        set: |policy, value| policy.guard.confirm_up = Millis(value as u64),
        values: &[0.0, 15_000.0, 30_000.0, MINUTE, 3.0 * MINUTE],
    },
    Setting { set: |policy, value| policy.guard.reserved_for_up = value as u32, values: &[2.0, 3.0, 4.0, 5.0, 6.0] },
    Setting { set: |policy, value| policy.consumer.target_busy = Fraction(value), values: &[0.5, 0.6, 0.7, 0.8, 0.85] },
    Setting {
        set: |policy, value| policy.guard.tasks_stabilization = Millis(value as u64),
        values: &[5.0 * MINUTE, 10.0 * MINUTE, 20.0 * MINUTE, HOUR],
    },
];

/// The result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    pub policy: Policy,
    /// Its score on the part of the load that the search did not see.
    pub expected: Score,
    /// The score of the policy that the search began with, there.
    pub before: Score,
    /// How many policies were tried.
    pub tried: usize,
}

/// A search for a policy.
pub struct Search<'a> {
    pub scene: &'a Scene,
    pub terms: &'a Terms,
    /// Where the search begins.
    pub base: Policy,
    pub preference: Preference,
    pub seeds: u64,
    pub threads: usize,
}

impl Search<'_> {
    /// The most policies that are tried.
    #[must_use]
    pub fn most() -> usize {
        1 + ROUNDS * SETTINGS.iter().map(|setting| setting.values.len()).sum::<usize>()
    }

    /// Searches. `done` hears how many policies were tried; the answer `false` ends the search with nothing.
    pub fn run(&self, done: &(dyn Fn(usize) -> bool + Sync)) -> Option<Recommendation> {
        let minutes = self.scene.demand.shards.len() as u32;
        let known = (f64::from(minutes) * SEEN) as u32;
        let mut best = self.base.clone();
        let mut cost = self.cost(&self.scores(&[best.clone()], 0..known)?)[0];
        let mut tried = 1;
        for _ in 0..ROUNDS {
            for setting in &SETTINGS {
                let candidates = self.candidates(&best, setting);
                let costs = self.cost(&self.scores(&candidates, 0..known)?);
                tried += candidates.len();
                let least = costs.iter().zip(candidates).min_by(|(one, _), (other, _)| one.total_cmp(other));
                if let Some((least, policy)) = least.filter(|(least, _)| **least < cost * (1.0 - WORTH)) {
                    (cost, best) = (*least, policy);
                }
                if !done(tried) {
                    return None;
                }
            }
        }
        let scores = self.scores(&[best.clone(), self.base.clone()], known..minutes)?;
        Some(Recommendation { policy: best, expected: scores[0], before: scores[1], tried })
    }

    fn candidates(&self, best: &Policy, setting: &Setting) -> Vec<Policy> {
        let with = |value: &f64| {
            let mut policy = best.clone();
            (setting.set)(&mut policy, *value);
            policy
        };
        let consistent =
            |policy: &Policy| policy != best && policy.guard.reserved_for_up <= policy.guard.daily_reshards;
        setting.values.iter().map(with).filter(consistent).collect()
    }

    fn cost(&self, scores: &[Score]) -> Vec<f64> {
        let records = self.scene.demand.shards.iter().sum::<f64>() * 60.0 * self.scene.physics.user_records() * SEEN;
        scores.iter().map(|score| self.preference.cost(score, records / 1e6)).collect()
    }

    /// The median score of each policy on a part of the load.
    fn scores(&self, policies: &[Policy], part: Range<u32>) -> Option<Vec<Score>> {
        let maker = |policy: &Policy| {
            let policy = policy.clone();
            let make = move || -> Box<dyn Contender> { Box::new(Weir::new(policy.clone())) };
            Box::new(make) as Maker<'_>
        };
        let comparison = Comparison {
            scene: self.scene,
            terms: self.terms,
            contenders: policies.iter().map(maker).collect(),
            seeds: self.seeds,
            threads: self.threads,
            optimum: None,
        };
        let scores = comparison.scores(part, &|_| true)?;
        Some(scores.iter().map(|scores| Summary::of(scores).median).collect())
    }
}
