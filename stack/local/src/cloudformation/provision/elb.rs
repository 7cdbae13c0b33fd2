//! Load balancers, target groups and listeners. Their API has strings only.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Existing, Failure, Provisioned, Request,
    properties::{self, STRINGS},
};

const SERVICE: &str = "elasticloadbalancing";

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Source: the API's limit for names of load balancers and target groups.
const NAME_LENGTH_MAX: usize = 32;

const LOAD_BALANCER: &[&str] = &["IpAddressType", "Scheme", "SecurityGroups", "SubnetMappings", "Subnets", "Type"];

/// Properties that are not an input of the same name.
const LOAD_BALANCER_SEPARATE: &[&str] = &["LoadBalancerAttributes", "Name", "Tags"];

const TARGET_GROUP_HEALTH: &[&str] = &[
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "Matcher",
    "UnhealthyThresholdCount",
];

const TARGET_GROUP: &[&str] = &["IpAddressType", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId"];

const TARGET_GROUP_SEPARATE: &[&str] = &["Name", "Tags", "TargetGroupAttributes"];

const LISTENER: &[&str] =
    &["AlpnPolicy", "Certificates", "DefaultActions", "MutualAuthentication", "Port", "Protocol", "SslPolicy"];

const LISTENER_SEPARATE: &[&str] = &["LoadBalancerArn", "Tags"];

pub(super) async fn create_load_balancer(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[LOAD_BALANCER, LOAD_BALANCER_SEPARATE].concat())?;
    let mut input = picked(request, LOAD_BALANCER);
    let name = request.name("Name", NAME_LENGTH_MAX);
    properties::set(&mut input, "Name", name.as_str());
    let arn = create(request, "CreateLoadBalancer", input, &["LoadBalancers", "LoadBalancerArn"]).await?;
    modify_attributes(request, "LoadBalancer", "LoadBalancerAttributes", &arn, &json!({})).await?;
    let balancer = request
        .wait("the load balancer to become active", READY_TIMEOUT, || async {
            let input = json!({ "LoadBalancerArns": [arn] });
            let balancer = request.call(SERVICE, "DescribeLoadBalancers", input).await?["LoadBalancers"][0].take();
            Ok((balancer["State"]["Code"] == "active").then_some(balancer))
        })
        .await?;
    let attributes = [
        ("CanonicalHostedZoneID", balancer["CanonicalHostedZoneId"].clone()),
        ("DNSName", balancer["DNSName"].clone()),
        ("LoadBalancerArn", json!(arn)),
        ("LoadBalancerFullName", json!(full_name(&arn).trim_start_matches("loadbalancer/"))),
        ("LoadBalancerName", json!(name)),
    ];
    Ok(Provisioned::new(arn.as_str(), attributes))
}

pub(super) async fn update_load_balancer(
    request: &Request<'_>,
    existing: &Existing<'_>,
) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[LOAD_BALANCER, LOAD_BALANCER_SEPARATE].concat())?;
    let arn = existing.physical_id;
    let calls =
        [("SetSubnets", "Subnets"), ("SetSecurityGroups", "SecurityGroups"), ("SetIpAddressType", "IpAddressType")];
    for (operation, property) in calls {
        if request.changes(existing, property) {
            let mut input = picked(request, &[property]);
            properties::set(&mut input, "LoadBalancerArn", arn);
            request.call(SERVICE, operation, input).await?;
        }
    }
    modify_attributes(request, "LoadBalancer", "LoadBalancerAttributes", arn, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn create_target_group(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[TARGET_GROUP, TARGET_GROUP_HEALTH, TARGET_GROUP_SEPARATE].concat())?;
    let mut input = picked(request, &[TARGET_GROUP, TARGET_GROUP_HEALTH].concat());
    let name = request.name("Name", NAME_LENGTH_MAX);
    properties::set(&mut input, "Name", name.as_str());
    let arn = create(request, "CreateTargetGroup", input, &["TargetGroups", "TargetGroupArn"]).await?;
    modify_attributes(request, "TargetGroup", "TargetGroupAttributes", &arn, &json!({})).await?;
    let attributes = [
        ("TargetGroupArn", json!(arn)),
        ("TargetGroupFullName", json!(full_name(&arn))),
        ("TargetGroupName", json!(name)),
    ];
    Ok(Provisioned::new(arn.as_str(), attributes))
}

pub(super) async fn update_target_group(
    request: &Request<'_>,
    existing: &Existing<'_>,
) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[TARGET_GROUP, TARGET_GROUP_HEALTH, TARGET_GROUP_SEPARATE].concat())?;
    let arn = existing.physical_id;
    if TARGET_GROUP_HEALTH.iter().any(|property| request.changes(existing, property)) {
        let mut input = picked(request, TARGET_GROUP_HEALTH);
        properties::set(&mut input, "TargetGroupArn", arn);
        request.call(SERVICE, "ModifyTargetGroup", input).await?;
    }
    modify_attributes(request, "TargetGroup", "TargetGroupAttributes", arn, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn create_listener(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[LISTENER, LISTENER_SEPARATE].concat())?;
    let input = picked(request, &[LISTENER, &["LoadBalancerArn"]].concat());
    let arn = create(request, "CreateListener", input, &["Listeners", "ListenerArn"]).await?;
    Ok(Provisioned::new(arn.as_str(), [("ListenerArn", json!(arn))]))
}

pub(super) async fn update_listener(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[LISTENER, LISTENER_SEPARATE].concat())?;
    if LISTENER.iter().any(|property| request.changes(existing, property)) {
        let mut input = picked(request, LISTENER);
        properties::set(&mut input, "ListenerArn", existing.physical_id);
        request.call(SERVICE, "ModifyListener", input).await?;
    }
    Ok(existing.unchanged())
}

pub(super) async fn delete(request: &Request<'_>, operation: &str, member: &str, arn: &str) -> Result<(), Failure> {
    request.call(SERVICE, operation, json!({ member: arn })).await.map(|_| ())
}

fn picked(request: &Request<'_>, names: &[&str]) -> Value {
    properties::typed(&properties::pick(request.properties, names), &STRINGS)
}

/// Calls a creating operation; `path` leads to the ARN in its answer.
async fn create(request: &Request<'_>, operation: &str, mut input: Value, path: &[&str; 2]) -> Result<String, Failure> {
    if !request.tags.is_empty() {
        properties::set(&mut input, "Tags", request.tag_pairs());
    }
    let answer = request.call(SERVICE, operation, input).await?;
    let [list, member] = path;
    let arn = answer[list][0][member].as_str().unwrap_or_default().to_owned();
    (request.identify)(&arn);
    Ok(arn)
}

async fn modify_attributes(
    request: &Request<'_>,
    what: &str,
    property: &str,
    arn: &str,
    before: &Value,
) -> Result<(), Failure> {
    let wanted = &request.properties[property];
    if wanted.is_null() || properties::same(wanted, &before[property]) {
        return Ok(());
    }
    let input = json!({ format!("{what}Arn"): arn, "Attributes": properties::typed(wanted, &STRINGS) });
    request.call(SERVICE, &format!("Modify{what}Attributes"), input).await.map(|_| ())
}

/// What CloudWatch calls the resource: the end of its ARN.
fn full_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
