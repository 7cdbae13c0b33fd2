//! Operations on listeners.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Settings,
    errors::{self, invalid},
    headers::TraceIds,
    input::Input,
    proxy::Route,
    state::{Listener, State},
};
use crate::{clock::Clock, service::AwsError};

/// Ports that a listener may name: both are served in plain HTTP where the load balancer is.
const PORTS: [u16; 2] = [80, 443];

/// A listener that was created and is to be served.
pub(super) struct Opened {
    pub(super) arn: String,
    pub(super) listener: TcpListener,
    pub(super) route: Arc<Route>,
    pub(super) serving: CancellationToken,
}

/// Creates the one listener of a load balancer. TLS ends at AWS's load balancers; on one machine there is none.
pub(super) fn create(
    state: &mut State,
    (settings, clock): (&Settings, Clock),
    stopping: &CancellationToken,
    input: &Input,
) -> Result<Opened, AwsError> {
    let balancer = input.required("LoadBalancerArn")?;
    let port: u16 = input.number("Port")?.ok_or_else(|| invalid("Port is required"))?;
    if !PORTS.contains(&port) {
        return Err(AwsError::not_implemented(
            "elasticloadbalancing",
            "CreateListener with another port than 80 or 443",
        ));
    }
    let group = the_group(input)?;
    let target = state.group(&group)?.group.clone();
    if state.listeners.values().any(|listener| listener.balancer == balancer) {
        return Err(AwsError::not_implemented("elasticloadbalancing", "CreateListener for a second listener"));
    }
    let owner = state.balancer(&balancer)?;
    let address = owner.address;
    let listener = owner.listen().map_err(|error| {
        let message = format!("cannot listen on {address}: {error}. Stop what listens there and try again");
        AwsError::new("ServiceUnavailable", message)
    })?;
    let random = Uuid::new_v4();
    let id = &random.simple().to_string()[..16];
    let arn = format!("{}/{id}", balancer.replacen(":loadbalancer/", ":listener/", 1));
    let route = Route::new(target, settings.clone(), clock, TraceIds::new(random.as_u64_pair().1));
    let serving = stopping.child_token();
    let tags = input.pairs("Tags")?.into_iter().collect();
    let (given, held) = (input.clone(), (serving.clone(), route.clone()));
    let created = Listener { balancer, group, given, tags, serving: held.0, route: held.1 };
    state.listeners.insert(arn.clone(), created);
    Ok(Opened { arn, listener, route, serving })
}

/// The target group that the default action forwards to: the only action there is here.
fn the_group(input: &Input) -> Result<String, AwsError> {
    let unsupported =
        || AwsError::not_implemented("elasticloadbalancing", "actions other than to forward to one group");
    let actions: Vec<_> = input.parts("DefaultActions").collect();
    let [action] = actions.as_slice() else { return Err(unsupported()) };
    if action.text("Type").is_none_or(|kind| kind != "forward") {
        return Err(unsupported());
    }
    let listed: Vec<_> = action.part("ForwardConfig").parts("TargetGroups").collect();
    let listed = match listed.as_slice() {
        [] => None,
        [one] => one.text("TargetGroupArn"),
        _ => return Err(unsupported()),
    };
    action.text("TargetGroupArn").or(listed).ok_or_else(|| invalid("the default action names no target group"))
}

pub(super) fn describe(state: &State, input: &Input) -> Result<Value, AwsError> {
    let arns = input.texts("ListenerArns");
    let balancer = input.text("LoadBalancerArn");
    for arn in &arns {
        state.listeners.get(arn).ok_or_else(|| errors::no_listener(arn))?;
    }
    if let Some(balancer) = &balancer {
        state.balancers.get(balancer).ok_or_else(|| errors::no_balancer(balancer))?;
    }
    let wanted = |arn: &String, listener: &Listener| {
        (arns.is_empty() || arns.contains(arn)) && balancer.as_ref().is_none_or(|it| *it == listener.balancer)
    };
    let found = state.listeners.iter().filter(|(arn, listener)| wanted(arn, listener));
    Ok(json!({ "Listeners": found.map(|(arn, listener)| listener_json(arn, listener)).collect::<Value>() }))
}

/// Changes what a listener says of itself and where its requests go.
pub(super) fn modify(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let arn = input.required("ListenerArn")?;
    let group = if input.parts("DefaultActions").next().is_some() { Some(the_group(input)?) } else { None };
    let target = group.as_ref().map(|group| state.group(group).map(|found| found.group.clone())).transpose()?;
    let listener = state.listeners.get_mut(&arn).ok_or_else(|| errors::no_listener(&arn))?;
    for name in ["Port", "Protocol"] {
        if let Some(value) = input.text(name) {
            listener.given.0[name] = json!(value);
        }
    }
    if let (Some(group), Some(target)) = (group, target) {
        listener.group = group;
        listener.route.lead_to(target);
    }
    created(state, &arn)
}

pub(super) fn delete(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let arn = input.required("ListenerArn")?;
    state.close_listener(&arn).ok_or_else(|| errors::no_listener(&arn))?;
    Ok(json!({}))
}

/// The answer to `CreateListener` and `ModifyListener`.
pub(super) fn created(state: &State, arn: &str) -> Result<Value, AwsError> {
    let listener = state.listeners.get(arn).ok_or_else(|| errors::no_listener(arn))?;
    Ok(json!({ "Listeners": [listener_json(arn, listener)] }))
}

fn listener_json(arn: &str, listener: &Listener) -> Value {
    json!({
        "ListenerArn": arn,
        "LoadBalancerArn": listener.balancer,
        "Port": listener.given.number::<u16>("Port").ok().flatten(),
        "Protocol": listener.given.text("Protocol").unwrap_or_else(|| "HTTP".to_owned()),
        "DefaultActions": [{
            "Type": "forward",
            "TargetGroupArn": listener.group,
            "ForwardConfig": { "TargetGroups": [{ "TargetGroupArn": listener.group, "Weight": 1 }] },
        }],
    })
}
