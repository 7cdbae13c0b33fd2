//! The outputs of a deployment's stack.

use aws_sdk_cloudformation::types::Stack;
use serde::Serialize;

use super::DeployError;
use crate::{
    clients::Clients,
    name::{DeploymentName, Role},
    stack::find,
};

/// Where everything is: the outputs of the stack (ARCHITECTURE.md, "Names of a deployment").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outputs {
    pub ingest_url: String,
    pub stream_name: String,
    pub cluster_name: String,
    pub control_table_name: String,
    pub lease_table_name: String,
    pub producer_service_name: String,
    pub consumer_service_name: String,
    pub control_plane_service_name: String,
}

impl Outputs {
    pub(crate) fn of(stack: &Stack) -> Result<Self, DeployError> {
        let output = |key: &'static str| {
            let named = stack.outputs().iter().find(|output| output.output_key() == Some(key));
            named.and_then(|output| output.output_value()).map(str::to_owned).ok_or(DeployError::MissingOutput(key))
        };
        Ok(Self {
            ingest_url: output("IngestUrl")?,
            stream_name: output("StreamName")?,
            cluster_name: output("ClusterName")?,
            control_table_name: output("ControlTableName")?,
            lease_table_name: output("LeaseTableName")?,
            producer_service_name: output("ProducerServiceName")?,
            consumer_service_name: output("ConsumerServiceName")?,
            control_plane_service_name: output("ControlPlaneServiceName")?,
        })
    }

    /// The name of a role's service.
    #[must_use]
    pub fn service(&self, role: Role) -> &str {
        match role {
            Role::Producer => &self.producer_service_name,
            Role::Consumer => &self.consumer_service_name,
            Role::ControlPlane => &self.control_plane_service_name,
        }
    }
}

/// The outputs of the deployment of that name, if there is one and it is this system's.
///
/// # Errors
/// When AWS does not answer, when a stack of that name is not a deployment, or when it is not complete.
pub async fn describe(clients: &Clients, name: &DeploymentName) -> Result<Option<Outputs>, DeployError> {
    match find(clients, name.as_str()).await? {
        None => Ok(None),
        Some(stack) if !stack.belongs_to(name) => Err(DeployError::Foreign { stack: name.to_string() }),
        Some(stack) => Outputs::of(&stack.description).map(Some),
    }
}
