//! One stack as CloudFormation describes it.

use aws_sdk_cloudformation::types::{Stack, StackStatus};

use crate::{
    call::{CallError, call, required},
    clients::Clients,
    name::{DEPLOYMENT_TAG, DeploymentName},
};

/// A stack that exists, or whose end CloudFormation still remembers.
pub(crate) struct FoundStack {
    /// The ARN: unlike the name it means this very stack, also after its deletion.
    pub(crate) id: String,
    pub(crate) status: StackStatus,
    pub(crate) description: Stack,
}

impl FoundStack {
    pub(crate) fn belongs_to(&self, name: &DeploymentName) -> bool {
        let tag = self.description.tags().iter().find(|tag| tag.key() == Some(DEPLOYMENT_TAG));
        tag.and_then(|tag| tag.value()) == Some(name.as_str())
    }

    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        let parameter = self.description.parameters().iter().find(|parameter| parameter.parameter_key() == Some(key));
        parameter.and_then(|parameter| parameter.parameter_value())
    }

    /// Whether CloudFormation would refuse to delete it, or some of its resources would.
    pub(crate) fn is_protected(&self) -> bool {
        self.description.enable_termination_protection() == Some(true) || self.parameter("Protect") == Some("true")
    }

    pub(crate) fn reason(&self) -> &str {
        self.description.stack_status_reason().unwrap_or("no reason given")
    }

    pub(crate) fn is_settled(&self) -> bool {
        !self.status.as_str().ends_with("_IN_PROGRESS") || self.status == StackStatus::ReviewInProgress
    }
}

/// Finds a stack by its name or ARN. A deleted stack is found by its ARN only.
pub(crate) async fn find(clients: &Clients, stack: &str) -> Result<Option<FoundStack>, CallError> {
    const OPERATION: &str = "cloudformation:DescribeStacks";
    let answer = match call(OPERATION, clients.cloudformation.describe_stacks().stack_name(stack).send()).await {
        Err(error) if error.says("ValidationError", "does not exist") => return Ok(None),
        answer => answer?,
    };
    let Some(description) = answer.stacks.unwrap_or_default().into_iter().next() else { return Ok(None) };
    Ok(Some(FoundStack {
        id: required(description.stack_id.clone(), OPERATION, "StackId")?,
        status: required(description.stack_status.clone(), OPERATION, "StackStatus")?,
        description,
    }))
}
