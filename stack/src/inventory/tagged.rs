//! What carries the deployment's tag.

use aws_sdk_resourcegroupstagging::types::TagFilter;

use super::{Existence, Resource, arn::identify, existence};
use crate::{
    call::{CallError, call},
    clients::Clients,
    name::{DEPLOYMENT_TAG, DeploymentName},
};

/// The tagging API is eventually consistent and also returns what is gone already, so each find is looked up with its
/// own service. What cannot be looked up is believed.
pub(super) async fn list(clients: &Clients, name: &DeploymentName) -> Result<Vec<Resource>, CallError> {
    let filter = TagFilter::builder().key(DEPLOYMENT_TAG).values(name.as_str()).build();
    let mut resources = Vec::new();
    let mut page = None;
    loop {
        let request = clients.tagging.get_resources().tag_filters(filter.clone()).set_pagination_token(page);
        let answer = call("tag:GetResources", request.send()).await?;
        for arn in answer.resource_tag_mapping_list().iter().filter_map(|mapping| mapping.resource_arn()) {
            let resource = identify(arn);
            if existence(clients, &resource).await? != Existence::Gone {
                resources.push(resource);
            }
        }
        page = answer.pagination_token.filter(|token| !token.is_empty());
        if page.is_none() {
            return Ok(resources);
        }
    }
}
