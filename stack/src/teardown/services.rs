//! The services come to rest: the control plane first, or it would start again what is being stopped.

use aws_sdk_ecs::types::Service;
use tokio::time::Instant;

use super::Work;
use crate::{
    call::{CallError, call, found},
    inventory::{Inventory, Resource, SERVICE, cluster_of},
    limits::SERVICE_STOPPED,
    name::Role,
    pace::Pace,
    progress::Event,
};

const ORDER: [Role; 3] = [Role::ControlPlane, Role::Producer, Role::Consumer];

/// What ECS answers about a service that is not there.
const ABSENT: [&str; 3] = ["ServiceNotFoundException", "ServiceNotActiveException", "ClusterNotFoundException"];

pub(super) async fn stop(work: Work<'_>, inventory: &Inventory) -> Result<(), CallError> {
    for role in ORDER {
        let name = work.name.service(role);
        let service = inventory.of_kind(SERVICE).find(|service| service.id.rsplit('/').next() == Some(&name));
        if let Some(service) = service {
            scale_to_zero(work, service, &name).await?;
        }
    }
    Ok(())
}

/// Waits for the last task as long as a task may take to stop; what runs longer ends with the stack.
async fn scale_to_zero(work: Work<'_>, service: &Resource, name: &str) -> Result<(), CallError> {
    let cluster = cluster_of(&service.id);
    let request = work.clients.ecs.update_service().set_cluster(cluster.clone()).service(&service.id).desired_count(0);
    if found(call("ecs:UpdateService", request.send()).await, &ABSENT)?.is_none() {
        return Ok(());
    }
    let deadline = Instant::now() + SERVICE_STOPPED;
    let mut pace = Pace::new();
    let mut reported = None;
    loop {
        let request = work.clients.ecs.describe_services().set_cluster(cluster.clone()).services(&service.id);
        let answer = call("ecs:DescribeServices", request.send()).await?;
        let running = answer.services().first().map_or(0, Service::running_count);
        let running = u32::try_from(running).unwrap_or_default();
        if reported != Some(running) {
            let (service, rollout) = (name.to_owned(), String::new());
            work.progress.report(Event::Service { service, desired: 0, running, rollout }).await;
            reported = Some(running);
        }
        if running == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let (what, reason) = (format!("stopping {name}"), format!("{running} tasks still run"));
            work.progress.report(Event::Retrying { what, reason }).await;
            return Ok(());
        }
        pace.pause().await;
    }
}
