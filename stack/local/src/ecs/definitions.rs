//! Task definitions: revisions of a family.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    clusters::fields,
    errors::{client, invalid},
    names::{self, Names},
    paging::{self, Page},
    state::{Given, State},
    tags::{self, Tags},
};
use crate::service::AwsError;

/// How many definitions one `DeleteTaskDefinitions` takes (API reference).
const DELETE_MAX: usize = 10;

/// One CPU in the units of task definitions.
const CPU_UNITS: f64 = 1_024.0;

/// A registered revision.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) family: String,
    pub(super) revision: u32,
    pub(super) registered_at: Duration,
    pub(super) deregistered_at: Option<Duration>,
    /// Everything given at registration, with ECS's defaults filled in.
    given: Given,
    pub(super) container: Container,
    pub(super) tags: Tags,
}

/// What the runner needs of a container definition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) entry_point: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<Variable>,
    /// Seconds between SIGTERM and SIGKILL.
    pub(super) stop_timeout: Option<u64>,
    pub(super) log_configuration: Option<LogConfiguration>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogConfiguration {
    log_driver: String,
    options: BTreeMap<String, String>,
}

impl Container {
    /// The log group and the stream's prefix, where the container logs to CloudWatch Logs.
    pub(super) fn log(&self) -> Option<(&str, Option<&str>)> {
        let log = self.log_configuration.as_ref().filter(|log| log.log_driver == "awslogs")?;
        let group = log.options.get("awslogs-group")?;
        Some((group, log.options.get("awslogs-stream-prefix").map(String::as_str)))
    }
}

impl Definition {
    pub(super) fn is_active(&self) -> bool {
        self.deregistered_at.is_none()
    }

    pub(super) fn arn(&self, names: &Names) -> String {
        names.definition(&self.family, self.revision)
    }

    /// CPUs of a task, where the definition states them.
    pub(super) fn cpus(&self) -> Option<f64> {
        self.number("cpu").map(|units| f64::from(units) / CPU_UNITS)
    }

    /// Memory of a task in MiB, where the definition states it.
    pub(super) fn memory_mib(&self) -> Option<u32> {
        self.number("memory")
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.given.get(field).and_then(Value::as_str)
    }

    fn number(&self, field: &str) -> Option<u32> {
        self.text(field).and_then(|text| text.parse().ok()).filter(|number| *number > 0)
    }

    fn json(&self, names: &Names) -> Value {
        let mut answer = self.given.clone();
        answer.extend(fields(json!({
            "taskDefinitionArn": self.arn(names),
            "family": self.family,
            "revision": self.revision,
            "status": if self.is_active() { "ACTIVE" } else { "INACTIVE" },
            "registeredAt": self.registered_at.as_secs_f64(),
            "compatibilities": ["EC2", "FARGATE"],
        })));
        if let Some(at) = self.deregistered_at {
            answer.insert("deregisteredAt".to_owned(), at.as_secs_f64().into());
        }
        Value::Object(answer)
    }
}

pub(super) fn register(state: &mut State, now: Duration, mut input: Given) -> Result<Value, AwsError> {
    let tags = tags::take(&mut input)?;
    let family = input.get("family").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_name(&family) {
        return Err(client("Family must be 1 to 255 letters, digits, hyphens and underscores."));
    }
    let container = the_container(&input)?;
    fill_defaults(&mut input);
    let revision = state.revisions.entry(family.clone()).or_default();
    *revision += 1;
    let revision = *revision;
    let definition = Definition {
        family: family.clone(),
        revision,
        registered_at: now,
        deregistered_at: None,
        given: input,
        container,
        tags,
    };
    let answer = json!({ "taskDefinition": definition.json(&state.names), "tags": tags::json(&definition.tags) });
    state.definitions.insert((family, revision), Arc::new(definition));
    Ok(answer)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A task is one process here, so its definition has one container.
fn the_container(input: &Given) -> Result<Container, AwsError> {
    let list = input.get("containerDefinitions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [container] = list else {
        return Err(if list.is_empty() {
            client("Container list cannot be empty.")
        } else {
            AwsError::not_implemented("ecs", "RegisterTaskDefinition with more than one container")
        });
    };
    let container: Container =
        serde_json::from_value(container.clone()).map_err(|error| client(format!("container definition: {error}")))?;
    if !is_name(&container.name) {
        return Err(client("Container name must be 1 to 255 letters, digits, hyphens and underscores."));
    }
    if container.image.is_empty() {
        return Err(client("Container.image should not be null or empty."));
    }
    Ok(container)
}

/// ECS gives these back even when they were not given.
fn fill_defaults(given: &mut Given) {
    for member in ["volumes", "placementConstraints", "requiresAttributes"] {
        given.entry(member).or_insert_with(|| json!([]));
    }
    let container = given.get_mut("containerDefinitions").and_then(|list| list.get_mut(0));
    let Some(container) = container.and_then(Value::as_object_mut) else { return };
    container.entry("cpu").or_insert_with(|| json!(0));
    container.entry("essential").or_insert_with(|| json!(true));
    for member in ["portMappings", "environment", "mountPoints", "volumesFrom"] {
        container.entry(member).or_insert_with(|| json!([]));
    }
    let mappings = container.get_mut("portMappings").and_then(Value::as_array_mut);
    for mapping in mappings.into_iter().flatten().filter_map(Value::as_object_mut) {
        let port = mapping.get("containerPort").cloned().unwrap_or_default();
        mapping.entry("hostPort").or_insert(port);
        mapping.entry("protocol").or_insert_with(|| json!("tcp"));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named {
    task_definition: String,
}

pub(super) fn describe(state: &State, input: &Named) -> Result<Value, AwsError> {
    let found = state.definition(&input.task_definition);
    let definition = found.ok_or_else(|| client("Unable to describe task definition."))?;
    Ok(json!({ "taskDefinition": definition.json(&state.names), "tags": tags::json(&definition.tags) }))
}

pub(super) fn deregister(state: &mut State, now: Duration, input: &Named) -> Result<Value, AwsError> {
    let (family, revision) = names::definition_of(&input.task_definition);
    let revision = revision.ok_or_else(|| client("The revision of the task definition is missing."))?;
    let found = state.definitions.get_mut(&(family.to_owned(), revision));
    let definition = found.ok_or_else(|| client("Unable to describe task definition."))?;
    Arc::make_mut(definition).deregistered_at.get_or_insert(now);
    Ok(json!({ "taskDefinition": definition.json(&state.names) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Several {
    task_definitions: Vec<String>,
}

/// Deletes deregistered revisions at once; ECS takes a while and shows `DELETE_IN_PROGRESS` meanwhile.
pub(super) fn delete(state: &mut State, input: &Several) -> Result<Value, AwsError> {
    if !(1..=DELETE_MAX).contains(&input.task_definitions.len()) {
        return Err(invalid(format!("1 to {DELETE_MAX} task definitions can be deleted at once.")));
    }
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for reference in &input.task_definitions {
        let found = state.definition(reference);
        match found.filter(|definition| !definition.is_active()) {
            None => failures.push(json!({
                "arn": reference,
                "reason": "The specified task definition is still in ACTIVE status or does not exist. \
                           Please deregister the target and try again.",
            })),
            Some(definition) => {
                let mut answer = definition.json(&state.names);
                answer["status"] = json!("DELETE_IN_PROGRESS");
                deleted.push(answer);
                state.definitions.remove(&(definition.family.clone(), definition.revision));
            }
        }
    }
    Ok(json!({ "taskDefinitions": deleted, "failures": failures }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    #[serde(flatten)]
    page: Page,
}

/// Revisions in order. The prefix is the whole name of a family here, as on AWS.
pub(super) fn list(state: &State, input: &List) -> Result<Value, AwsError> {
    let active = input.status.as_deref() != Some("INACTIVE");
    let of_family = |it: &&Arc<Definition>| input.family_prefix.as_ref().is_none_or(|family| *family == it.family);
    let found = state.definitions.values().filter(|it| it.is_active() == active).filter(of_family);
    let mut arns: Vec<_> = found.map(|it| it.arn(&state.names)).collect();
    if input.sort.as_deref() == Some("DESC") {
        arns.reverse();
    }
    paging::ordered("taskDefinitionArns", &arns, &input.page)
}

/// `status` may be `ACTIVE` (a family with an active revision), `INACTIVE` or `ALL`, which is also the default.
pub(super) fn list_families(state: &State, input: &List) -> Result<Value, AwsError> {
    let mut families: BTreeMap<&str, bool> = BTreeMap::new();
    for definition in state.definitions.values() {
        *families.entry(&definition.family).or_default() |= definition.is_active();
    }
    let prefix = input.family_prefix.as_deref().unwrap_or_default();
    let wanted = |active: bool| match input.status.as_deref() {
        Some("ACTIVE") => active,
        Some("INACTIVE") => !active,
        _ => true,
    };
    let found = families.into_iter().filter(|(family, active)| family.starts_with(prefix) && wanted(*active));
    paging::answer("families", found.map(|(family, _)| family.to_owned()).collect(), &input.page)
}
