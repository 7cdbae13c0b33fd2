//! Dynamic programming where calls have a price instead of a limit: exact, backwards over (minute, shards).

use super::limits::{Grid, Reach};

/// A call of UpdateShardCount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) minute: usize,
    /// Index of the level.
    pub(super) to: usize,
}

/// What a call costs, by the hour in which it is made; hours are as long as [`Prices::new`] says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prices {
    minutes: usize,
    hours: Vec<f64>,
}

impl Prices {
    pub(super) fn new(hour_minutes: usize, hours: Vec<f64>) -> Self {
        Self { minutes: hour_minutes, hours }
    }

    pub(super) fn at(&self, minute: usize) -> f64 {
        self.hours[minute / self.minutes]
    }
}

/// The least cost from each minute and level to the end, prices included.
pub(super) struct ToGo {
    width: usize,
    minutes: usize,
    costs: Vec<f64>,
}

impl ToGo {
    pub(super) fn new(grid: &Grid, prices: &Prices) -> Self {
        let width = grid.width();
        let mut to_go = Self { width, minutes: grid.minutes, costs: vec![0.0; (grid.minutes + 1) * width] };
        for minute in (0..grid.minutes).rev() {
            let price = prices.at(minute);
            for level in 0..width {
                let mut best = grid.cost(level, minute, minute + 1) + to_go.at(minute + 1, level);
                for Reach { lead, from, to } in grid.reaches(level) {
                    let done = (minute + lead).min(grid.minutes) * width;
                    let next = to_go.costs[done + from..done + to].iter().copied().fold(f64::INFINITY, f64::min);
                    best = best.min(price + grid.cost(level, minute, minute + lead) + next);
                }
                to_go.costs[minute * width + level] = best;
            }
        }
        to_go
    }

    pub(super) fn at(&self, minute: usize, level: usize) -> f64 {
        self.costs[minute.min(self.minutes) * self.width + level]
    }

    /// The calls of a cheapest plan.
    pub(super) fn plan(&self, grid: &Grid, prices: &Prices) -> Vec<Call> {
        let (mut plan, mut minute, mut level) = (Vec::new(), 0, grid.start);
        while minute < self.minutes {
            let mut best = (grid.cost(level, minute, minute + 1) + self.at(minute + 1, level), minute + 1, level);
            for step in grid.steps(level) {
                let done = minute + step.lead;
                let cost = prices.at(minute) + grid.cost(level, minute, done) + self.at(done, step.to);
                // Of equals the one without a call: rounding must not make calls that save nothing.
                if cost < best.0 - 1e-6 {
                    best = (cost, done, step.to);
                }
            }
            if best.2 != level {
                plan.push(Call { minute, to: best.2 });
            }
            (minute, level) = (best.1, best.2);
        }
        plan
    }
}
