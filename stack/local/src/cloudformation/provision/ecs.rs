//! Clusters and task definitions.

use serde_json::{Value, json};

use super::{
    Existing, Failure, Provisioned, Request,
    properties::{self, Shape, camel_case},
};

/// Source: the ECS API's limit for names.
pub(super) const NAME_LENGTH_MAX: usize = 255;

/// Members of container definitions and services that are not strings. A task's own `Cpu` and `Memory` are strings; a
/// container's are numbers, which is why they are read apart.
pub(super) const SHAPE: Shape = Shape {
    numbers: &[
        "Base",
        "ContainerPort",
        "DesiredCount",
        "HardLimit",
        "HealthCheckGracePeriodSeconds",
        "HostPort",
        "Interval",
        "MaximumPercent",
        "MemoryReservation",
        "MinimumHealthyPercent",
        "Port",
        "Retries",
        "SizeInGiB",
        "SoftLimit",
        "StartPeriod",
        "StartTimeout",
        "StopTimeout",
        "Timeout",
        "Weight",
    ],
    flags: &[
        "DisableNetworking",
        "Enable",
        "EnableECSManagedTags",
        "EnableExecuteCommand",
        "Enabled",
        "Essential",
        "InitProcessEnabled",
        "Privileged",
        "PseudoTerminal",
        "ReadOnly",
        "ReadonlyRootFilesystem",
        "Rollback",
    ],
};

const CONTAINER_SHAPE: Shape = Shape { numbers: &["Cpu", "Memory"], flags: &[] };

/// Members whose keys are data.
const OPAQUE: &[&str] = &["DockerLabels", "Options"];

const CLUSTER_PROPERTIES: &[&str] = &[
    "CapacityProviders",
    "ClusterName",
    "ClusterSettings",
    "Configuration",
    "DefaultCapacityProviderStrategy",
    "Tags",
];

/// Properties as an input of the ECS API.
pub(super) fn input(request: &Request<'_>) -> Value {
    let mut wanted = properties::typed(request.properties, &SHAPE);
    if let Some(Value::Array(containers)) = wanted.get_mut("ContainerDefinitions") {
        for container in containers {
            let sizes = properties::typed(&properties::pick(container, CONTAINER_SHAPE.numbers), &CONTAINER_SHAPE);
            for (name, size) in sizes.as_object().into_iter().flatten() {
                properties::set(container, name, size.clone());
            }
        }
    }
    let mut input = camel_case(&wanted, OPAQUE);
    properties::set(&mut input, "tags", camel_case(&request.tag_pairs(), &[]));
    input
}

pub(super) async fn create_cluster(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(CLUSTER_PROPERTIES)?;
    let mut input = cluster_input(request);
    let name = request.name("ClusterName", NAME_LENGTH_MAX);
    // ECS answers with the cluster that exists; CloudFormation refuses to take it over.
    let existing = request.call("ecs", "DescribeClusters", json!({ "clusters": [name] })).await?;
    if existing["clusters"].as_array().into_iter().flatten().any(|cluster| cluster["status"] == "ACTIVE") {
        return Err(Failure::NotStable(format!(
            "Resource of type 'AWS::ECS::Cluster' with identifier '{name}' already exists."
        )));
    }
    properties::set(&mut input, "clusterName", name.as_str());
    let cluster = request.call("ecs", "CreateCluster", input).await?["cluster"].take();
    (request.identify)(&name);
    Ok(Provisioned::new(name, [("Arn", cluster["clusterArn"].clone())]))
}

pub(super) async fn update_cluster(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(CLUSTER_PROPERTIES)?;
    let wanted = cluster_input(request);
    if request.changes(existing, "ClusterSettings") || request.changes(existing, "Configuration") {
        let mut input = properties::pick(&wanted, &["configuration", "settings"]);
        properties::set(&mut input, "cluster", existing.physical_id);
        request.call("ecs", "UpdateCluster", input).await?;
    }
    if request.changes(existing, "CapacityProviders") || request.changes(existing, "DefaultCapacityProviderStrategy") {
        let list = |name: &str| wanted.get(name).cloned().unwrap_or_else(|| json!([]));
        let input = json!({
            "cluster": existing.physical_id,
            "capacityProviders": list("capacityProviders"),
            "defaultCapacityProviderStrategy": list("defaultCapacityProviderStrategy"),
        });
        request.call("ecs", "PutClusterCapacityProviders", input).await?;
    }
    Ok(existing.unchanged())
}

pub(super) async fn delete_cluster(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    request.call("ecs", "DeleteCluster", json!({ "cluster": name })).await.map(|_| ())
}

/// CloudFormation calls the API's `settings` `ClusterSettings`.
fn cluster_input(request: &Request<'_>) -> Value {
    let mut input = input(request);
    let settings = input["clusterSettings"].take();
    if let Value::Object(members) = &mut input {
        members.remove("clusterSettings");
    }
    if !settings.is_null() {
        properties::set(&mut input, "settings", settings);
    }
    input
}

pub(super) async fn register_task_definition(request: &Request<'_>) -> Result<Provisioned, Failure> {
    let mut input = input(request);
    if input["family"].is_null() {
        properties::set(&mut input, "family", request.generated_name(NAME_LENGTH_MAX));
    }
    let answer = request.call("ecs", "RegisterTaskDefinition", input).await?;
    let arn = answer["taskDefinition"]["taskDefinitionArn"].as_str().unwrap_or_default();
    (request.identify)(arn);
    Ok(Provisioned::new(arn, [("TaskDefinitionArn", json!(arn))]))
}

pub(super) async fn deregister_task_definition(request: &Request<'_>, arn: &str) -> Result<(), Failure> {
    request.call("ecs", "DeregisterTaskDefinition", json!({ "taskDefinition": arn })).await.map(|_| ())
}
