//! Operations on target groups and their targets.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    errors::{self, invalid},
    group::{Algorithm, Behaviour, Group},
    health::{self, Checks, TargetHealth},
    input::Input,
    load_balancers::pairs_json,
    state::{Pairs, State, TargetGroup},
};
use crate::{service::AwsError, settings::Identity};

const DELAY: &str = "deregistration_delay.timeout_seconds";
const ALGORITHM: &str = "load_balancing.algorithm.type";

/// Attributes that every target group has, with ELB's values for them.
const ATTRIBUTES: [(&str, &str); 3] = [(DELAY, "300"), (ALGORITHM, "round_robin"), ("stickiness.enabled", "false")];

/// Settings of a group that were not given, with ELB's values for a group of addresses that speak HTTP.
const DEFAULTS: [(&str, &str); 10] = [
    ("Protocol", "HTTP"),
    ("ProtocolVersion", "HTTP1"),
    ("TargetType", "instance"),
    ("HealthCheckProtocol", "HTTP"),
    ("HealthCheckPort", "traffic-port"),
    ("HealthCheckPath", "/"),
    ("HealthCheckIntervalSeconds", "30"),
    ("HealthCheckTimeoutSeconds", "5"),
    ("HealthyThresholdCount", "5"),
    ("UnhealthyThresholdCount", "2"),
];

/// Settings that `ModifyTargetGroup` changes.
const MODIFIED: [&str; 9] = [
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckPath",
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
];

pub(super) fn create(state: &mut State, identity: &Identity, input: &Input) -> Result<Value, AwsError> {
    let name = input.required("Name")?;
    if state.groups.values().any(|group| group.name == name) {
        let message = format!("A target group with the name '{name}' exists already");
        return Err(AwsError::new("DuplicateTargetGroupName", message));
    }
    if input.text("Protocol").is_some_and(|protocol| protocol != "HTTP") {
        return Err(AwsError::not_implemented(
            "elasticloadbalancing",
            "CreateTargetGroup of another protocol than HTTP",
        ));
    }
    let mut given = input.clone();
    for (name, value) in DEFAULTS {
        if given.text(name).is_none() {
            given.0[name] = json!(value);
        }
    }
    let attributes: Pairs = ATTRIBUTES.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let group = Group::new(behaviour(&given, &attributes)?);
    let id = &Uuid::new_v4().simple().to_string()[..16];
    let arn = identity.arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}"));
    let tags = input.pairs("Tags")?.into_iter().collect();
    state.groups.insert(arn.clone(), TargetGroup { name, given, attributes, tags, group });
    answer(state, &arn)
}

fn behaviour(given: &Input, attributes: &Pairs) -> Result<Behaviour, AwsError> {
    let seconds = |name: &str| Ok::<_, AwsError>(Duration::from_secs(given.number(name)?.unwrap_or_default()));
    let matcher = given.part("Matcher").text("HttpCode").unwrap_or_else(|| "200".to_owned());
    let port = given.text("HealthCheckPort").filter(|port| port != "traffic-port");
    let path = given.text("HealthCheckPath").unwrap_or_default();
    if !path.starts_with('/') || path.parse::<hyper::Uri>().is_err() {
        return Err(invalid(format!("HealthCheckPath '{path}' is not a path")));
    }
    let checks = Checks {
        path,
        port: port
            .map(|port| port.parse().map_err(|_| invalid(format!("HealthCheckPort '{port}' is not a port"))))
            .transpose()?,
        interval: seconds("HealthCheckIntervalSeconds")?,
        timeout: seconds("HealthCheckTimeoutSeconds")?,
        healthy_threshold: given.number("HealthyThresholdCount")?.unwrap_or_default(),
        unhealthy_threshold: given.number("UnhealthyThresholdCount")?.unwrap_or_default(),
        matcher: health::matcher(&matcher).ok_or_else(|| invalid(format!("Matcher '{matcher}' is not understood")))?,
    };
    let text = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let algorithm = match text(ALGORITHM) {
        "round_robin" => Algorithm::RoundRobin,
        "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
        other => return Err(AwsError::not_implemented("elasticloadbalancing", &format!("{ALGORITHM} {other}"))),
    };
    let delay = text(DELAY).parse().map_err(|_| invalid(format!("{DELAY} is not a number of seconds")))?;
    Ok(Behaviour { checks, algorithm, deregistration_delay: Duration::from_secs(delay) })
}

pub(super) fn describe(state: &State, input: &Input) -> Result<Value, AwsError> {
    let (arns, names) = (input.texts("TargetGroupArns"), input.texts("Names"));
    let balancer = input.text("LoadBalancerArn");
    for arn in &arns {
        state.groups.get(arn).ok_or_else(|| errors::no_group(arn))?;
    }
    for name in &names {
        let known = state.groups.values().any(|group| group.name == *name);
        known.then_some(()).ok_or_else(|| errors::no_group(name))?;
    }
    let wanted = |arn: &String, group: &TargetGroup| {
        (arns.is_empty() || arns.contains(arn))
            && (names.is_empty() || names.contains(&group.name))
            && balancer.as_ref().is_none_or(|balancer| state.balancers_of(arn).contains(balancer))
    };
    let found = state.groups.iter().filter(|(arn, group)| wanted(arn, group));
    Ok(json!({ "TargetGroups": found.map(|(arn, group)| group_json(state, arn, group)).collect::<Value>() }))
}

pub(super) fn delete(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let arn = input.required("TargetGroupArn")?;
    if !state.balancers_of(&arn).is_empty() {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(AwsError::new("ResourceInUse", message));
    }
    if let Some(removed) = state.groups.remove(&arn) {
        for (address, ..) in removed.group.standing() {
            removed.group.remove(address);
        }
    }
    Ok(json!({}))
}

pub(super) fn modify(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let arn = input.required("TargetGroupArn")?;
    let group = state.group(&arn)?;
    let mut given = group.given.clone();
    for name in MODIFIED {
        if !input.0[name].is_null() {
            given.0[name] = input.0[name].clone();
        }
    }
    group.group.behave(behaviour(&given, &group.attributes)?);
    group.given = given;
    answer(state, &arn)
}

pub(super) fn modify_attributes(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let changed = input.pairs("Attributes")?;
    let group = state.group(&input.required("TargetGroupArn")?)?;
    let mut attributes = group.attributes.clone();
    attributes.extend(changed);
    group.group.behave(behaviour(&group.given, &attributes)?);
    group.attributes = attributes;
    Ok(json!({ "Attributes": pairs_json(&group.attributes) }))
}

pub(super) fn describe_attributes(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let group = state.group(&input.required("TargetGroupArn")?)?;
    Ok(json!({ "Attributes": pairs_json(&group.attributes) }))
}

/// The addresses that `RegisterTargets` and `DeregisterTargets` name. A target without a port has its group's.
pub(super) fn targets(group: &TargetGroup, input: &Input) -> Result<Vec<SocketAddr>, AwsError> {
    let port: Option<u16> = group.given.number("Port")?;
    let address = |target: Input| {
        let id = target.required("Id")?;
        let unusable = || AwsError::new("InvalidTarget", format!("'{id}' is not a loopback address with a port"));
        let ip: std::net::IpAddr = id.parse().map_err(|_| unusable())?;
        let port = target.number("Port")?.or(port).ok_or_else(unusable)?;
        if ip.is_loopback() { Ok(SocketAddr::new(ip, port)) } else { Err(unusable()) }
    };
    input.parts("Targets").map(address).collect()
}

pub(super) fn describe_health(state: &mut State, input: &Input) -> Result<Value, AwsError> {
    let group = state.group(&input.required("TargetGroupArn")?)?;
    let asked = targets(group, input)?;
    let wanted = |address: &SocketAddr| asked.is_empty() || asked.contains(address);
    let describe = |(address, health, reason): (SocketAddr, TargetHealth, String)| {
        let mut standing = json!({ "State": health.name() });
        if health != TargetHealth::Healthy {
            standing["Reason"] = json!(match health {
                TargetHealth::Initial => "Elb.RegistrationInProgress",
                TargetHealth::Draining => "Target.DeregistrationInProgress",
                TargetHealth::Unhealthy => "Target.FailedHealthChecks",
                TargetHealth::Healthy | TargetHealth::Unused => "Target.NotRegistered",
            });
            standing["Description"] = json!(reason);
        }
        json!({
            "Target": { "Id": address.ip().to_string(), "Port": address.port() },
            "HealthCheckPort": address.port().to_string(),
            "TargetHealth": standing,
        })
    };
    let standing = group.group.standing().into_iter().filter(|(address, ..)| wanted(address));
    Ok(json!({ "TargetHealthDescriptions": standing.map(describe).collect::<Value>() }))
}

fn answer(state: &State, arn: &str) -> Result<Value, AwsError> {
    let group = state.groups.get(arn).ok_or_else(|| errors::no_group(arn))?;
    Ok(json!({ "TargetGroups": [group_json(state, arn, group)] }))
}

fn group_json(state: &State, arn: &str, group: &TargetGroup) -> Value {
    let text = |name: &str| group.given.text(name).map(Value::from);
    let number = |name: &str| group.given.number::<u32>(name).ok().flatten().map(Value::from);
    let members = [
        ("TargetGroupArn", Some(json!(arn))),
        ("TargetGroupName", Some(json!(group.name))),
        ("Protocol", text("Protocol")),
        ("ProtocolVersion", text("ProtocolVersion")),
        ("Port", number("Port")),
        ("VpcId", text("VpcId")),
        ("TargetType", text("TargetType")),
        ("HealthCheckEnabled", Some(json!(true))),
        ("HealthCheckProtocol", text("HealthCheckProtocol")),
        ("HealthCheckPort", text("HealthCheckPort")),
        ("HealthCheckPath", text("HealthCheckPath")),
        ("HealthCheckIntervalSeconds", number("HealthCheckIntervalSeconds")),
        ("HealthCheckTimeoutSeconds", number("HealthCheckTimeoutSeconds")),
        ("HealthyThresholdCount", number("HealthyThresholdCount")),
        ("UnhealthyThresholdCount", number("UnhealthyThresholdCount")),
        (
            "Matcher",
            Some(
                json!({ "HttpCode": group.given.part("Matcher").text("HttpCode").unwrap_or_else(|| "200".to_owned()) }),
            ),
        ),
        ("LoadBalancerArns", Some(json!(state.balancers_of(arn)))),
        ("IpAddressType", Some(json!("ipv4"))),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
