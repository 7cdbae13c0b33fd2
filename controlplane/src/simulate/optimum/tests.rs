//! Against brute force on small worlds, and against what must hold on large ones.

use proptest::prelude::*;

use super::*;
use crate::simulate::trace::{Gaps, Shape};

/// Minutes of a small window.
const WINDOW: usize = 7;

fn small(calls: u32, quarters: bool) -> Limits {
    Limits { min: 1, max: 5, start: 2, calls, window: WINDOW, quarters, reshard_s: [10.0, 35.0, 1.0] }
}

/// Every plan there is: the least missing, then the fewest shard-minutes.
fn brute_force(needs: &[u32], limits: &Limits) -> (u64, u64) {
    fn step(
        grid: &Grid,
        needs: &[u32],
        limits: &Limits,
        plan: &mut Vec<priced::Call>,
        best: &mut (u64, u64),
        from: (usize, usize),
    ) {
        let counts = grid.counts(plan);
        let missing = counts.iter().zip(needs).map(|(open, need)| u64::from(need.saturating_sub(*open))).sum();
        *best = (*best).min((missing, counts.iter().copied().map(u64::from).sum()));
        for minute in from.0..needs.len() {
            for step_to in grid.steps(from.1) {
                plan.push(priced::Call { minute, to: step_to.to });
                if dual::keeps(plan, limits) {
                    step(grid, needs, limits, plan, best, (minute + step_to.lead, step_to.to));
                }
                plan.pop();
            }
        }
    }
    let grid = Grid::new(needs, limits);
    let mut best = (u64::MAX, u64::MAX);
    step(&grid, needs, limits, &mut Vec::new(), &mut best, (0, grid.start));
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn on_small_worlds_the_plan_is_the_best_of_all(
        needs in proptest::collection::vec(1_u32..=5, 11),
        calls in 0_u32..=3,
        quarters in any::<bool>(),
    ) {
        let limits = small(calls, quarters);
        let found = optimum(&needs, &limits);
        let (missing, shard_minutes) = brute_force(&needs, &limits);
        prop_assert_eq!((found.missing, found.shard_minutes), (missing, shard_minutes));
        prop_assert!(found.at_least <= shard_minutes as f64 + 1e-3, "{} is no bound of {}", found.at_least, shard_minutes);
    }
}

#[test]
fn on_every_kind_of_load_the_plan_keeps_the_limits_and_is_near_its_bound() {
    for shape in Shape::ALL {
        let demand = shape.trace(2 * 1_440, 3).demand("peak=12".parse().expect("a scale"), Gaps::Bridge);
        let needs = needs(&demand.shards, 1.0);
        let limits = Limits::default();
        let found = optimum(&needs, &limits);
        let calls: Vec<usize> = found.calls.iter().map(|(minute, _)| *minute).collect();
        assert!(calls.windows(11).all(|calls| calls[10] - calls[0] >= 1_440), "{shape}: {calls:?}");
        assert!(found.shards.windows(2).all(|pair| pair[1] <= 2 * pair[0] && pair[1] >= pair[0].div_ceil(2)));
        let (best, bound) = (found.shard_minutes as f64, found.at_least);
        assert!(bound <= best && best <= 1.05 * bound, "{shape}: {best} and at least {bound}");
    }
}

#[test]
fn what_the_start_makes_impossible_is_missing_and_nothing_else() {
    let limits = Limits { max: 16, start: 2, ..Limits::default() };
    let mut needs = vec![8; 100];
    needs.extend([1; 100]);
    let found = optimum(&needs, &limits);
    // 2 for two minutes, 4 for two, then 8.
    assert_eq!(found.missing, 2 * 6 + 2 * 4);
    assert_eq!(found.calls.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [4, 8, 4, 2, 1]);
}

#[test]
fn a_step_is_met_before_it_comes() {
    let mut needs = vec![2; 60];
    needs.extend([16; 60]);
    let found = optimum(&needs, &Limits::default());
    assert_eq!(found.missing, 0);
    assert_eq!(found.shards[60], 16);
    assert!(found.shards[50] <= 2, "not much earlier than three doublings take");
}

#[test]
fn large_streams_are_planned_on_a_coarser_grid() {
    let needs: Vec<u32> = (0..600_u32).map(|minute| 50 + 4 * minute.saturating_sub(4)).collect();
    let found = optimum(&needs, &Limits { max: 10_000, start: 50, ..Limits::default() });
    assert_eq!(found.missing, 0);
    assert!(found.shards.iter().max() < Some(&5_000));
}

#[test]
fn needs_are_whole_shards_and_one_at_least() {
    assert_eq!(needs(&[0.0, 0.3, 1.0, 1.01, 2.0], 1.0), [1, 1, 1, 2, 2]);
    assert_eq!(needs(&[1.0, 2.0], 1.35), [2, 3]);
}
