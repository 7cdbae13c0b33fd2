//! Log groups with a name of the deployment. Container Insights and log drivers make groups again that were deleted,
//! without the tag.

use aws_sdk_cloudwatchlogs::types::LogGroup;

use super::{LOG_GROUP, Owner, Resource};
use crate::{
    call::{CallError, call, found},
    clients::Clients,
    name::{DEPLOYMENT_TAG, DeploymentName},
};

#[derive(Default)]
pub(super) struct LogGroups {
    pub(super) tagged: Vec<Resource>,
    pub(super) untagged: Vec<Resource>,
}

pub(super) async fn list(clients: &Clients, name: &DeploymentName) -> Result<LogGroups, CallError> {
    let mut groups = LogGroups::default();
    for prefix in [name.log_group_prefix(), format!("/aws/ecs/containerinsights/{name}/")] {
        for group in with_prefix(clients, &prefix).await? {
            let Some(resource) = resource(&group) else { continue };
            let list =
                if is_tagged(clients, &resource, name).await? { &mut groups.tagged } else { &mut groups.untagged };
            list.push(resource);
        }
    }
    Ok(groups)
}

pub(super) async fn with_prefix(clients: &Clients, prefix: &str) -> Result<Vec<LogGroup>, CallError> {
    let mut groups = Vec::new();
    let mut page = None;
    loop {
        let request = clients.logs.describe_log_groups().log_group_name_prefix(prefix).set_next_token(page);
        let answer = call("logs:DescribeLogGroups", request.send()).await?;
        groups.extend(answer.log_groups.unwrap_or_default());
        page = answer.next_token;
        if page.is_none() {
            return Ok(groups);
        }
    }
}

fn resource(group: &LogGroup) -> Option<Resource> {
    let arn = group.log_group_arn().or(group.arn()).map(|arn| arn.trim_end_matches(":*").to_owned());
    Some(Resource { kind: LOG_GROUP.to_owned(), id: group.log_group_name()?.to_owned(), arn, owner: Owner::Tag })
}

async fn is_tagged(clients: &Clients, group: &Resource, name: &DeploymentName) -> Result<bool, CallError> {
    let request = clients.logs.list_tags_for_resource().set_resource_arn(group.arn.clone());
    let listed = found(call("logs:ListTagsForResource", request.send()).await, &["ResourceNotFoundException"])?;
    let tags = listed.and_then(|answer| answer.tags).unwrap_or_default();
    Ok(tags.get(DEPLOYMENT_TAG).is_some_and(|value| value == name.as_str()))
}
