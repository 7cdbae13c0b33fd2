//! Operations on services.

use std::{collections::VecDeque, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    definitions::is_name,
    errors::{client, invalid, service_not_active, service_not_found},
    names,
    paging::{self, Page},
    state::{Breaker, Given, Service, ServiceStatus, State},
    tags,
};
use crate::service::AwsError;

/// How many services one `DescribeServices` takes (API reference).
const DESCRIBE_MAX: usize = 10;

/// Which port of a service's tasks gets the requests of a target group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadBalancer {
    pub(super) target_group_arn: String,
    pub(super) container_port: u16,
}

/// The members of `CreateService` and `UpdateService` that decide something here. All others are kept and given back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settled {
    desired_count: Option<i64>,
    deployment_configuration: Option<DeploymentConfiguration>,
    load_balancers: Option<Vec<LoadBalancer>>,
    health_check_grace_period_seconds: Option<u64>,
    propagate_tags: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DeploymentConfiguration {
    minimum_healthy_percent: Option<u32>,
    maximum_percent: Option<u32>,
    deployment_circuit_breaker: Option<CircuitBreaker>,
}

#[derive(Debug, Deserialize)]
struct CircuitBreaker {
    enable: bool,
    rollback: bool,
}

/// Members that name the call's subject, or that the answer holds in a form of its own.
const NOT_KEPT: &[&str] = &[
    "cluster",
    "service",
    "serviceName",
    "taskDefinition",
    "desiredCount",
    "deploymentConfiguration",
    "clientToken",
    "forceNewDeployment",
    "role",
];

/// A change of one of these starts a new deployment.
const DEPLOYED: &[&str] = &["networkConfiguration", "platformVersion", "loadBalancers", "volumeConfigurations"];

pub(super) fn create(state: &mut State, now: Duration, mut input: Given) -> Result<Value, AwsError> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let cluster = state.cluster(text("cluster"))?.name.clone();
    let name = text("serviceName").unwrap_or_default().to_owned();
    if !is_name(&name) {
        return Err(invalid("Service name must be 1 to 255 letters, digits, hyphens and underscores."));
    }
    if text("schedulingStrategy").is_some_and(|strategy| strategy != "REPLICA") {
        return Err(AwsError::not_implemented("ecs", "CreateService with schedulingStrategy DAEMON"));
    }
    let key = (cluster.clone(), name.clone());
    match state.services.get(&key).map(|service| service.status) {
        Some(ServiceStatus::Active) => return Err(invalid("Creation of service was not idempotent.")),
        Some(ServiceStatus::Draining) => return Err(invalid("Unable to Start a service that is still Draining.")),
        Some(ServiceStatus::Inactive) | None => {}
    }
    let reference = text("taskDefinition").ok_or_else(|| client("TaskDefinition not found."))?;
    let definition = state.active_definition(reference)?;
    let tags = tags::take(&mut input)?;
    let mut service = Service {
        cluster,
        name,
        status: ServiceStatus::Active,
        desired: 1,
        created_at: now,
        given: Given::new(),
        minimum_percent: 100,
        maximum_percent: 200,
        breaker: Breaker::default(),
        load_balancers: Vec::new(),
        grace: Duration::ZERO,
        propagates_own_tags: false,
        tags,
        deployments: Vec::new(),
        proven: None,
        events: VecDeque::new(),
        steady: false,
        early_deaths: 0,
        start_after: now,
    };
    settle(&mut service, input)?;
    service.deploy(definition, now);
    state.services.insert(key.clone(), service);
    answer(state, &key)
}

pub(super) fn update(state: &mut State, now: Duration, input: Given) -> Result<Value, AwsError> {
    let key = find(state, &input)?;
    let reference = input.get("taskDefinition").and_then(Value::as_str);
    let definition = reference.map(|reference| state.active_definition(reference)).transpose()?;
    let forced = input.get("forceNewDeployment") == Some(&Value::Bool(true));
    let service = state.services.get_mut(&key).ok_or_else(service_not_found)?;
    if service.status != ServiceStatus::Active {
        return Err(service_not_active());
    }
    let current = service.deployments.first().map(|deployment| deployment.definition.clone());
    let current = current.ok_or_else(|| AwsError::internal("a service without a deployment"))?;
    let definition = definition.unwrap_or_else(|| current.clone());
    let same = (&definition.family, definition.revision) == (&current.family, current.revision);
    let changed = DEPLOYED.iter().any(|name| input.get(*name).is_some_and(|new| service.given.get(*name) != Some(new)));
    settle(service, input)?;
    if forced || changed || !same {
        service.deploy(definition, now);
    }
    service.steady = false;
    answer(state, &key)
}

/// Takes over what a caller said about a service.
fn settle(service: &mut Service, input: Given) -> Result<(), AwsError> {
    let settled: Settled = serde_json::from_value(Value::Object(input.clone())).map_err(|e| invalid(e.to_string()))?;
    if let Some(desired) = settled.desired_count {
        service.desired = u32::try_from(desired).map_err(|_| invalid("desiredCount must not be negative."))?;
    }
    if let Some(configuration) = settled.deployment_configuration {
        let (minimum, maximum) = (
            configuration.minimum_healthy_percent.unwrap_or(service.minimum_percent),
            configuration.maximum_percent.unwrap_or(service.maximum_percent),
        );
        if minimum > 100 || maximum < 100 || (minimum == 100 && maximum == 100) {
            return Err(invalid("minimumHealthyPercent must be below 100 or maximumPercent above it."));
        }
        (service.minimum_percent, service.maximum_percent) = (minimum, maximum);
        if let Some(breaker) = configuration.deployment_circuit_breaker {
            service.breaker = Breaker { enabled: breaker.enable, rolls_back: breaker.rollback };
        }
    }
    service.load_balancers = settled.load_balancers.unwrap_or_else(|| service.load_balancers.clone());
    service.grace = settled.health_check_grace_period_seconds.map_or(service.grace, Duration::from_secs);
    service.propagates_own_tags =
        settled.propagate_tags.map_or(service.propagates_own_tags, |source| source == "SERVICE");
    service.given.extend(input.into_iter().filter(|(name, _)| !NOT_KEPT.contains(&name.as_str())));
    Ok(())
}

pub(super) fn delete(state: &mut State, input: &Given) -> Result<Value, AwsError> {
    let key = find(state, input)?;
    let service = state.services.get_mut(&key).ok_or_else(service_not_found)?;
    if service.status == ServiceStatus::Inactive {
        return Err(service_not_active());
    }
    if service.desired > 0 && input.get("force") != Some(&Value::Bool(true)) {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    service.desired = 0;
    service.status = ServiceStatus::Draining;
    answer(state, &key)
}

#[derive(Deserialize)]
pub(super) struct Describe {
    cluster: Option<String>,
    #[serde(default)]
    services: Vec<String>,
}

pub(super) fn describe(state: &State, input: &Describe) -> Result<Value, AwsError> {
    if !(1..=DESCRIBE_MAX).contains(&input.services.len()) {
        return Err(invalid(format!("1 to {DESCRIBE_MAX} services can be described at once.")));
    }
    let cluster = &state.cluster(input.cluster.as_deref())?.name;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for reference in &input.services {
        let name = names::name_of(reference);
        match state.services.get(&(cluster.clone(), name.to_owned())) {
            Some(service) => found.push(service_json(state, service)),
            None => failures.push(json!({ "arn": state.names.service(cluster, name), "reason": "MISSING" })),
        }
    }
    Ok(json!({ "services": found, "failures": failures }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    cluster: Option<String>,
    #[serde(flatten)]
    page: Page,
}

pub(super) fn list(state: &State, input: &List) -> Result<Value, AwsError> {
    let cluster = &state.cluster(input.cluster.as_deref())?.name;
    let here = state.services.values().filter(|it| it.cluster == *cluster && it.status != ServiceStatus::Inactive);
    let arns = here.map(|it| state.names.service(cluster, &it.name)).collect();
    paging::answer("serviceArns", arns, &input.page)
}

fn find(state: &State, input: &Given) -> Result<(String, String), AwsError> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let cluster = state.cluster(text("cluster"))?.name.clone();
    let key = (cluster, names::name_of(text("service").unwrap_or_default()).to_owned());
    if state.services.contains_key(&key) { Ok(key) } else { Err(service_not_found()) }
}

fn answer(state: &State, key: &(String, String)) -> Result<Value, AwsError> {
    let service = state.services.get(key).ok_or_else(service_not_found)?;
    Ok(json!({ "service": service_json(state, service) }))
}

fn service_json(state: &State, service: &Service) -> Value {
    let (running, pending) = counts(state, service, None);
    let arn = |service: &Service| service.deployments.first().map(|it| it.definition.arn(&state.names));
    let mut answer = service.given.clone();
    for (member, default) in [
        ("launchType", json!("FARGATE")),
        ("platformVersion", json!("1.4.0")),
        ("schedulingStrategy", json!("REPLICA")),
        ("deploymentController", json!({ "type": "ECS" })),
        ("propagateTags", json!("NONE")),
        ("loadBalancers", json!([])),
        ("serviceRegistries", json!([])),
        ("placementConstraints", json!([])),
        ("placementStrategy", json!([])),
    ] {
        answer.entry(member).or_insert(default);
    }
    answer.extend(super::clusters::fields(json!({
        "serviceArn": state.names.service(&service.cluster, &service.name),
        "serviceName": service.name,
        "clusterArn": state.names.cluster(&service.cluster),
        "status": service.status.name(),
        "desiredCount": service.desired,
        "runningCount": running,
        "pendingCount": pending,
        "platformFamily": "Linux",
        "taskDefinition": arn(service),
        "deploymentConfiguration": {
            "minimumHealthyPercent": service.minimum_percent,
            "maximumPercent": service.maximum_percent,
            "deploymentCircuitBreaker": {
                "enable": service.breaker.enabled,
                "rollback": service.breaker.rolls_back,
            },
        },
        "deployments": deployments_json(state, service),
        "events": service.events.iter().map(|event| json!({
            "id": event.id, "createdAt": event.at.as_secs_f64(), "message": event.message,
        })).collect::<Value>(),
        "createdAt": service.created_at.as_secs_f64(),
        "tags": tags::json(&service.tags),
    })));
    Value::Object(answer)
}

fn deployments_json(state: &State, service: &Service) -> Value {
    let describe = |(index, deployment): (usize, &super::state::Deployment)| {
        let (running, pending) = counts(state, service, Some(&deployment.id));
        json!({
            "id": deployment.id,
            "status": if index == 0 { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": deployment.definition.arn(&state.names),
            "desiredCount": if index == 0 { service.desired as usize } else { running + pending },
            "runningCount": running,
            "pendingCount": pending,
            "failedTasks": deployment.failures,
            "createdAt": deployment.created_at.as_secs_f64(),
            "updatedAt": deployment.updated_at.as_secs_f64(),
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "rolloutState": deployment.rollout.name(),
            "rolloutStateReason": deployment.reason,
        })
    };
    service.deployments.iter().enumerate().map(describe).collect()
}

/// Running and pending tasks of a service, or of one of its deployments.
fn counts(state: &State, service: &Service, deployment: Option<&str>) -> (usize, usize) {
    let of = |task: &&super::state::Task| deployment.is_none() || task.started_by.as_deref() == deployment;
    let wanted = || state.tasks_of(service).filter(|task| task.is_wanted()).filter(of);
    let running = wanted().filter(|task| task.is_running()).count();
    (running, wanted().count() - running)
}
