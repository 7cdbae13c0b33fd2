//! Operations on clusters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    names,
    paging::{self, Page},
    state::{Cluster, Given, Service, ServiceStatus, State},
    tags,
};
use crate::service::AwsError;

/// Members of `CreateCluster`, `UpdateCluster` and friends that are kept and given back.
const KEPT: &[&str] =
    &["settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"];

pub(super) fn create(state: &mut State, mut input: Given) -> Result<Value, AwsError> {
    let name = input.get("clusterName").and_then(Value::as_str).unwrap_or("default").to_owned();
    let tags = tags::take(&mut input)?;
    let known = state.clusters.get(&name).is_some_and(|cluster| cluster.active);
    if !known {
        let given = input.into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())).collect();
        state.clusters.insert(name.clone(), Cluster { name: name.clone(), active: true, given, tags });
    }
    answer(state, &name)
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Describe {
    clusters: Vec<String>,
}

impl Default for Describe {
    fn default() -> Self {
        Self { clusters: vec!["default".to_owned()] }
    }
}

pub(super) fn describe(state: &State, input: &Describe) -> Value {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for reference in &input.clusters {
        match state.clusters.get(names::name_of(reference)) {
            Some(cluster) => found.push(cluster_json(state, cluster)),
            None => failures.push(json!({
                "arn": state.names.cluster(names::name_of(reference)),
                "reason": "MISSING",
            })),
        }
    }
    json!({ "clusters": found, "failures": failures })
}

pub(super) fn list(state: &State, page: &Page) -> Result<Value, AwsError> {
    let active = state.clusters.values().filter(|cluster| cluster.active);
    paging::answer("clusterArns", active.map(|cluster| state.names.cluster(&cluster.name)).collect(), page)
}

#[derive(Deserialize)]
pub(super) struct Named {
    cluster: Option<String>,
}

pub(super) fn delete(state: &mut State, input: &Named) -> Result<Value, AwsError> {
    let name = state.cluster(input.cluster.as_deref())?.name.clone();
    let busy = |service: &Service| service.cluster == name && service.status != ServiceStatus::Inactive;
    if state.services.values().any(busy) {
        return Err(AwsError::new(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        ));
    }
    if state.tasks.values().any(|task| task.cluster == name && task.stopped_at.is_none()) {
        return Err(AwsError::new(
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        ));
    }
    if let Some(cluster) = state.clusters.get_mut(&name) {
        cluster.active = false;
    }
    answer(state, &name)
}

/// `UpdateCluster`, `UpdateClusterSettings` and `PutClusterCapacityProviders`: the new values are kept, nothing else
/// follows from them on one machine.
pub(super) fn update(state: &mut State, input: Given) -> Result<Value, AwsError> {
    let name = state.cluster(input.get("cluster").and_then(Value::as_str))?.name.clone();
    if let Some(cluster) = state.clusters.get_mut(&name) {
        cluster.given.extend(input.into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())));
    }
    answer(state, &name)
}

fn answer(state: &State, name: &str) -> Result<Value, AwsError> {
    let cluster = state.clusters.get(name).ok_or_else(|| AwsError::internal("the cluster is gone"))?;
    Ok(json!({ "cluster": cluster_json(state, cluster) }))
}

fn cluster_json(state: &State, cluster: &Cluster) -> Value {
    let tasks = || state.tasks.values().filter(|task| task.cluster == cluster.name && task.is_wanted());
    let running = tasks().filter(|task| task.is_running()).count();
    let services = state.services.values();
    let active = services.filter(|it| it.cluster == cluster.name && it.status == ServiceStatus::Active).count();
    let mut answer = cluster.given.clone();
    answer.extend(fields(json!({
        "clusterArn": state.names.cluster(&cluster.name),
        "clusterName": cluster.name,
        "status": if cluster.active { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": running,
        "pendingTasksCount": tasks().count() - running,
        "activeServicesCount": active,
        "statistics": [],
        "tags": tags::json(&cluster.tags),
    })));
    Value::Object(answer)
}

/// The members of an object literal.
pub(super) fn fields(object: Value) -> Given {
    match object {
        Value::Object(fields) => fields,
        _ => Given::new(),
    }
}
