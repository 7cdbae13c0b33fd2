//! The best that anybody could have done, who knows the whole trace beforehand and is bound by AWS's limits.
//!
//! The question: which calls of UpdateShardCount, each to between half and double, each taking its time, at most so many
//! in a rolling 24 hours, need the fewest shard-minutes while no minute has fewer shards than it needs? Where the start
//! or the maximum makes that impossible, as little as possible is missing first, and shards are saved second.
//!
//! The limit of calls couples all times of a day, so plain dynamic programming over (minute, shards) does not see it.
//! Three steps answer the question, and say how well:
//! 1. [`priced`]: with a price for a call instead of a limit, dynamic programming is exact.
//! 2. [`dual`]: prices for the hours, raised where a day has too many calls and lowered where it has calls left. Whatever
//!    the prices are, the priced cost less the price of the allowed calls is a lower bound (Lagrangian duality).
//! 3. [`search`]: the cheapest calls that keep the limit exactly, found by extending partial plans minute by minute;
//!    those that are worse in every respect, or by the bound cannot beat the best known, are dropped. A bounded number
//!    is kept, so the result is an upper bound. It is the optimum where it meets the lower bound.

mod dual;
mod frontier;
mod limits;
mod priced;
mod search;
mod tasks;

pub use frontier::{Point, frontier};
pub use limits::Limits;
pub use tasks::{TaskLimits, TaskOptimum, tasks};

use limits::Grid;

/// The best known plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// Open shards in each minute.
    pub shards: Vec<u32>,
    /// The minute of each call and where it goes.
    pub calls: Vec<(usize, u32)>,
    /// Sum of `shards`.
    pub shard_minutes: u64,
    /// Shards that are missing, summed over the minutes; zero where nothing is refused.
    pub missing: u64,
    /// No plan with as little missing has fewer shard-minutes than this.
    pub at_least: f64,
}

impl Optimum {
    #[must_use]
    pub fn shard_hours(&self) -> f64 {
        self.shard_minutes as f64 / 60.0
    }
}

/// The fewest shards that each minute needs: its demand in shards with some headroom (1.0 is none), at least one.
#[must_use]
pub fn needs(demand: &[f64], headroom: f64) -> Vec<u32> {
    // What rounding adds to a demand of exactly n shards does not need another one.
    demand.iter().map(|shards| ((shards * headroom - 1e-9).ceil() as u32).max(1)).collect()
}

/// The best plan for what each minute needs.
#[must_use]
pub fn optimum(needs: &[u32], limits: &Limits) -> Optimum {
    let grid = Grid::new(needs, limits);
    let mut best = dual::bound(&grid, limits);
    search::search(&grid, limits, &mut best);
    let shards = grid.counts(&best.plan);
    let shard_minutes = shards.iter().copied().map(u64::from).sum();
    let missing = shards.iter().zip(needs).map(|(open, need)| u64::from(need.saturating_sub(*open))).sum();
    let at_least = (best.at_least - grid.missing * missing as f64).max(0.0);
    let calls = best.plan.iter().map(|call| (call.minute, grid.level(call.to))).collect();
    Optimum { shards, calls, shard_minutes, missing, at_least }
}

#[cfg(test)]
mod tests;
