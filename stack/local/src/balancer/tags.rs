//! Tags of load balancers, target groups and listeners.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    errors,
    input::Input,
    load_balancers::pairs_json,
    state::{Pairs, State},
};
use crate::service::AwsError;

pub(super) fn add(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let added = input.pairs("Tags")?;
    for arn in input.texts("ResourceArns") {
        of(state, &arn)?.extend(added.clone());
    }
    Ok(json!({}))
}

pub(super) fn remove(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let keys = input.texts("TagKeys");
    for arn in input.texts("ResourceArns") {
        of(state, &arn)?.retain(|key, _| !keys.contains(key));
    }
    Ok(json!({}))
}

pub(super) fn describe(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let describe = |arn: String| {
        let tags = pairs_json(of(state, &arn)?);
        Ok(json!({ "ResourceArn": arn, "Tags": tags }))
    };
    let described: Result<Vec<Value>, AwsError> = input.texts("ResourceArns").into_iter().map(describe).collect();
    Ok(json!({ "TagDescriptions": described? }))
}

fn of<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut Pairs, AwsError> {
    if arn.contains(":loadbalancer/") {
        state.balancer(arn).map(|balancer| &mut balancer.tags)
    } else if arn.contains(":targetgroup/") {
        state.group(arn).map(|group| &mut group.tags)
    } else {
        let listener = state.listeners.get_mut(arn).ok_or_else(|| errors::no_listener(arn))?;
        Ok(&mut listener.tags)
    }
}

/// Everything that carries tags, by ARN.
pub(super) fn tagged(state: &State) -> Vec<(String, BTreeMap<String, String>)> {
    let balancers = state.balancers.iter().map(|(arn, it)| (arn, &it.tags));
    let groups = state.groups.iter().map(|(arn, it)| (arn, &it.tags));
    let listeners = state.listeners.iter().map(|(arn, it)| (arn, &it.tags));
    let all = balancers.chain(groups).chain(listeners).filter(|(_, tags)| !tags.is_empty());
    all.map(|(arn, tags)| (arn.clone(), tags.clone())).collect()
}
