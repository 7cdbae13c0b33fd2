//! Operations on load balancers.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Settings, errors,
    input::Input,
    state::{LoadBalancer, Pairs, State, hold},
};
use crate::{service::AwsError, settings::Identity};

/// Attributes that every load balancer has, with ELB's values for them.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("access_logs.s3.enabled", "false"),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
];

pub(super) fn create(
    state: &mut State,
    (identity, settings): (&Identity, &Settings),
    now: Duration,
    input: &Input,
) -> Result<Value, AwsError> {
    let name = input.required("Name")?;
    if input.text("Type").is_some_and(|kind| kind != "application") {
        return Err(AwsError::not_implemented(
            "elasticloadbalancing",
            "CreateLoadBalancer of another type than application",
        ));
    }
    if state.balancers.values().any(|balancer| balancer.name == name) {
        let message = format!("A load balancer with the name '{name}' exists already");
        return Err(AwsError::new("DuplicateLoadBalancerName", message));
    }
    let wanted = if state.balancers.values().any(|balancer| balancer.address == settings.listen) {
        SocketAddr::new(settings.listen.ip(), 0)
    } else {
        settings.listen
    };
    let taken = |error: std::io::Error| {
        AwsError::new(
            "ServiceUnavailable",
            format!(
                "the load balancer cannot have {wanted}: {error}. Stop what listens there, or choose another address for it"
            ),
        )
    };
    let socket = hold(wanted).map_err(taken)?;
    let address = socket.local_addr().map_err(taken)?;
    let id = &Uuid::new_v4().simple().to_string()[..16];
    let arn = identity.arn("elasticloadbalancing", &format!("loadbalancer/app/{name}/{id}"));
    let balancer = LoadBalancer {
        name,
        created_at: now,
        address,
        socket: Some(socket),
        given: input.clone(),
        attributes: ATTRIBUTES.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        tags: input.pairs("Tags")?.into_iter().collect(),
    };
    let answer = json!({ "LoadBalancers": [balancer_json(&arn, &balancer, identity)] });
    state.balancers.insert(arn, balancer);
    Ok(answer)
}

pub(super) fn describe(state: &State, identity: &Identity, input: &Input) -> Result<Value, AwsError> {
    let (arns, names) = (input.texts("LoadBalancerArns"), input.texts("Names"));
    for arn in &arns {
        state.balancers.get(arn).ok_or_else(|| errors::no_balancer(arn))?;
    }
    for name in &names {
        let known = state.balancers.values().any(|balancer| balancer.name == *name);
        known.then_some(()).ok_or_else(|| errors::no_balancer(name))?;
    }
    let wanted = |arn: &String, balancer: &LoadBalancer| {
        (arns.is_empty() || arns.contains(arn)) && (names.is_empty() || names.contains(&balancer.name))
    };
    let found = state.balancers.iter().filter(|(arn, balancer)| wanted(arn, balancer));
    let found = found.map(|(arn, balancer)| balancer_json(arn, balancer, identity));
    Ok(json!({ "LoadBalancers": found.collect::<Value>() }))
}

/// Deletes a load balancer and its listeners. One that does not exist is deleted already, as on AWS.
pub(super) fn delete(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let arn = input.required("LoadBalancerArn")?;
    let protected = state.balancers.get(&arn).and_then(|it| it.attributes.get("deletion_protection.enabled"));
    if protected.is_some_and(|protected| protected == "true") {
        let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    let own = state.listeners.iter().filter(|(_, listener)| listener.balancer == arn);
    let own: Vec<_> = own.map(|(listener, _)| listener.clone()).collect();
    for listener in own {
        state.close_listener(&listener);
    }
    state.balancers.remove(&arn);
    Ok(json!({}))
}

pub(super) fn modify_attributes(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let changed = input.pairs("Attributes")?;
    let balancer = state.balancer(&input.required("LoadBalancerArn")?)?;
    balancer.attributes.extend(changed);
    Ok(json!({ "Attributes": pairs_json(&balancer.attributes) }))
}

pub(super) fn describe_attributes(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let balancer = state.balancer(&input.required("LoadBalancerArn")?)?;
    Ok(json!({ "Attributes": pairs_json(&balancer.attributes) }))
}

/// `SetSubnets`, `SetSecurityGroups` and `SetIpAddressType`: the new values are kept, nothing follows from them here.
pub(super) fn set(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let given = &mut state.balancer(&input.required("LoadBalancerArn")?)?.given;
    for name in ["Subnets", "SecurityGroups", "IpAddressType"] {
        if !input.0[name].is_null() {
            given.0[name] = input.0[name].clone();
        }
    }
    Ok(json!({
        "SecurityGroupIds": given.texts("SecurityGroups"),
        "IpAddressType": given.text("IpAddressType"),
    }))
}

/// `[{"Key", "Value"}]`.
pub(super) fn pairs_json(pairs: &Pairs) -> Value {
    pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn balancer_json(arn: &str, balancer: &LoadBalancer, identity: &Identity) -> Value {
    let subnets = balancer.given.texts("Subnets");
    let zones = subnets.iter().zip(["a", "b", "c"].into_iter().cycle());
    let zones =
        zones.map(|(subnet, zone)| json!({ "SubnetId": subnet, "ZoneName": format!("{}{zone}", identity.region) }));
    let at = i64::try_from(balancer.created_at.as_millis()).unwrap_or(i64::MAX);
    json!({
        "LoadBalancerArn": arn,
        "LoadBalancerName": balancer.name,
        // A host and a port, so that a URL made of it leads here.
        "DNSName": balancer.address.to_string(),
        "CanonicalHostedZoneId": "Z0000000000LOCALCLOUD",
        "CreatedTime": jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string(),
        "Scheme": balancer.given.text("Scheme").unwrap_or_else(|| "internet-facing".to_owned()),
        "VpcId": "vpc-localcloud",
        "State": { "Code": "active" },
        "Type": "application",
        "AvailabilityZones": zones.collect::<Value>(),
        "SecurityGroups": balancer.given.texts("SecurityGroups"),
        "IpAddressType": balancer.given.text("IpAddressType").unwrap_or_else(|| "ipv4".to_owned()),
    })
}
