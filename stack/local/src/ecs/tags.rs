//! Tags of clusters, services, task definitions and tasks.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    errors::invalid,
    names,
    state::{Given, ServiceStatus, State},
};
use crate::service::AwsError;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// Tags as ECS writes them.
pub(super) fn json(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// Takes the tags out of a call's fields.
pub(super) fn take(given: &mut Given) -> Result<Tags, AwsError> {
    let tags = given.remove("tags").unwrap_or_default();
    read(tags.as_array().map(Vec::as_slice).unwrap_or_default())
}

/// Reads `[{"key": .., "value": ..}]`.
fn read(tags: &[Value]) -> Result<Tags, AwsError> {
    let pair = |tag: &Value| {
        let key = tag["key"].as_str().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| invalid("Tag key must not be empty."))?;
        Ok((key.to_owned(), tag["value"].as_str().unwrap_or_default().to_owned()))
    };
    tags.iter().map(pair).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    resource_arn: String,
}

pub(super) fn list(state: &mut State, input: &Resource) -> Result<Value, AwsError> {
    let mut listed = Value::Null;
    edit(state, &input.resource_arn, |tags| listed = json(tags))?;
    Ok(json!({ "tags": listed }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tag {
    resource_arn: String,
    tags: Vec<Value>,
}

pub(super) fn tag(state: &mut State, input: &Tag) -> Result<Value, AwsError> {
    let added = read(&input.tags)?;
    edit(state, &input.resource_arn, |tags| tags.extend(added))?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Untag {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag(state: &mut State, input: &Untag) -> Result<Value, AwsError> {
    edit(state, &input.resource_arn, |tags| tags.retain(|key, _| !input.tag_keys.contains(key)))?;
    Ok(json!({}))
}

/// Changes the tags of what an ARN names.
fn edit(state: &mut State, arn: &str, change: impl FnOnce(&mut Tags)) -> Result<(), AwsError> {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    let definition = arn.split_once(":task-definition/").map(|(_, name)| names::definition_of(name));
    if let Some((family, revision)) = definition {
        let key = (family.to_owned(), revision.unwrap_or_default());
        let found = state.definitions.get_mut(&key).map(Arc::make_mut);
        let found = found.ok_or_else(|| invalid("The specified task definition is not found."))?;
        change(&mut found.tags);
        return Ok(());
    }
    let path: Vec<&str> = resource.split('/').collect();
    let found = match path[..] {
        ["cluster", name] => state.clusters.get_mut(name).filter(|it| it.active).map(|it| &mut it.tags),
        ["service", cluster, name] => {
            let service = state.services.get_mut(&(cluster.to_owned(), name.to_owned()));
            service.filter(|it| it.status != ServiceStatus::Inactive).map(|it| &mut it.tags)
        }
        ["task", _, id] => state.tasks.get_mut(id).map(|it| &mut it.tags),
        _ => None,
    };
    change(found.ok_or_else(|| invalid(format!("The specified resource is not found: {arn}")))?);
    Ok(())
}

/// Everything that exists and may carry tags, by ARN.
pub(super) fn tagged(state: &State) -> Vec<(String, Tags)> {
    let names = &state.names;
    let clusters = state.clusters.values().filter(|it| it.active).map(|it| (names.cluster(&it.name), it.tags.clone()));
    let services = state.services.values().filter(|it| it.status != ServiceStatus::Inactive);
    let services = services.map(|it| (names.service(&it.cluster, &it.name), it.tags.clone()));
    let definitions = state.definitions.values().filter(|it| it.is_active());
    let definitions = definitions.map(|it| (names.definition(&it.family, it.revision), it.tags.clone()));
    let tasks = state.tasks.values().filter(|it| it.stopped_at.is_none());
    let tasks = tasks.map(|it| (names.task(&it.cluster, &it.id), it.tags.clone()));
    clusters.chain(services).chain(definitions).chain(tasks).filter(|(_, tags)| !tags.is_empty()).collect()
}
