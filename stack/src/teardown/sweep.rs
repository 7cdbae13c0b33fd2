//! What carries the deployment's tag and no stack deletes: leftovers of replaced resources, deregistered task
//! definitions, what somebody made beside the stack.

use aws_sdk_ecs::types::TaskDefinitionStatus;

use super::{Work, contents::deregister};
use crate::{
    call::{CallError, call, found},
    inventory::{
        ALARM, CLUSTER, LOG_GROUP, REPOSITORY, Resource, SERVICE, STREAM, STREAM_CONSUMER, TABLE, TASK_DEFINITION,
        cluster_of,
    },
    limits::TASK_DEFINITIONS_PER_DELETE,
    progress::Event,
};

/// The order in which kinds go: what holds others comes after them.
const ORDER: [&str; 8] = [SERVICE, CLUSTER, STREAM_CONSUMER, STREAM, TABLE, LOG_GROUP, REPOSITORY, ALARM];

/// Deletes everything in `resources` that it knows how to delete, and returns what AWS refused to delete now, such as a
/// stream that is still being created. One refusal does not keep the rest.
pub(super) async fn delete_all(work: Work<'_>, resources: &[Resource]) -> Vec<Resource> {
    let mut refused = Vec::new();
    for kind in ORDER {
        for resource in resources.iter().filter(|resource| resource.kind == kind) {
            if let Err(error) = delete(work, resource).await {
                tell(work, &resource.id, &error).await;
                refused.push(resource.clone());
            }
        }
    }
    let definitions: Vec<_> = resources.iter().filter(|resource| resource.kind == TASK_DEFINITION).collect();
    for batch in definitions.chunks(TASK_DEFINITIONS_PER_DELETE) {
        if let Err(error) = delete_definitions(work, batch).await {
            tell(work, "task definitions", &error).await;
            refused.extend(batch.iter().copied().cloned());
        }
    }
    refused
}

async fn tell(work: Work<'_>, what: &str, error: &CallError) {
    let (what, reason) = (format!("deleting {what}"), error.to_string());
    work.progress.report(Event::Retrying { what, reason }).await;
}

async fn delete(work: Work<'_>, resource: &Resource) -> Result<(), CallError> {
    let (clients, id) = (work.clients, resource.id.as_str());
    let absent = &["ResourceNotFoundException", "RepositoryNotFoundException", "ServiceNotFoundException"];
    match resource.kind.as_str() {
        SERVICE => {
            let request = clients.ecs.delete_service().set_cluster(cluster_of(id)).service(id).force(true);
            found(call("ecs:DeleteService", request.send()).await.map(drop), absent)
        }
        CLUSTER => {
            let request = clients.ecs.delete_cluster().cluster(id);
            found(call("ecs:DeleteCluster", request.send()).await.map(drop), absent)
        }
        STREAM => {
            let request = clients.kinesis.delete_stream().stream_name(id).enforce_consumer_deletion(true);
            found(call("kinesis:DeleteStream", request.send()).await.map(drop), absent)
        }
        STREAM_CONSUMER => deregister(work, resource).await.map(Some),
        TABLE => {
            let request = clients.dynamodb.delete_table().table_name(id);
            found(call("dynamodb:DeleteTable", request.send()).await.map(drop), absent)
        }
        LOG_GROUP => {
            let request = clients.logs.delete_log_group().log_group_name(id);
            found(call("logs:DeleteLogGroup", request.send()).await.map(drop), absent)
        }
        REPOSITORY => {
            let request = clients.ecr.delete_repository().repository_name(id).force(true);
            found(call("ecr:DeleteRepository", request.send()).await.map(drop), absent)
        }
        ALARM => {
            let request = clients.cloudwatch.delete_alarms().alarm_names(id);
            found(call("cloudwatch:DeleteAlarms", request.send()).await.map(drop), absent)
        }
        _ => Ok(None),
    }
    .map(drop)
}

/// Only a deregistered definition can be deleted.
async fn delete_definitions(work: Work<'_>, definitions: &[&Resource]) -> Result<(), CallError> {
    let ecs = &work.clients.ecs;
    for definition in definitions {
        let described =
            call("ecs:DescribeTaskDefinition", ecs.describe_task_definition().task_definition(&definition.id).send())
                .await?;
        let status = described.task_definition.and_then(|definition| definition.status);
        if status == Some(TaskDefinitionStatus::Active) {
            let request = ecs.deregister_task_definition().task_definition(&definition.id);
            call("ecs:DeregisterTaskDefinition", request.send()).await?;
        }
    }
    let arns = definitions.iter().map(|definition| definition.id.clone()).collect();
    let request = ecs.delete_task_definitions().set_task_definitions(Some(arns));
    call("ecs:DeleteTaskDefinitions", request.send()).await.map(drop)
}
