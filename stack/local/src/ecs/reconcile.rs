//! The scheduler's step: looks at every service and carries out what its plan says, in the state.
//!
//! It is level-triggered: it takes no event, only the state as it is, so a missed wake-up costs time and nothing else.

use std::{net::SocketAddr, time::Duration};

use super::{
    plan::{self, Cause, Plan, ServiceView, Stage, TaskView, Verdict},
    state::{Deployment, Rollout, Service, ServiceStatus, State, Status, Task},
};
use crate::balancer::TargetHealth;

/// How the load balancer sees a target of a group.
pub(super) type Probe<'a> = &'a dyn Fn(&str, SocketAddr) -> TargetHealth;

/// One look at every service.
pub(super) fn reconcile(state: &mut State, now: Duration, probe: Probe<'_>) {
    if state.stopping {
        return;
    }
    let keys: Vec<_> = state.services.keys().cloned().collect();
    for key in keys {
        // Taken out, so that the service and the tasks beside it can both change.
        if let Some(mut service) = state.services.remove(&key) {
            if service.status != ServiceStatus::Inactive {
                step(state, &mut service, now, probe);
            }
            state.services.insert(key, service);
        }
    }
    state.forget_old_tasks();
}

fn step(state: &mut State, service: &mut Service, now: Duration, probe: Probe<'_>) {
    credit_the_healthy(state, service, now, probe);
    judge_deployment(service, &look(state, service, now, probe), now);
    let plan = plan::plan(&look(state, service, now, probe));
    carry_out(state, service, &plan, now);
    retire_deployments(state, service);
    announce_steadiness(service, &look(state, service, now, probe), now);
    if service.status == ServiceStatus::Draining && state.tasks_of(service).all(|task| task.stopped_at.is_some()) {
        service.status = ServiceStatus::Inactive;
        service.deployments.clear();
    }
}

/// What the plan is made from.
fn look(state: &State, service: &Service, now: Duration, probe: Probe<'_>) -> ServiceView {
    let primary_id = service.deployments.first().map(|deployment| deployment.id.as_str());
    let failed = service.deployments.first().is_some_and(|deployment| deployment.rollout == Rollout::Failed);
    let wanted = state.tasks_of(service).filter(|task| task.is_wanted());
    let view = |task: &Task| TaskView {
        id: task.id.clone(),
        stage: stage(task, service, now, state.settings.settle, probe),
        created_at: task.created_at,
    };
    let (primary, older): (Vec<_>, Vec<_>) = wanted.partition(|task| task.started_by.as_deref() == primary_id);
    ServiceView {
        desired: service.desired,
        minimum_percent: service.minimum_percent,
        maximum_percent: service.maximum_percent,
        may_start: service.status == ServiceStatus::Active && !failed && now >= service.start_after,
        primary: primary.into_iter().map(view).collect(),
        older: older.into_iter().map(view).collect(),
    }
}

fn stage(task: &Task, service: &Service, now: Duration, settle: Duration, probe: Probe<'_>) -> Stage {
    let Some(started_at) = task.started_at.filter(|_| task.status == Status::Running) else { return Stage::Pending };
    if task.load_balancers.is_empty() {
        return if now >= started_at + settle { Stage::Healthy } else { Stage::Running };
    }
    let health: Vec<_> = task.targets.iter().map(|(group, target)| probe(group, *target)).collect();
    if health.contains(&TargetHealth::Unhealthy) && now >= started_at + service.grace {
        Stage::Unhealthy
    } else if !health.is_empty() && health.iter().all(|health| *health == TargetHealth::Healthy) {
        Stage::Healthy
    } else {
        Stage::Running
    }
}

/// A task that becomes healthy ends the row of failures of its deployment.
fn credit_the_healthy(state: &mut State, service: &mut Service, now: Duration, probe: Probe<'_>) {
    let settle = state.settings.settle;
    let fresh = |task: &&mut Task| task.belongs_to(service) && task.is_wanted() && !task.proven;
    let mut credited = Vec::new();
    for task in state.tasks.values_mut().filter(fresh) {
        if stage(task, service, now, settle, probe) == Stage::Healthy {
            task.proven = true;
            credited.extend(task.started_by.clone());
        }
    }
    for deployment in service.deployments.iter_mut().filter(|deployment| credited.contains(&deployment.id)) {
        deployment.failures = 0;
    }
}

fn judge_deployment(service: &mut Service, view: &ServiceView, now: Duration) {
    let breaker = service.breaker;
    let Some(primary) = service.deployments.first_mut().filter(|it| it.rollout == Rollout::InProgress) else { return };
    match plan::judge(view, primary.failures, breaker.enabled) {
        Verdict::Undecided => {}
        Verdict::Completed => {
            primary.rollout = Rollout::Completed;
            primary.updated_at = now;
            primary.reason = format!("ECS deployment {} completed.", primary.id);
            let message = format!("(deployment {}) deployment completed.", primary.id);
            service.proven = Some(primary.clone());
            service.say(now, &message);
        }
        Verdict::Failed => {
            primary.rollout = Rollout::Failed;
            primary.updated_at = now;
            primary.reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
            let (id, message) =
                (primary.id.clone(), format!("(deployment {}) deployment failed: tasks failed to start.", primary.id));
            service.say(now, &message);
            if breaker.rolls_back {
                roll_back(service, &id, now);
            }
        }
    }
}

/// Makes the last completed deployment the primary one again, if there is another than the failed one.
fn roll_back(service: &mut Service, failed: &str, now: Duration) {
    let Some(proven) = service.proven.clone().filter(|proven| proven.id != failed) else { return };
    service.deployments.retain(|deployment| deployment.id != proven.id);
    let reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", proven.id);
    let message = format!("rolling back to deployment {}.", proven.id);
    let restored = Deployment { rollout: Rollout::InProgress, reason, updated_at: now, failures: 0, ..proven };
    service.deployments.insert(0, restored);
    service.early_deaths = 0;
    service.start_after = now;
    service.say(now, &message);
}

fn carry_out(state: &mut State, service: &mut Service, plan: &Plan, now: Duration) {
    if *plan == Plan::default() {
        return;
    }
    let Some(primary) = service.deployments.first().cloned() else { return };
    service.steady = false;
    let started: Vec<_> = (0..plan.start).map(|_| Task::of_service(service, &primary, now)).collect();
    if !started.is_empty() {
        let named = named(started.iter().map(|task| task.id.as_str()));
        service.say(now, &format!("has started {} tasks: {named}.", started.len()));
    }
    state.tasks.extend(started.into_iter().map(|task| (task.id.clone(), task)));
    for (id, cause) in &plan.stop {
        let Some(task) = state.tasks.get_mut(id) else { continue };
        let reason = match cause {
            Cause::Unhealthy => {
                let group = task.targets.first().map(|(group, _)| group.as_str()).unwrap_or_default();
                format!("Task failed ELB health checks in (target-group {group})")
            }
            Cause::Surplus | Cause::Replaced => format!("Scaling activity initiated by (deployment {})", primary.id),
        };
        task.ask_to_stop(now, "ServiceSchedulerInitiated", reason);
        if *cause == Cause::Unhealthy {
            note_failure(service, task, now, &state.settings);
        }
    }
    if !plan.stop.is_empty() {
        let named = named(plan.stop.iter().map(|(id, _)| id.as_str()));
        service.say(now, &format!("has stopped {} running tasks: {named}.", plan.stop.len()));
    }
}

fn named<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

/// Counts a task that ended unasked, or failed its health checks: against its deployment, and for the back-off.
pub(super) fn note_failure(service: &mut Service, task: &Task, now: Duration, settings: &super::Settings) {
    let lived = task.started_at.map_or(Duration::ZERO, |started_at| now.saturating_sub(started_at));
    service.early_deaths = if lived >= settings.stable_after { 1 } else { service.early_deaths + 1 };
    let delay = plan::restart_delay(service.early_deaths, settings.restart_delay, settings.restart_delay_max);
    service.start_after = now + delay;
    service.steady = false;
    if service.early_deaths == plan::failure_threshold(service.desired) {
        service.say(now, "is unable to consistently start tasks successfully.");
    }
    let own = service.deployments.iter_mut().find(|deployment| task.started_by.as_ref() == Some(&deployment.id));
    if let Some(deployment) = own.filter(|deployment| deployment.rollout == Rollout::InProgress) {
        deployment.failures += 1;
        deployment.updated_at = now;
    }
}

/// Forgets replaced deployments whose tasks are gone.
fn retire_deployments(state: &State, service: &mut Service) {
    let mut position = 0;
    let alive: Vec<_> =
        state.tasks_of(service).filter(|it| it.stopped_at.is_none()).filter_map(|it| it.started_by.clone()).collect();
    service.deployments.retain(|deployment| {
        position += 1;
        position == 1 || alive.contains(&deployment.id)
    });
}

fn announce_steadiness(service: &mut Service, view: &ServiceView, now: Duration) {
    let completed = service.deployments.first().is_some_and(|it| it.rollout == Rollout::Completed);
    let steady = completed && plan::judge(view, 0, false) == Verdict::Completed;
    if steady && !service.steady && service.status == ServiceStatus::Active {
        service.steady = true;
        service.say(now, "has reached a steady state.");
    }
}
