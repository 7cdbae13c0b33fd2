//! Whether a resource exists, asked of its own service.

use aws_sdk_cloudformation::types::StackStatus;
use aws_sdk_ecs::types::TaskDefinitionStatus;

use super::{
    ALARM, CLUSTER, IMAGE, LOG_GROUP, REPOSITORY, Resource, SERVICE, STACK, STREAM, STREAM_CONSUMER, TABLE, TASK,
    TASK_DEFINITION, logs::with_prefix,
};
use crate::{
    call::{CallError, call, found},
    clients::Clients,
    stack::find,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    Here,
    Gone,
    /// No service that this crate knows can tell.
    Unknown,
}

pub(crate) async fn check(clients: &Clients, resource: &Resource) -> Result<Existence, CallError> {
    let id = resource.id.as_str();
    let here = match resource.kind.as_str() {
        STACK => stack(clients, resource.arn.as_deref().unwrap_or(id)).await?,
        STREAM => stream(clients, id).await?,
        STREAM_CONSUMER => consumer(clients, id).await?,
        TABLE => table(clients, id).await?,
        LOG_GROUP => with_prefix(clients, id).await?.iter().any(|group| group.log_group_name() == Some(id)),
        REPOSITORY => repository(clients, id).await?,
        IMAGE => image(clients, id).await?,
        CLUSTER => cluster(clients, id).await?,
        SERVICE => service(clients, id).await?,
        TASK => task(clients, id).await?,
        TASK_DEFINITION => task_definition(clients, id).await?,
        ALARM => alarm(clients, id).await?,
        _ => return Ok(Existence::Unknown),
    };
    Ok(if here { Existence::Here } else { Existence::Gone })
}

async fn stack(clients: &Clients, id: &str) -> Result<bool, CallError> {
    Ok(find(clients, id).await?.is_some_and(|stack| stack.status != StackStatus::DeleteComplete))
}

async fn stream(clients: &Clients, name: &str) -> Result<bool, CallError> {
    let request = clients.kinesis.describe_stream_summary().stream_name(name);
    let answer = call("kinesis:DescribeStreamSummary", request.send()).await;
    Ok(found(answer, &["ResourceNotFoundException"])?.is_some())
}

async fn consumer(clients: &Clients, arn: &str) -> Result<bool, CallError> {
    let request = clients.kinesis.describe_stream_consumer().consumer_arn(arn);
    let answer = call("kinesis:DescribeStreamConsumer", request.send()).await;
    Ok(found(answer, &["ResourceNotFoundException"])?.is_some())
}

async fn table(clients: &Clients, name: &str) -> Result<bool, CallError> {
    let answer = call("dynamodb:DescribeTable", clients.dynamodb.describe_table().table_name(name).send()).await;
    Ok(found(answer, &["ResourceNotFoundException"])?.is_some())
}

async fn repository(clients: &Clients, name: &str) -> Result<bool, CallError> {
    let request = clients.ecr.describe_repositories().repository_names(name);
    let answer = call("ecr:DescribeRepositories", request.send()).await;
    Ok(found(answer, &["RepositoryNotFoundException"])?.is_some())
}

async fn image(clients: &Clients, id: &str) -> Result<bool, CallError> {
    let Some((repository, digest)) = id.split_once('@') else { return Ok(false) };
    let digest = aws_sdk_ecr::types::ImageIdentifier::builder().image_digest(digest).build();
    let request = clients.ecr.batch_get_image().repository_name(repository).image_ids(digest);
    let answer = call("ecr:BatchGetImage", request.send()).await;
    Ok(found(answer, &["RepositoryNotFoundException"])?.is_some_and(|answer| !answer.images().is_empty()))
}

async fn cluster(clients: &Clients, name: &str) -> Result<bool, CallError> {
    let answer = call("ecs:DescribeClusters", clients.ecs.describe_clusters().clusters(name).send()).await?;
    Ok(answer.clusters().iter().any(|cluster| cluster.status() != Some("INACTIVE")))
}

async fn service(clients: &Clients, arn: &str) -> Result<bool, CallError> {
    let request = clients.ecs.describe_services().set_cluster(cluster_of(arn)).services(arn);
    let answer = call("ecs:DescribeServices", request.send()).await;
    let services = found(answer, &["ClusterNotFoundException"])?.and_then(|answer| answer.services);
    Ok(services.unwrap_or_default().iter().any(|service| service.status() != Some("INACTIVE")))
}

async fn task(clients: &Clients, arn: &str) -> Result<bool, CallError> {
    let request = clients.ecs.describe_tasks().set_cluster(cluster_of(arn)).tasks(arn);
    let answer = call("ecs:DescribeTasks", request.send()).await;
    let tasks = found(answer, &["ClusterNotFoundException"])?.and_then(|answer| answer.tasks);
    Ok(tasks.unwrap_or_default().iter().any(|task| task.last_status() != Some("STOPPED")))
}

/// ECS answers `ClientException` for a definition that it does not know.
async fn task_definition(clients: &Clients, arn: &str) -> Result<bool, CallError> {
    let request = clients.ecs.describe_task_definition().task_definition(arn);
    let answer = found(call("ecs:DescribeTaskDefinition", request.send()).await, &["ClientException"])?;
    let definition = answer.and_then(|answer| answer.task_definition);
    Ok(definition.is_some_and(|definition| definition.status() != Some(&TaskDefinitionStatus::DeleteInProgress)))
}

async fn alarm(clients: &Clients, name: &str) -> Result<bool, CallError> {
    let answer = call("cloudwatch:DescribeAlarms", clients.cloudwatch.describe_alarms().alarm_names(name).send());
    let answer = answer.await?;
    Ok(!answer.metric_alarms().is_empty())
}

/// The cluster's name within the ARN of a service or task: `.../service/<cluster>/<name>`.
pub(crate) fn cluster_of(arn: &str) -> Option<String> {
    let mut parts = arn.rsplit('/').skip(1);
    parts.next().filter(|part| !part.contains(':')).map(str::to_owned)
}
