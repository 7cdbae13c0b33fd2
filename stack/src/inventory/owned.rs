//! What the stack itself owns.

use aws_sdk_cloudformation::types::{ResourceStatus, StackResourceSummary};

use super::{Owner, Resource, STACK};
use crate::{
    call::{CallError, call},
    clients::Clients,
    stack::FoundStack,
};

/// The stack and its resources, without those that are gone or not there yet.
pub(super) async fn list(clients: &Clients, stack: &FoundStack) -> Result<Vec<Resource>, CallError> {
    let name = stack.description.stack_name().unwrap_or(&stack.id).to_owned();
    let itself = Resource { kind: STACK.to_owned(), id: name, arn: Some(stack.id.clone()), owner: Owner::Stack };
    let mut resources = vec![itself];
    let mut page = None;
    loop {
        let request = clients.cloudformation.list_stack_resources().stack_name(&stack.id).set_next_token(page);
        let answer = call("cloudformation:ListStackResources", request.send()).await?;
        resources.extend(answer.stack_resource_summaries().iter().filter_map(present));
        page = answer.next_token;
        if page.is_none() {
            return Ok(resources);
        }
    }
}

fn present(resource: &StackResourceSummary) -> Option<Resource> {
    if resource.resource_status() == Some(&ResourceStatus::DeleteComplete) {
        return None;
    }
    let id = resource.physical_resource_id().filter(|id| !id.is_empty())?.to_owned();
    let arn = id.starts_with("arn:").then(|| id.clone());
    Some(Resource { kind: resource.resource_type()?.to_owned(), id, arn, owner: Owner::Stack })
}
