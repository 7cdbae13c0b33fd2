//! Operations on tasks.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clusters::fields,
    definitions::{Definition, Variable},
    errors::invalid,
    names,
    paging::{self, Page},
    state::{Given, Overrides, Service, State, Status, Task},
    tags::{self, Tags},
};
use crate::service::AwsError;

/// How many tasks one `RunTask` starts (API reference).
const RUN_MAX: u32 = 10;

/// How many tasks one `DescribeTasks` takes (API reference).
const DESCRIBE_MAX: usize = 100;

/// Who starts a task.
pub(super) struct Origin<'a> {
    pub(super) cluster: &'a str,
    pub(super) definition: &'a Arc<Definition>,
    pub(super) started_by: Option<String>,
    pub(super) group: String,
    pub(super) tags: Tags,
}

impl Task {
    /// A task that is not launched yet.
    pub(super) fn new(origin: Origin<'_>, now: Duration) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string(),
            cluster: origin.cluster.to_owned(),
            definition: origin.definition.clone(),
            service: None,
            started_by: origin.started_by,
            group: origin.group,
            given: Given::new(),
            overrides: Overrides::default(),
            load_balancers: Vec::new(),
            tags: origin.tags,
            status: Status::Provisioning,
            launched: false,
            proven: false,
            created_at: now,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            end: None,
            exit_code: None,
            stop: tokio_util::sync::CancellationToken::new(),
            attachment: Uuid::new_v4().to_string(),
            address: None,
            moved_ports: Vec::new(),
            targets: Vec::new(),
            pid: None,
        }
    }

    /// A task of a service's deployment.
    pub(super) fn of_service(service: &Service, deployment: &super::state::Deployment, now: Duration) -> Self {
        let origin = Origin {
            cluster: &service.cluster,
            definition: &deployment.definition,
            started_by: Some(deployment.id.clone()),
            group: format!("service:{}", service.name),
            tags: if service.propagates_own_tags { service.tags.clone() } else { Tags::new() },
        };
        Self {
            service: Some(service.name.clone()),
            load_balancers: service.load_balancers.clone(),
            ..Self::new(origin, now)
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    cluster: Option<String>,
    task_definition: String,
    count: Option<u32>,
    group: Option<String>,
    started_by: Option<String>,
    #[serde(default)]
    overrides: TaskOverride,
    propagate_tags: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TaskOverride {
    container_overrides: Vec<ContainerOverride>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerOverride {
    name: String,
    command: Option<Vec<String>>,
    environment: Vec<Variable>,
}

pub(super) fn run(state: &mut State, now: Duration, mut input: Given) -> Result<Value, AwsError> {
    let own = tags::take(&mut input)?;
    let kept = input.get("overrides").cloned().map(|overrides| ("overrides".to_owned(), overrides));
    let input: Run = serde_json::from_value(Value::Object(input)).map_err(|error| invalid(error.to_string()))?;
    let cluster = state.cluster(input.cluster.as_deref())?.name.clone();
    let definition = state.active_definition(&input.task_definition)?;
    let count = input.count.unwrap_or(1);
    if !(1..=RUN_MAX).contains(&count) {
        return Err(invalid(format!("count must be between 1 and {RUN_MAX}.")));
    }
    let overrides = overrides(&definition, input.overrides)?;
    let mut tags = own;
    if input.propagate_tags.as_deref() == Some("TASK_DEFINITION") {
        tags.extend(definition.tags.clone());
    }
    let mut started = Vec::new();
    for _ in 0..count {
        let origin = Origin {
            cluster: &cluster,
            definition: &definition,
            started_by: input.started_by.clone(),
            group: input.group.clone().unwrap_or_else(|| format!("family:{}", definition.family)),
            tags: tags.clone(),
        };
        let given = kept.clone().into_iter().collect();
        let task = Task { given, overrides: overrides.clone(), ..Task::new(origin, now) };
        started.push(task_json(state, &task));
        state.tasks.insert(task.id.clone(), task);
    }
    Ok(json!({ "tasks": started, "failures": [] }))
}

fn overrides(definition: &Definition, given: TaskOverride) -> Result<Overrides, AwsError> {
    let mut overrides = Overrides::default();
    for container in given.container_overrides {
        if container.name != definition.container.name {
            return Err(invalid(format!(
                "Override for container named {} is not a container in the TaskDefinition.",
                container.name
            )));
        }
        overrides.command = container.command;
        overrides.environment = container.environment.into_iter().map(|it| (it.name, it.value)).collect();
    }
    Ok(overrides)
}

#[derive(Deserialize)]
pub(super) struct Stop {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

pub(super) fn stop(state: &mut State, now: Duration, input: Stop) -> Result<Value, AwsError> {
    let cluster = state.cluster(input.cluster.as_deref())?.name.clone();
    let id = names::name_of(&input.task);
    let task = state.tasks.get_mut(id).filter(|task| task.cluster == cluster);
    let task = task.ok_or_else(|| invalid("The referenced task was not found."))?;
    task.ask_to_stop(now, "UserInitiated", input.reason.unwrap_or_else(|| "Task stopped by user".to_owned()));
    let task = &state.tasks[id];
    Ok(json!({ "task": task_json(state, task) }))
}

#[derive(Deserialize)]
pub(super) struct Describe {
    cluster: Option<String>,
    #[serde(default)]
    tasks: Vec<String>,
}

pub(super) fn describe(state: &State, input: &Describe) -> Result<Value, AwsError> {
    if !(1..=DESCRIBE_MAX).contains(&input.tasks.len()) {
        return Err(invalid(format!("1 to {DESCRIBE_MAX} tasks can be described at once.")));
    }
    let cluster = &state.cluster(input.cluster.as_deref())?.name;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for reference in &input.tasks {
        let id = names::name_of(reference);
        match state.tasks.get(id).filter(|task| task.cluster == *cluster) {
            Some(task) => found.push(task_json(state, task)),
            None => failures.push(json!({ "arn": state.names.task(cluster, id), "reason": "MISSING" })),
        }
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    cluster: Option<String>,
    service_name: Option<String>,
    family: Option<String>,
    started_by: Option<String>,
    desired_status: Option<String>,
    #[serde(flatten)]
    page: Page,
}

pub(super) fn list(state: &State, input: &List) -> Result<Value, AwsError> {
    let cluster = &state.cluster(input.cluster.as_deref())?.name;
    let service = input.service_name.as_deref().map(names::name_of);
    if let Some(service) = service
        && !state.services.contains_key(&(cluster.clone(), service.to_owned()))
    {
        return Err(super::errors::service_not_found());
    }
    let stopped = input.desired_status.as_deref() == Some("STOPPED");
    let matches = |task: &&Task| {
        task.cluster == *cluster
            && task.is_wanted() != stopped
            && (service.is_none() || task.service.as_deref() == service)
            && input.family.as_ref().is_none_or(|family| *family == task.definition.family)
            && (input.started_by.is_none() || task.started_by == input.started_by)
    };
    let arns = state.tasks.values().filter(matches).map(|task| state.names.task(cluster, &task.id)).collect();
    paging::answer("taskArns", arns, &input.page)
}

fn task_json(state: &State, task: &Task) -> Value {
    let mut answer = task.given.clone();
    answer.entry("overrides").or_insert_with(|| json!({ "containerOverrides": [] }));
    answer.extend(fields(json!({
        "taskArn": state.names.task(&task.cluster, &task.id),
        "clusterArn": state.names.cluster(&task.cluster),
        "taskDefinitionArn": task.definition.arn(&state.names),
        "lastStatus": task.status.name(),
        "desiredStatus": if task.is_wanted() { "RUNNING" } else { "STOPPED" },
        "containers": [container_json(state, task)],
        "attachments": [attachment_json(task)],
        "attributes": [],
        "group": task.group,
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "availabilityZone": state.names.zone(),
        "healthStatus": "UNKNOWN",
        "connectivity": "CONNECTED",
        "version": task.status as u32 + 1,
        "createdAt": task.created_at.as_secs_f64(),
        "tags": tags::json(&task.tags),
    })));
    let seconds = |at: Option<Duration>| at.map(|at| json!(at.as_secs_f64()));
    let optional = [
        ("cpu", task.definition.text("cpu").map(Value::from)),
        ("memory", task.definition.text("memory").map(Value::from)),
        ("startedBy", task.started_by.clone().map(Value::from)),
        ("startedAt", seconds(task.started_at)),
        ("stoppingAt", seconds(task.stopping_at)),
        ("stoppedAt", seconds(task.stopped_at)),
        ("stopCode", task.end.as_ref().map(|end| Value::from(end.code))),
        ("stoppedReason", task.end.as_ref().map(|end| Value::from(end.reason.clone()))),
    ];
    answer.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(answer)
}

fn container_json(state: &State, task: &Task) -> Value {
    let container = &task.definition.container;
    // A container has fewer states than its task.
    let status = match task.status {
        Status::Provisioning | Status::Pending => "PENDING",
        Status::Running | Status::Deactivating | Status::Stopping => "RUNNING",
        Status::Stopped => "STOPPED",
    };
    let address = task.address.map(|address| address.to_string());
    let interfaces = address.map(|address| json!({ "attachmentId": task.attachment, "privateIpv4Address": address }));
    let bindings = task.moved_ports.iter().map(|(container, host)| {
        json!({ "bindIP": "127.0.0.1", "containerPort": container, "hostPort": host, "protocol": "tcp" })
    });
    let mut answer = fields(json!({
        "containerArn": state.names.container(&task.cluster, &task.id),
        "taskArn": state.names.task(&task.cluster, &task.id),
        "name": container.name,
        "image": container.image,
        "runtimeId": format!("{}-0", task.id),
        "lastStatus": status,
        "networkBindings": bindings.collect::<Value>(),
        "networkInterfaces": interfaces.into_iter().collect::<Value>(),
        "healthStatus": "UNKNOWN",
        "cpu": "0",
    }));
    if let Some((_, digest)) = container.image.split_once('@') {
        answer.insert("imageDigest".to_owned(), digest.into());
    }
    if let Some(code) = task.exit_code {
        answer.insert("exitCode".to_owned(), code.into());
    }
    Value::Object(answer)
}

fn attachment_json(task: &Task) -> Value {
    let (prefix, _) = task.id.split_at(17.min(task.id.len()));
    let mut details = vec![json!({ "name": "networkInterfaceId", "value": format!("eni-{prefix}") })];
    details.extend(task.address.map(|address| json!({ "name": "privateIPv4Address", "value": address.to_string() })));
    let status = match task.status {
        Status::Provisioning => "ATTACHING",
        Status::Stopped => "DELETED",
        _ => "ATTACHED",
    };
    json!({ "id": task.attachment, "type": "ElasticNetworkInterface", "status": status, "details": details })
}
