//! The gate after the stack: CloudFormation has been seen to call a service complete that its circuit breaker had
//! already given up.

use aws_sdk_ecs::types::{Deployment, DeploymentRolloutState, Service};
use tokio::time::Instant;

use super::{DeployError, Work};
use crate::{
    call::{CallError, call},
    limits::SERVICES_STEADY,
    name::Role,
    pace::Pace,
    progress::{Event, Phase},
};

/// Returns when the three services run what was deployed, as many tasks as they should.
pub(super) async fn until_steady(work: Work<'_>) -> Result<(), DeployError> {
    work.progress.enter(Phase::WaitingForServices).await;
    let deadline = Instant::now() + SERVICES_STEADY;
    let mut pace = Pace::new();
    let mut reported = Vec::new();
    loop {
        let states = observe(work).await?;
        for state in states.iter().filter(|state| !reported.contains(*state)) {
            work.progress.report(state.event()).await;
        }
        let Some(unsteady) = states.iter().find(|state| !state.is_steady()) else { return Ok(()) };
        if Instant::now() >= deadline || states.iter().any(State::has_failed) {
            let worst = states.iter().find(|state| state.has_failed()).unwrap_or(unsteady);
            return Err(DeployError::Unsteady { service: worst.service.clone(), reason: worst.describe() });
        }
        reported = states;
        pace.pause().await;
    }
}

/// A service as ECS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    service: String,
    desired: u32,
    running: u32,
    rollout: DeploymentRolloutState,
    reason: Option<String>,
    /// Deployments that are not over: one when nothing is being replaced.
    deployments: usize,
}

impl State {
    fn of(service: &Service) -> Self {
        let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
        Self {
            service: service.service_name().unwrap_or_default().to_owned(),
            desired: u32::try_from(service.desired_count()).unwrap_or_default(),
            running: u32::try_from(service.running_count()).unwrap_or_default(),
            rollout: primary.and_then(Deployment::rollout_state).cloned().unwrap_or(DeploymentRolloutState::InProgress),
            reason: primary.and_then(Deployment::rollout_state_reason).map(str::to_owned),
            deployments: service.deployments().len(),
        }
    }

    fn missing(service: String) -> Self {
        let reason = Some("the service does not exist".to_owned());
        Self { service, desired: 0, running: 0, rollout: DeploymentRolloutState::Failed, reason, deployments: 0 }
    }

    fn is_steady(&self) -> bool {
        self.rollout == DeploymentRolloutState::Completed && self.running == self.desired && self.deployments == 1
    }

    fn has_failed(&self) -> bool {
        self.rollout == DeploymentRolloutState::Failed
    }

    fn describe(&self) -> String {
        let Self { desired, running, rollout, .. } = self;
        let counts = format!("{running} of {desired} tasks run, its rollout is {rollout}");
        match &self.reason {
            Some(reason) => format!("{counts}: {reason}"),
            None => counts,
        }
    }

    fn event(&self) -> Event {
        let Self { desired, running, .. } = *self;
        Event::Service { service: self.service.clone(), desired, running, rollout: self.rollout.to_string() }
    }
}

async fn observe(work: Work<'_>) -> Result<Vec<State>, CallError> {
    let name = &work.request.name;
    let services = Role::ALL.map(|role| name.service(role));
    let request = work.clients.ecs.describe_services().cluster(name.as_str()).set_services(Some(services.to_vec()));
    let answer = call("ecs:DescribeServices", request.send()).await?;
    let state = |service: String| {
        let found = answer.services().iter().find(|found| found.service_name() == Some(&service));
        found.map_or_else(|| State::missing(service), State::of)
    };
    Ok(services.into_iter().map(state).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(running: u32, rollout: DeploymentRolloutState, deployments: usize) -> State {
        State { service: "weir-producer".to_owned(), desired: 2, running, rollout, reason: None, deployments }
    }

    #[test]
    fn a_service_is_steady_when_its_only_deployment_is_complete_and_all_tasks_run() {
        assert!(state(2, DeploymentRolloutState::Completed, 1).is_steady());
        assert!(!state(1, DeploymentRolloutState::Completed, 1).is_steady());
        assert!(!state(2, DeploymentRolloutState::InProgress, 1).is_steady());
        assert!(!state(2, DeploymentRolloutState::Completed, 2).is_steady());
    }

    #[test]
    fn a_service_that_ecs_gave_up_says_why() {
        let mut failed = state(0, DeploymentRolloutState::Failed, 1);
        failed.reason = Some("tasks failed to start".to_owned());
        assert_eq!(failed.describe(), "0 of 2 tasks run, its rollout is FAILED: tasks failed to start");
    }
}
