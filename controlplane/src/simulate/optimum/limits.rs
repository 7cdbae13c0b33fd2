//! What binds the optimum, and the grid of counts and costs on which it is computed.

use super::priced::Call;
use crate::limits::DAILY_RESHARDS;

/// Up to this many shards every count is a step of the grid; above, steps are about a twentieth. 10,000 shards are then
/// about 170 steps.
const FINE: u32 = 64;

/// What AWS and the policy allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub min: u32,
    pub max: u32,
    /// Shards at the beginning.
    pub start: u32,
    /// Calls of UpdateShardCount in any window.
    pub calls: u32,
    /// Length of the window in minutes.
    pub window: usize,
    /// Only to multiples of a quarter of the current count, which AWS recommends.
    pub quarters: bool,
    /// Seconds from a call to its end: fixed, for each round of splits or merges, and for each single one.
    pub reshard_s: [f64; 3],
}

impl Default for Limits {
    /// AWS's quota, a stream of 1 to 16 shards that starts with two, and the simulated world's times.
    fn default() -> Self {
        Self {
            min: 1,
            max: 16,
            start: 2,
            calls: DAILY_RESHARDS,
            window: 24 * 60,
            quarters: false,
            reshard_s: [30.0, 30.0, 0.3],
        }
    }
}

impl Limits {
    /// Minutes from a call until the new shards are open; a part of a minute counts as one.
    pub(super) fn lead(&self, from: u32, to: u32) -> usize {
        let [base, round, each] = self.reshard_s;
        let (rounds, operations) = if to == from * 2 || to * 2 == from {
            (1.0, from.min(to))
        } else if (to * 4).is_multiple_of(from) {
            (2.0, 2 * from.abs_diff(to))
        } else {
            (3.0, 3 * from.abs_diff(to))
        };
        ((base + rounds * round + f64::from(operations) * each) / 60.0).ceil().max(1.0) as usize
    }

    fn allows(&self, from: u32, to: u32) -> bool {
        let step = from != to && to <= from.saturating_mul(2) && to >= from.div_ceil(2);
        step && (!self.quarters || (1..=8).any(|quarters| (from * quarters).div_ceil(4) == to))
    }

    fn levels(&self) -> Vec<u32> {
        let mut levels: Vec<u32> = (self.min.max(1)..=self.max.min(FINE)).collect();
        let mut level = FINE.max(self.min);
        while level < self.max {
            level = (level + level.div_ceil(20)).min(self.max);
            levels.push(level);
        }
        if !levels.contains(&self.start) {
            levels.push(self.start.max(1));
            levels.sort_unstable();
        }
        levels
    }
}

/// A call that the limits allow from one level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) to: usize,
    /// In minutes.
    pub(super) lead: usize,
}

/// Neighbouring levels, from the first to before the last, that calls reach in the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) lead: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Counts, steps between them, and what each costs in each minute.
pub(super) struct Grid {
    levels: Vec<u32>,
    pub(super) start: usize,
    pub(super) minutes: usize,
    /// What a missing shard costs for a minute, in shard-minutes: more than a plan without it can save.
    pub(super) missing: f64,
    steps: Vec<Vec<Step>>,
    reaches: Vec<Vec<Reach>>,
    /// By minute and level: the cost of all minutes before, in shard-minutes.
    sums: Vec<f64>,
}

impl Grid {
    pub(super) fn new(needs: &[u32], limits: &Limits) -> Self {
        let levels = limits.levels();
        let step = |from: u32, (to, level): (usize, &u32)| {
            limits.allows(from, *level).then(|| Step { to, lead: limits.lead(from, *level) })
        };
        let steps = levels.iter().map(|from| levels.iter().enumerate().filter_map(|to| step(*from, to)).collect());
        let steps: Vec<Vec<Step>> = steps.collect();
        let missing = f64::from(limits.max.max(limits.start)) * needs.len() as f64 + 1.0;
        let mut sums = vec![0.0; levels.len()];
        sums.reserve(needs.len() * levels.len());
        for (minute, need) in needs.iter().enumerate() {
            for (index, level) in levels.iter().enumerate() {
                let before = sums[minute * levels.len() + index];
                sums.push(before + f64::from(*level) + missing * f64::from(need.saturating_sub(*level)));
            }
        }
        let start = levels.iter().position(|level| *level == limits.start.max(1)).unwrap_or_default();
        let reaches = steps.iter().map(|steps| reaches(steps)).collect();
        Self { start, minutes: needs.len(), missing, steps, reaches, levels, sums }
    }

    pub(super) fn width(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn level(&self, index: usize) -> u32 {
        self.levels[index]
    }

    pub(super) fn steps(&self, from: usize) -> &[Step] {
        &self.steps[from]
    }

    /// The same as [`Self::steps`], in as few pieces as possible.
    pub(super) fn reaches(&self, from: usize) -> &[Reach] {
        &self.reaches[from]
    }

    pub(super) fn longest_lead(&self) -> usize {
        self.steps.iter().flatten().map(|step| step.lead).max().unwrap_or(1)
    }

    /// The cost of having a level from one minute to before another.
    pub(super) fn cost(&self, level: usize, from: usize, to: usize) -> f64 {
        let width = self.levels.len();
        self.sums[to.min(self.minutes) * width + level] - self.sums[from * width + level]
    }

    /// Open shards by minute under a plan.
    pub(super) fn counts(&self, plan: &[Call]) -> Vec<u32> {
        let mut counts = Vec::with_capacity(self.minutes);
        let mut level = self.start;
        for call in plan {
            let done = (call.minute + self.lead(level, call.to)).min(self.minutes);
            counts.resize(done, self.levels[level]);
            level = call.to;
        }
        counts.resize(self.minutes, self.levels[level]);
        counts
    }

    fn lead(&self, from: usize, to: usize) -> usize {
        self.steps[from].iter().find(|step| step.to == to).map_or(0, |step| step.lead)
    }

    /// What a plan costs, without prices.
    pub(super) fn plan_cost(&self, plan: &[Call]) -> f64 {
        let (mut total, mut level, mut since) = (0.0, self.start, 0);
        for call in plan {
            let done = call.minute + self.lead(level, call.to);
            total += self.cost(level, since, done);
            (level, since) = (call.to, done.min(self.minutes));
        }
        total + self.cost(level, since, self.minutes)
    }
}

fn reaches(steps: &[Step]) -> Vec<Reach> {
    let mut reaches: Vec<Reach> = Vec::new();
    for Step { to, lead } in steps.iter().copied() {
        match reaches.last_mut().filter(|reach| reach.lead == lead && reach.to == to) {
            Some(reach) => reach.to += 1,
            None => reaches.push(Reach { lead, from: to, to: to + 1 }),
        }
    }
    reaches
}
