//! Services, which are ready when their tasks are.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Existing, Failure, Provisioned, Request,
    ecs::{self, NAME_LENGTH_MAX},
    properties,
};

/// AWS gives a service three hours to become steady. Nobody sits three hours before a laptop.
const STEADY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The longest that a task may take to stop (`stopTimeout` of at most 120 s), and some more.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(180);

/// What `UpdateService` takes.
const UPDATED: &[&str] = &[
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceRegistries",
    "taskDefinition",
];

pub(super) async fn create(request: &Request<'_>) -> Result<Provisioned, Failure> {
    let mut input = ecs::input(request);
    let name = request.name("ServiceName", NAME_LENGTH_MAX);
    properties::set(&mut input, "serviceName", name.as_str());
    if input["desiredCount"].is_null() {
        properties::set(&mut input, "desiredCount", 1);
    }
    let service = request.call("ecs", "CreateService", input).await?["service"].take();
    let arn = service["serviceArn"].as_str().unwrap_or_default();
    (request.identify)(arn);
    become_steady(request, arn).await?;
    Ok(Provisioned::new(arn, [("Name", json!(name)), ("ServiceArn", json!(arn))]))
}

pub(super) async fn update(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    // A count that the template leaves out belongs to whoever scales the service.
    let mut input = properties::pick(&ecs::input(request), UPDATED);
    properties::set(&mut input, "cluster", cluster(request));
    properties::set(&mut input, "service", existing.physical_id);
    request.call("ecs", "UpdateService", input).await?;
    become_steady(request, existing.physical_id).await?;
    Ok(existing.unchanged())
}

pub(super) async fn delete(request: &Request<'_>, arn: &str) -> Result<(), Failure> {
    let cluster = cluster(request);
    let service = describe(request, arn).await?;
    if service["status"] == "ACTIVE" {
        let input = json!({ "cluster": cluster, "service": arn, "desiredCount": 0 });
        request.call("ecs", "UpdateService", input).await?;
        request
            .wait("the service's tasks to stop", DRAIN_TIMEOUT, || async {
                let service = describe(request, arn).await?;
                Ok((service["runningCount"] == 0 && service["pendingCount"] == 0).then_some(()))
            })
            .await?;
        request.call("ecs", "DeleteService", json!({ "cluster": cluster, "service": arn, "force": true })).await?;
    }
    request
        .wait("the service to become INACTIVE", DRAIN_TIMEOUT, || async {
            let service = describe(request, arn).await?;
            Ok((service.is_null() || service["status"] == "INACTIVE").then_some(()))
        })
        .await
}

fn cluster(request: &Request<'_>) -> String {
    request.text("Cluster").unwrap_or_else(|| "default".to_owned())
}

/// Waits until as many tasks run as are wanted and the deployment is complete.
async fn become_steady(request: &Request<'_>, arn: &str) -> Result<(), Failure> {
    request
        .wait("the service to become steady", STEADY_TIMEOUT, || async {
            let service = describe(request, arn).await?;
            let deployments = service["deployments"].as_array().into_iter().flatten();
            let Some(primary) = deployments.into_iter().find(|deployment| deployment["status"] == "PRIMARY") else {
                return Ok(None);
            };
            if primary["rolloutState"] == "FAILED" {
                let reason =
                    primary["rolloutStateReason"].as_str().unwrap_or("ECS Deployment Circuit Breaker was triggered");
                return Err(Failure::NotStable(format!("Error occurred during operation '{reason}'.")));
            }
            let running = service["runningCount"] == service["desiredCount"];
            Ok((running && primary["rolloutState"] == "COMPLETED").then_some(()))
        })
        .await
}

/// The service, or null when ECS has forgotten it.
async fn describe(request: &Request<'_>, arn: &str) -> Result<Value, Failure> {
    let input = json!({ "cluster": cluster(request), "services": [arn] });
    Ok(request.call("ecs", "DescribeServices", input).await?["services"][0].take())
}
