//! Prices for calls that make the limit of calls pay: a lower bound, and a plan that keeps the limit.

use super::{
    limits::{Grid, Limits},
    priced::{Call, Prices, ToGo},
};

/// How often prices are corrected. On two weeks of the traces more raise the bound by less than a thousandth.
const ROUNDS: usize = 50;

/// After a round without a higher bound the next steps are shorter by this factor.
const SHORTER: f64 = 0.8;

/// Prices of a call, in shard-minutes, that are tried for all times alike. With the last one calls are made against
/// missing shards only.
const UNIFORM_PRICES: [f64; 8] = [10.0, 30.0, 60.0, 120.0, 240.0, 600.0, 2_400.0, 1e6];

/// Prices change by the hour: a 24th of the window.
const HOURS_PER_WINDOW: usize = 24;

/// A lower bound with the prices that prove it, and the best plan met on the way.
pub(super) struct Bound {
    /// No plan that keeps the limit costs less.
    pub(super) at_least: f64,
    pub(super) prices: Prices,
    pub(super) to_go: ToGo,
    /// What the allowed calls would cost at these prices.
    pub(super) refund: f64,
    pub(super) plan: Vec<Call>,
    pub(super) cost: f64,
}

/// The windows of the day's limit that the prices stand for: one begins with each hour. Windows that begin within an hour
/// are left to the search; fewer limits make the bound lower, never wrong.
struct Windows {
    hour: usize,
    hours: usize,
    /// A price for each window.
    prices: Vec<f64>,
}

impl Windows {
    fn new(minutes: usize, limits: &Limits) -> Self {
        let hour = (limits.window / HOURS_PER_WINDOW).max(1);
        let hours = minutes.div_ceil(hour).max(1);
        Self { hour, hours, prices: vec![0.0; hours] }
    }

    /// Whole hours in a window.
    fn span(&self, limits: &Limits) -> usize {
        (limits.window / self.hour).max(1)
    }

    /// A call costs what all windows that it lies in cost.
    fn call_prices(&self, limits: &Limits) -> Prices {
        let span = self.span(limits);
        let at = |hour: usize| self.prices[(hour + 1).saturating_sub(span)..=hour].iter().sum();
        Prices::new(self.hour, (0..self.hours).map(at).collect())
    }

    /// Calls beyond the limit in each window; negative where some are left.
    fn excess(&self, plan: &[Call], limits: &Limits) -> Vec<f64> {
        let mut by_hour = vec![0.0; self.hours];
        plan.iter().for_each(|call| by_hour[call.minute / self.hour] += 1.0);
        let span = self.span(limits);
        let window = |first: usize| by_hour[first..(first + span).min(self.hours)].iter().sum::<f64>();
        (0..self.hours).map(|first| window(first) - f64::from(limits.calls)).collect()
    }

    fn refund(&self, limits: &Limits) -> f64 {
        self.prices.iter().sum::<f64>() * f64::from(limits.calls)
    }

    /// Moves each price along its window's excess, so far that the bound would rise by `rise` if it rose evenly (Polyak's
    /// step). Prices that are zero and would fall take no part.
    fn correct(&mut self, excess: &[f64], rise: f64) {
        let moving = |(price, excess): (&f64, &f64)| *price > 0.0 || *excess > 0.0;
        let norm: f64 =
            self.prices.iter().zip(excess).filter(|pair| moving(*pair)).map(|(_, excess)| excess * excess).sum();
        for (price, excess) in self.prices.iter_mut().zip(excess) {
            *price = (*price + rise / norm.max(1.0) * excess).max(0.0);
        }
    }
}

impl Bound {
    /// Takes the better bound and the better plan of the two.
    fn take(&mut self, other: Self) {
        if other.cost < self.cost {
            (self.cost, self.plan) = (other.cost, other.plan.clone());
        }
        if other.at_least > self.at_least {
            *self = Self { plan: std::mem::take(&mut self.plan), cost: self.cost, ..other };
        }
    }
}

/// Whether a plan keeps the limit in every window, also those that begin within an hour.
pub(super) fn keeps(plan: &[Call], limits: &Limits) -> bool {
    let calls = limits.calls as usize;
    plan.len() <= calls
        || plan.windows(calls + 1).all(|calls| calls[calls.len() - 1].minute - calls[0].minute >= limits.window)
}

pub(super) fn bound(grid: &Grid, limits: &Limits) -> Bound {
    let mut windows = Windows::new(grid.minutes, limits);
    let mut best = at(grid, limits, &windows);
    if best.cost.is_finite() {
        return best;
    }
    (best.plan, best.cost) = (Vec::new(), grid.plan_cost(&[]));
    start(grid, limits, &mut windows, &mut best);
    let (mut step, mut highest) = (1.0, f64::NEG_INFINITY);
    for _ in 0..ROUNDS {
        let tried = at(grid, limits, &windows);
        let excess = windows.excess(&tried.plan, limits);
        let at_least = tried.at_least;
        best.take(tried);
        let gap = best.cost - at_least;
        if at_least > highest {
            highest = at_least;
        } else {
            step *= SHORTER;
        }
        windows.correct(&excess, step * gap);
    }
    best
}

/// The bound of some prices, with their cheapest plan whether or not it keeps the limit; its cost is infinite if not.
fn at(grid: &Grid, limits: &Limits, windows: &Windows) -> Bound {
    let prices = windows.call_prices(limits);
    let to_go = ToGo::new(grid, &prices);
    let refund = windows.refund(limits);
    let plan = to_go.plan(grid, &prices);
    let cost = if keeps(&plan, limits) { grid.plan_cost(&plan) } else { f64::INFINITY };
    Bound { at_least: to_go.at(0, grid.start) - refund, prices, to_go, refund, plan, cost }
}

/// Begins with the price, the same at all times, that gives the highest bound. Of the others comes a first plan that keeps
/// the limit.
fn start(grid: &Grid, limits: &Limits, windows: &mut Windows, best: &mut Bound) {
    let (span, mut highest, mut chosen) = (windows.span(limits) as f64, best.at_least, 0.0);
    for price in UNIFORM_PRICES {
        windows.prices.fill(price / span);
        let tried = at(grid, limits, windows);
        let kept = tried.cost.is_finite();
        if tried.at_least > highest {
            (highest, chosen) = (tried.at_least, price);
        }
        best.take(tried);
        if kept {
            break;
        }
    }
    windows.prices.fill(chosen / span);
}
