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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        ecs::{Settings, clusters, definitions, names::Names, services},
        settings::Identity,
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A world of one service, whose clock and tasks the test moves.
    struct World {
        state: State,
        now: Duration,
    }

    impl World {
        fn new(service: serde_json::Value) -> Self {
            let identity = Identity { region: "eu-central-1".to_owned(), account: "000000000000".to_owned() };
            let mut state = State::new(Names(identity), Settings::default());
            clusters::create(&mut state, clusters::fields(json!({}))).unwrap();
            let container = json!([{ "name": "app", "image": "i" }]);
            let definition = clusters::fields(json!({ "family": "web", "containerDefinitions": container }));
            definitions::register(&mut state, SECOND, definition).unwrap();
            let mut input = clusters::fields(json!({ "serviceName": "web", "taskDefinition": "web" }));
            input.extend(clusters::fields(service));
            services::create(&mut state, SECOND, input).unwrap();
            Self { state, now: SECOND }
        }

        fn service(&mut self) -> &mut Service {
            self.state.services.values_mut().next().unwrap()
        }

        /// Lets time pass, looks, and lets what was started run. Returns how many tasks were started.
        fn look_after(&mut self, time: Duration) -> usize {
            self.now += time;
            reconcile(&mut self.state, self.now, &|_, _| TargetHealth::Unused);
            let fresh: Vec<_> = self.state.tasks.values_mut().filter(|task| task.started_at.is_none()).collect();
            let started = fresh.len();
            for task in fresh {
                (task.started_at, task.status) = (Some(self.now), Status::Running);
            }
            started
        }

        /// Ends every running task, unasked.
        fn kill(&mut self) {
            let mut service = self.state.services.pop_first().unwrap();
            for task in self.state.tasks.values_mut().filter(|task| task.is_wanted()) {
                note_failure(&mut service.1, task, self.now, &self.state.settings);
                (task.stopping_at, task.stopped_at) = (Some(self.now), Some(self.now));
            }
            self.state.services.insert(service.0, service.1);
        }
    }

    #[test]
    fn a_task_that_dies_early_is_replaced_later_and_later_and_a_stable_one_at_once() {
        let mut world = World::new(json!({}));
        assert_eq!(world.look_after(SECOND), 1);
        world.kill();
        assert_eq!(world.look_after(Duration::ZERO), 1, "the first time at once");
        world.kill();
        assert_eq!(world.look_after(SECOND / 4), 0, "the second time after half a second");
        assert_eq!(world.look_after(SECOND / 4), 1);
        world.kill();
        assert_eq!(world.look_after(SECOND / 2), 0, "the third time after a second");
        assert_eq!(world.look_after(SECOND / 2), 1);
        world.look_after(SECOND * 10);
        world.kill();
        assert_eq!(world.look_after(Duration::ZERO), 1, "it was stable before");
    }

    #[test]
    fn a_service_is_steady_once_its_tasks_have_settled_and_says_so_once() {
        let mut world = World::new(json!({ "desiredCount": 2 }));
        world.look_after(SECOND);
        assert_eq!(world.service().deployments[0].rollout, Rollout::InProgress);
        world.look_after(SECOND);
        assert_eq!(world.service().deployments[0].rollout, Rollout::Completed);
        world.look_after(SECOND);
        let steady = world.service().events.iter().filter(|event| event.message.contains("steady")).count();
        assert_eq!(steady, 1);
    }

    #[test]
    fn without_a_deployment_that_ever_worked_there_is_nothing_to_roll_back_to() {
        let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
        let mut world = World::new(json!({ "deploymentConfiguration": breaker }));
        for _ in 0..3 {
            world.look_after(SECOND * 9);
            world.kill();
        }
        assert_eq!(world.look_after(SECOND * 9), 0, "a failed deployment starts nothing");
        let service = world.service();
        assert_eq!((service.deployments.len(), service.deployments[0].rollout), (1, Rollout::Failed));
    }

    #[test]
    fn a_task_that_fails_its_health_checks_is_replaced_after_the_grace_period() {
        let balancer = json!([{ "targetGroupArn": "g", "containerName": "app", "containerPort": 80 }]);
        let mut world = World::new(json!({ "loadBalancers": balancer, "healthCheckGracePeriodSeconds": 30 }));
        world.look_after(SECOND);
        for task in world.state.tasks.values_mut() {
            task.targets = vec![("g".to_owned(), SocketAddr::from(([127, 0, 0, 1], 80)))];
        }
        let stopped = |world: &mut World, time| {
            world.now += time;
            reconcile(&mut world.state, world.now, &|_, _| TargetHealth::Unhealthy);
            world.state.tasks.values().filter(|task| !task.is_wanted()).count()
        };
        assert_eq!(stopped(&mut world, SECOND * 29), 0);
        assert_eq!(stopped(&mut world, SECOND), 1);
        let task = world.state.tasks.values().find(|task| !task.is_wanted()).unwrap();
        assert_eq!(task.end.as_ref().unwrap().reason, "Task failed ELB health checks in (target-group g)");
    }

    #[test]
    fn a_deleted_service_is_inactive_when_its_last_task_is_gone() {
        let mut world = World::new(json!({}));
        world.look_after(SECOND);
        services::delete(&mut world.state, &clusters::fields(json!({ "service": "web", "force": true }))).unwrap();
        world.look_after(SECOND);
        assert_eq!(world.service().status, ServiceStatus::Draining);
        let now = world.now;
        for task in world.state.tasks.values_mut() {
            assert!(task.stop.is_cancelled());
            task.stopped_at = Some(now);
        }
        world.look_after(SECOND);
        assert_eq!(world.service().status, ServiceStatus::Inactive);
    }
}
