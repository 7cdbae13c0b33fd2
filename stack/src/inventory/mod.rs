//! Everything that a deployment owns, found from the stack, from tags, and from what neither shows.

mod arn;
mod contents;
mod definitions;
mod existence;
mod logs;
mod owned;
mod tagged;

use serde::Serialize;

use crate::{
    call::CallError,
    clients::{Clients, Identity},
    name::DeploymentName,
    stack::{FoundStack, find},
};

pub(crate) use contents::list as contents;
pub(crate) use existence::{Existence, check as existence, cluster_of};

pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";
pub(crate) const STREAM: &str = "AWS::Kinesis::Stream";
pub(crate) const STREAM_CONSUMER: &str = "AWS::Kinesis::StreamConsumer";
pub(crate) const TABLE: &str = "AWS::DynamoDB::Table";
pub(crate) const LOG_GROUP: &str = "AWS::Logs::LogGroup";
pub(crate) const REPOSITORY: &str = "AWS::ECR::Repository";
/// Images have no type in CloudFormation.
pub(crate) const IMAGE: &str = "AWS::ECR::Image";
pub(crate) const CLUSTER: &str = "AWS::ECS::Cluster";
pub(crate) const SERVICE: &str = "AWS::ECS::Service";
pub(crate) const TASK: &str = "AWS::ECS::Task";
pub(crate) const TASK_DEFINITION: &str = "AWS::ECS::TaskDefinition";
pub(crate) const ALARM: &str = "AWS::CloudWatch::Alarm";

/// One thing that exists because of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Resource {
    /// The type as CloudFormation names it, for example `AWS::Kinesis::Stream`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What CloudFormation knows it by, which is a name for some types and an ARN for others. An image is
    /// `<repository>@<digest>`.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    pub owner: Owner,
}

impl Resource {
    /// Whether both mean the same thing, whoever made it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.kind == other.kind && self.id == other.id) || (self.arn.is_some() && self.arn == other.arn)
    }
}

/// Who made a resource, which decides how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Somebody else, inside a resource of the deployment: it must go first (images, stream consumers).
    Contents,
    /// CloudFormation: it goes with the stack.
    Stack,
    /// It carries the deployment's tag, and no stack owns it (any more).
    Tag,
}

/// What there is of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub deployment: DeploymentName,
    #[serde(flatten)]
    pub place: Identity,
    pub resources: Vec<Resource>,
    /// What has a name of the deployment, but neither its tag nor its stack: not the deployment's, left alone.
    pub foreign: Vec<Resource>,
}

impl Inventory {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }
}

/// Lists what the deployment owns. Changes nothing.
///
/// # Errors
/// When AWS refuses one of the reads: an inventory with holes would be a lie.
pub async fn take(clients: &Clients, name: &DeploymentName) -> Result<Inventory, CallError> {
    let stack = find(clients, name.as_str()).await?.filter(|stack| stack.belongs_to(name));
    take_with(clients, name, stack.as_ref()).await
}

/// Lists what the deployment owns, when its stack has been found already.
pub(crate) async fn take_with(
    clients: &Clients,
    name: &DeploymentName,
    stack: Option<&FoundStack>,
) -> Result<Inventory, CallError> {
    let place = clients.identity().await?;
    let mut resources = match stack {
        Some(stack) => owned::list(clients, stack).await?,
        None => Vec::new(),
    };
    let groups = logs::list(clients, name).await?;
    let tagged = tagged::list(clients, name).await?;
    let definitions = definitions::list(clients, name).await?;
    for found in tagged.into_iter().chain(definitions).chain(groups.tagged) {
        merge(&mut resources, found);
    }
    for found in contents(clients, &resources).await? {
        merge(&mut resources, found);
    }
    let foreign = groups.untagged.into_iter().filter(|group| !resources.iter().any(|known| known.is(group))).collect();
    resources.sort_by(|one, other| (one.owner, one).cmp(&(other.owner, other)));
    Ok(Inventory { deployment: name.clone(), place, resources, foreign })
}

/// Adds a resource, or what is new about one that is known.
fn merge(resources: &mut Vec<Resource>, found: Resource) {
    match resources.iter_mut().find(|known| known.is(&found)) {
        Some(known) => known.arn = known.arn.take().or(found.arn),
        None => resources.push(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, arn: Option<&str>, owner: Owner) -> Resource {
        Resource { kind: TABLE.to_owned(), id: id.to_owned(), arn: arn.map(str::to_owned), owner }
    }

    #[test]
    fn a_resource_that_the_stack_and_a_tag_show_is_one_and_the_stacks() {
        let mut resources = vec![resource("weir-control", None, Owner::Stack)];
        merge(&mut resources, resource("weir-control", Some("arn:table"), Owner::Tag));
        assert_eq!(resources, [resource("weir-control", Some("arn:table"), Owner::Stack)]);
    }

    #[test]
    fn a_resource_is_written_with_its_type_and_owner() {
        let written = serde_json::to_string(&resource("weir-control", None, Owner::Tag)).expect("serialises");
        assert_eq!(written, r#"{"type":"AWS::DynamoDB::Table","id":"weir-control","owner":"tag"}"#);
    }
}
