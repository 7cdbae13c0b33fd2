//! What a service should do next: which tasks to start, which to stop, and how its deployment goes. Pure.
//!
//! The rules are those of ECS's rolling update: the tasks that serve never fall below `minimumHealthyPercent` of the
//! desired count (rounded up), and the tasks that run or start never exceed `maximumPercent` of it (rounded down).

use std::time::Duration;

/// The circuit breaker's least threshold (ECS developer guide, "deployment circuit breaker").
const FAILURES_MIN: u32 = 3;

/// The circuit breaker's greatest threshold (same source).
const FAILURES_MAX: u32 = 200;

/// How far a task has come. The order is the order of worth: the least worthy is stopped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its target failed the load balancer's health checks.
    Unhealthy,
    /// Not running yet.
    Pending,
    /// Running, but not long enough, or not yet seen healthy by the load balancer.
    Running,
    /// Serving.
    Healthy,
}

/// A task that its service wants to run, as far as decisions depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskView {
    pub(super) id: String,
    pub(super) stage: Stage,
    pub(super) created_at: Duration,
}

/// A service, as far as decisions depend on it. Tasks that are stopping already are in neither list.
#[derive(Debug, Clone)]
pub(super) struct ServiceView {
    pub(super) desired: u32,
    pub(super) minimum_percent: u32,
    pub(super) maximum_percent: u32,
    /// False while a back-off lasts, or when the deployment's circuit is open.
    pub(super) may_start: bool,
    /// Tasks of the primary deployment.
    pub(super) primary: Vec<TaskView>,
    /// Tasks of deployments that are being replaced.
    pub(super) older: Vec<TaskView>,
}

/// Why a task is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It failed its health checks.
    Unhealthy,
    /// There are more tasks than desired.
    Surplus,
    /// Its deployment is replaced.
    Replaced,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many tasks of the primary deployment to start.
    pub(super) start: u32,
    pub(super) stop: Vec<(String, Cause)>,
}

/// Decides what to do next. Doing it and asking again, with time for tasks to start, ends with nothing left to do.
pub(super) fn plan(view: &ServiceView) -> Plan {
    let (mut primary, ill_primary) = split(&view.primary);
    let (mut older, ill_older) = split(&view.older);
    let mut stop: Vec<_> = ill_primary.chain(ill_older).map(|task| (task.id.clone(), Cause::Unhealthy)).collect();

    // The youngest has the least to lose.
    primary.sort_by_key(|task| (task.stage, std::cmp::Reverse(task.created_at)));
    let surplus = count(&primary).saturating_sub(view.desired);
    let kept = primary.split_off(surplus as usize);
    stop.extend(primary.iter().map(|task| (task.id.clone(), Cause::Surplus)));

    let missing = view.desired.saturating_sub(count(&kept));
    let room = percent_down(view.desired, view.maximum_percent).saturating_sub(count(&kept) + count(&older));
    let start = if view.may_start { missing.min(room) } else { 0 };

    // Only when nothing new fits may the old ones go below the desired count, down to the minimum.
    let stuck = view.may_start && start == 0 && missing > 0;
    let floor = if stuck { percent_up(view.desired, view.minimum_percent) } else { view.desired };
    let needed = floor.saturating_sub(kept.iter().filter(|task| task.stage == Stage::Healthy).count() as u32);
    older.sort_by_key(|task| (task.stage, task.created_at));
    let replaced = count(&older).saturating_sub(needed);
    stop.extend(older.iter().take(replaced as usize).map(|task| (task.id.clone(), Cause::Replaced)));
    Plan { start, stop }
}

fn split(tasks: &[TaskView]) -> (Vec<&TaskView>, impl Iterator<Item = &TaskView>) {
    let well = tasks.iter().filter(|task| task.stage != Stage::Unhealthy).collect();
    (well, tasks.iter().filter(|task| task.stage == Stage::Unhealthy))
}

fn count(tasks: &[&TaskView]) -> u32 {
    u32::try_from(tasks.len()).unwrap_or(u32::MAX)
}

fn percent_up(count: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(count) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

fn percent_down(count: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(count) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}

/// How a deployment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Undecided,
    /// Every desired task serves and no older one is left.
    Completed,
    /// The circuit breaker opened.
    Failed,
}

/// Judges a deployment in progress. `failures` are its tasks that ended unasked; `breaker` whether that may fail it.
pub(super) fn judge(view: &ServiceView, failures: u32, breaker: bool) -> Verdict {
    let healthy = view.primary.iter().filter(|task| task.stage == Stage::Healthy).count();
    if breaker && failures >= failure_threshold(view.desired) {
        Verdict::Failed
    } else if healthy == view.desired as usize && view.primary.len() == healthy && view.older.is_empty() {
        Verdict::Completed
    } else {
        Verdict::Undecided
    }
}

/// How many failed tasks open the circuit: half of the desired count, within bounds.
pub(super) fn failure_threshold(desired: u32) -> u32 {
    desired.div_ceil(2).clamp(FAILURES_MIN, FAILURES_MAX)
}

/// How long to wait before a task is replaced, after this many early deaths in a row: not at all after the first, then
/// `first`, doubling up to `max`.
pub(super) fn restart_delay(early_deaths: u32, first: Duration, max: Duration) -> Duration {
    match early_deaths.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(max),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tasks(name: &str, stages: &[Stage]) -> Vec<TaskView> {
        let task = |(index, stage): (usize, &Stage)| TaskView {
            id: format!("{name}{index}"),
            stage: *stage,
            created_at: Duration::from_secs(index as u64),
        };
        stages.iter().enumerate().map(task).collect()
    }

    fn view(desired: u32, primary: &[Stage], older: &[Stage]) -> ServiceView {
        ServiceView {
            desired,
            minimum_percent: 100,
            maximum_percent: 200,
            may_start: true,
            primary: tasks("new", primary),
            older: tasks("old", older),
        }
    }

    use Stage::{Healthy, Pending, Running, Unhealthy};

    #[test]
    fn a_new_service_starts_every_desired_task() {
        assert_eq!(plan(&view(3, &[], &[])), Plan { start: 3, stop: vec![] });
    }

    #[test]
    fn a_scale_in_stops_what_is_not_ready_and_then_the_youngest() {
        let stopped = plan(&view(1, &[Healthy, Healthy, Pending], &[])).stop;
        assert_eq!(stopped, vec![("new2".to_owned(), Cause::Surplus), ("new1".to_owned(), Cause::Surplus)]);
    }

    #[test]
    fn an_update_starts_new_tasks_before_it_stops_old_ones() {
        assert_eq!(plan(&view(2, &[], &[Healthy, Healthy])), Plan { start: 2, stop: vec![] });
        assert_eq!(plan(&view(2, &[Running, Pending], &[Healthy, Healthy])), Plan::default());
        let one_ready = plan(&view(2, &[Healthy, Running], &[Healthy, Healthy]));
        assert_eq!(one_ready, Plan { start: 0, stop: vec![("old0".to_owned(), Cause::Replaced)] });
    }

    #[test]
    fn without_room_above_the_desired_count_old_tasks_go_first() {
        let tight = ServiceView { minimum_percent: 50, maximum_percent: 100, ..view(2, &[], &[Healthy, Healthy]) };
        assert_eq!(plan(&tight), Plan { start: 0, stop: vec![("old0".to_owned(), Cause::Replaced)] });
    }

    #[test]
    fn a_failed_deployment_leaves_the_old_tasks_alone() {
        let failed = ServiceView { minimum_percent: 0, may_start: false, ..view(2, &[], &[Healthy, Healthy]) };
        assert_eq!(plan(&failed), Plan::default());
    }

    #[test]
    fn an_unhealthy_task_is_stopped_and_replaced() {
        let expected = Plan { start: 1, stop: vec![("new0".to_owned(), Cause::Unhealthy)] };
        assert_eq!(plan(&view(1, &[Unhealthy], &[])), expected);
    }

    #[test]
    fn the_breaker_opens_at_half_of_the_desired_count_within_bounds() {
        assert_eq!([1, 6, 7, 1_000].map(failure_threshold), [3, 3, 4, 200]);
        let deploying = view(2, &[Pending], &[]);
        assert_eq!(judge(&deploying, 2, true), Verdict::Undecided);
        assert_eq!(judge(&deploying, 3, true), Verdict::Failed);
        assert_eq!(judge(&deploying, 3, false), Verdict::Undecided);
    }

    #[test]
    fn a_deployment_completes_when_only_its_own_healthy_tasks_are_left() {
        assert_eq!(judge(&view(1, &[Healthy], &[Healthy]), 0, true), Verdict::Undecided);
        assert_eq!(judge(&view(1, &[Running], &[]), 0, true), Verdict::Undecided);
        assert_eq!(judge(&view(1, &[Healthy], &[]), 0, true), Verdict::Completed);
    }

    #[test]
    fn restarts_are_fast_first_and_then_double() {
        let delay = |deaths| restart_delay(deaths, Duration::from_millis(500), Duration::from_secs(60)).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 9, 40].map(delay), [0, 0, 500, 1_000, 2_000, 60_000, 60_000]);
    }

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        proptest::collection::vec(prop_oneof![Just(Pending), Just(Running), Just(Healthy)], 0..8)
    }

    /// Carries a plan out and lets every task become healthy.
    fn after(view: &ServiceView, plan: &Plan, round: usize) -> ServiceView {
        let survivors = |tasks: &[TaskView]| {
            let stopped = |task: &TaskView| plan.stop.iter().any(|(id, _)| *id == task.id);
            let survive = tasks.iter().filter(|task| !stopped(task));
            survive.map(|task| TaskView { stage: Healthy, ..task.clone() }).collect::<Vec<_>>()
        };
        let mut primary = survivors(&view.primary);
        primary.extend(tasks(&format!("round{round}-"), &vec![Healthy; plan.start as usize]));
        ServiceView { primary, older: survivors(&view.older), ..view.clone() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_plan_leaves_the_bounds(
            desired in 0_u32..10, minimum in 0_u32..=100, maximum in 100_u32..=300,
            primary in stages(), older in stages(),
        ) {
            let view = ServiceView { minimum_percent: minimum, maximum_percent: maximum, ..view(desired, &primary, &older) };
            let plan = plan(&view);
            let live = (view.primary.len() + view.older.len() - plan.stop.len()) as u32;
            if plan.start > 0 {
                prop_assert!(live + plan.start <= percent_down(desired, maximum));
            }
            let healthy = |tasks: &[TaskView]| tasks.iter().filter(|task| task.stage == Healthy).count() as u32;
            let before = healthy(&view.primary) + healthy(&view.older);
            let stopped = view.primary.iter().chain(&view.older).filter(|task| {
                task.stage == Healthy && plan.stop.iter().any(|(id, _)| *id == task.id)
            }).count() as u32;
            prop_assert!(before - stopped >= percent_up(desired, minimum).min(before));
        }

        #[test]
        fn plans_converge_on_the_desired_count(
            desired in 0_u32..10, minimum in 0_u32..=50, maximum in 100_u32..=300,
            primary in stages(), older in stages(),
        ) {
            let mut view = ServiceView { minimum_percent: minimum, maximum_percent: maximum, ..view(desired, &primary, &older) };
            for round in 0..40 {
                let plan = plan(&view);
                view = after(&view, &plan, round);
            }
            // One task cannot be replaced without either a second one or a gap.
            if desired > 1 || minimum == 0 || maximum >= 200 {
                prop_assert_eq!(plan(&view), Plan::default());
                prop_assert_eq!((view.primary.len(), view.older.len()), (desired as usize, 0));
            }
        }
    }
}
