//! The cheapest plan that keeps the limit of calls exactly: partial plans, extended minute by minute.

use super::{
    dual::Bound,
    limits::{Grid, Limits},
    priced::Call,
};

/// How much is tried.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Partial plans that are kept for one minute and count.
    kept: usize,
    /// Shard-minutes that a call may lose by the prices against the best choice of its minute and still be tried.
    regret_max: f64,
}

/// The first finds plans within three hundredths of the bound on most traces; the second takes three times as long.
const EFFORTS: [Effort; 2] = [Effort { kept: 8, regret_max: 30.0 }, Effort { kept: 8, regret_max: 300.0 }];

/// For at most a day, where there is time for it.
const THOROUGH: Effort = Effort { kept: 64, regret_max: f64::INFINITY };
const DAY: usize = 24 * 60;

/// A plan this much above the bound is good enough.
const GAP_MAX: f64 = 0.03;

/// No call: long enough ago.
const NEVER: i64 = i64::MIN;

/// A plan up to some minute.
#[derive(Debug, Clone)]
struct Partial {
    cost: f64,
    /// The same with the prices of its calls: what the bound is compared with.
    priced: f64,
    /// The minutes of the newest calls, the newest first: as many as a window allows.
    recent: Box<[i64]>,
    /// Where its last call lies in the log.
    last: Option<usize>,
}

/// All calls of all partial plans, each with the one before it.
struct Log(Vec<(Call, Option<usize>)>);

struct Search<'a> {
    effort: Effort,
    grid: &'a Grid,
    limits: &'a Limits,
    bound: &'a Bound,
    log: Log,
    /// By level: plans without a call under way.
    front: Vec<Vec<Partial>>,
    /// By minute, as far as the longest lead reaches, and by level: plans whose call ends then.
    arriving: Vec<Vec<Vec<Partial>>>,
}

/// Puts a better plan into the bound where one is found.
pub(super) fn search(grid: &Grid, limits: &Limits, bound: &mut Bound) {
    let efforts = if grid.minutes <= DAY { &[THOROUGH][..] } else { &EFFORTS[..] };
    for effort in efforts.iter().copied() {
        // What is missing costs so much that it must not make a plan look near to the bound.
        let shard_minutes = bound.cost % grid.missing;
        let gap = bound.cost - bound.at_least;
        if limits.calls == 0 || gap < 0.5 || (effort.kept < THOROUGH.kept && gap <= GAP_MAX * shard_minutes) {
            return;
        }
        let plan = Search::new(grid, limits, bound, effort).run();
        if let Some((cost, plan)) =
            plan.map(|plan| (grid.plan_cost(&plan), plan)).filter(|(cost, _)| *cost < bound.cost)
        {
            (bound.cost, bound.plan) = (cost, plan);
        }
    }
}

impl<'a> Search<'a> {
    fn new(grid: &'a Grid, limits: &'a Limits, bound: &'a Bound, effort: Effort) -> Self {
        let arriving = vec![vec![Vec::new(); grid.width()]; grid.longest_lead() + 1];
        let mut front = vec![Vec::new(); grid.width()];
        let recent = vec![NEVER; limits.calls as usize].into_boxed_slice();
        front[grid.start].push(Partial { cost: 0.0, priced: 0.0, recent, last: None });
        Self { effort, grid, limits, bound, log: Log(Vec::new()), front, arriving }
    }

    fn run(mut self) -> Option<Vec<Call>> {
        for minute in 0..=self.grid.minutes {
            for level in 0..self.grid.width() {
                self.arrive(minute, level);
                if minute < self.grid.minutes {
                    self.extend(minute, level);
                }
            }
        }
        let best = self.front.iter().flatten().min_by(|one, other| one.cost.total_cmp(&other.cost));
        best.map(|best| self.log.plan(best.last))
    }

    /// Adds the plans whose call ends now, and drops what another is better than.
    fn arrive(&mut self, minute: usize, level: usize) {
        let slot = minute % self.arriving.len();
        let oldest = minute as i64 - self.limits.window as i64;
        let front = &mut self.front[level];
        for partial in self.arriving[slot][level].drain(..) {
            if !front.iter().any(|other| other.dominates(&partial, oldest)) {
                front.retain(|other| !partial.dominates(other, oldest));
                front.push(partial);
            }
        }
        if front.len() > self.effort.kept {
            front.select_nth_unstable_by(self.effort.kept, |one, other| one.priced.total_cmp(&other.priced));
            front.truncate(self.effort.kept);
        }
    }

    fn extend(&mut self, minute: usize, level: usize) {
        let mut partials = std::mem::take(&mut self.front[level]);
        let oldest = minute as i64 - self.limits.window as i64;
        let cost = self.grid.cost(level, minute, minute + 1);
        partials.retain_mut(|partial| {
            if partial.recent[partial.recent.len() - 1] <= oldest {
                self.call(partial, minute, level);
            }
            partial.cost += cost;
            partial.priced += cost;
            !self.is_hopeless(partial.priced, minute + 1, level)
        });
        self.front[level] = partials;
    }

    /// All calls that a plan could make now and that could still lead to the best.
    fn call(&mut self, partial: &Partial, minute: usize, level: usize) {
        let grid = self.grid;
        let stay = self.bound.to_go.at(minute, level);
        for step in grid.steps(level) {
            let done = minute + step.lead;
            let cost = grid.cost(level, minute, done);
            let priced = partial.priced + self.bound.prices.at(minute) + cost;
            let regret = priced - partial.priced + self.bound.to_go.at(done, step.to) - stay;
            if regret > self.effort.regret_max || self.is_hopeless(priced, done, step.to) {
                continue;
            }
            let mut recent = partial.recent.clone();
            recent.rotate_right(1);
            recent[0] = minute as i64;
            self.log.0.push((Call { minute, to: step.to }, partial.last));
            let last = Some(self.log.0.len() - 1);
            let slot = done.min(grid.minutes) % self.arriving.len();
            self.arriving[slot][step.to].push(Partial { cost: partial.cost + cost, priced, recent, last });
        }
    }

    /// Whether the bound says that no plan with this beginning beats the best known.
    fn is_hopeless(&self, priced: f64, minute: usize, level: usize) -> bool {
        priced + self.bound.to_go.at(minute, level) - self.bound.refund >= self.bound.cost - 0.5
    }
}

impl Partial {
    /// Whether it is at least as good as another in every respect: it costs no more, and each of its calls of the
    /// running window leaves the window no later.
    fn dominates(&self, other: &Self, oldest: i64) -> bool {
        self.cost <= other.cost
            && self.recent.iter().zip(&other.recent).all(|(mine, theirs)| *mine <= (*theirs).max(oldest))
    }
}

impl Log {
    fn plan(&self, mut last: Option<usize>) -> Vec<Call> {
        let mut plan = Vec::new();
        while let Some((call, before)) = last.map(|index| self.0[index]) {
            plan.push(call);
            last = before;
        }
        plan.reverse();
        plan
    }
}
