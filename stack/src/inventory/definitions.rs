//! Task definitions: CloudFormation only deregisters them, so they outlive their stack.

use aws_sdk_ecs::types::{TaskDefinitionField, TaskDefinitionStatus};

use super::{Owner, Resource, TASK_DEFINITION};
use crate::{
    call::{CallError, call},
    clients::Clients,
    name::{DEPLOYMENT_TAG, DeploymentName, Role},
};

/// Definitions of the deployment's families, registered or not, that carry its tag.
pub(super) async fn list(clients: &Clients, name: &DeploymentName) -> Result<Vec<Resource>, CallError> {
    let mut resources = Vec::new();
    for role in Role::ALL {
        for status in [TaskDefinitionStatus::Active, TaskDefinitionStatus::Inactive] {
            for arn in of_family(clients, &name.service(role), status).await? {
                if is_tagged(clients, &arn, name).await? {
                    let (kind, id) = (TASK_DEFINITION.to_owned(), arn.clone());
                    resources.push(Resource { kind, id, arn: Some(arn), owner: Owner::Tag });
                }
            }
        }
    }
    Ok(resources)
}

async fn of_family(clients: &Clients, family: &str, status: TaskDefinitionStatus) -> Result<Vec<String>, CallError> {
    let mut arns = Vec::new();
    let mut page = None;
    loop {
        let request =
            clients.ecs.list_task_definitions().family_prefix(family).status(status.clone()).set_next_token(page);
        let answer = call("ecs:ListTaskDefinitions", request.send()).await?;
        arns.extend(answer.task_definition_arns.unwrap_or_default());
        page = answer.next_token;
        if page.is_none() {
            return Ok(arns);
        }
    }
}

async fn is_tagged(clients: &Clients, arn: &str, name: &DeploymentName) -> Result<bool, CallError> {
    let request = clients.ecs.describe_task_definition().task_definition(arn).include(TaskDefinitionField::Tags);
    let answer = call("ecs:DescribeTaskDefinition", request.send()).await?;
    let mut tags = answer.tags().iter();
    Ok(tags.any(|tag| tag.key() == Some(DEPLOYMENT_TAG) && tag.value() == Some(name.as_str())))
}
