//! What can go wrong in a deployment, and what a person can do about it.

use std::time::Duration;

use crate::{call::CallError, image::PushError, name::Role};

/// Why a deployment did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("cannot push the image of the {role}")]
    Push { role: Role, source: PushError },
    #[error("stack {stack} exists and is not this deployment: it has no tag weir:deployment={stack}")]
    Foreign { stack: String },
    #[error("stack {stack} is {status}")]
    Stuck { stack: String, status: String },
    #[error("stack {stack} ended as {status}: {reason}")]
    Failed { stack: String, status: String, reason: String },
    #[error("stack {stack} is being created with other images")]
    OtherImages { stack: String },
    #[error("the update would replace {} and lose what they hold", resources.join(", "))]
    Replacement { resources: Vec<String> },
    #[error("the update was refused before anything changed: {reason}")]
    ChangeSet { reason: String },
    #[error("service {service} is not steady: {reason}")]
    Unsteady { service: String, reason: String },
    #[error("the stack has no output {0}")]
    MissingOutput(&'static str),
    #[error("not finished after {} minutes", limit.as_secs() / 60)]
    Late { limit: Duration },
    #[error("interrupted")]
    Cancelled,
}

impl DeployError {
    /// What to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Call(CallError::Unanswered { .. }) => Some("check the credentials, the region and the endpoint"),
            Self::Call(_) | Self::MissingOutput(_) | Self::ChangeSet { .. } => None,
            Self::Push { .. } => Some("the stack was told and rolls back; deploy again"),
            Self::Foreign { .. } => Some("choose another name"),
            Self::Stuck { status, .. } if status == "UPDATE_ROLLBACK_FAILED" => Some(
                "mend the cause, continue the roll-back in CloudFormation, then deploy again; a teardown loses the data",
            ),
            Self::Stuck { .. } => Some("remove the deployment with a teardown, then deploy again"),
            Self::Failed { .. } => Some("the first failed resource above is the cause; deploy again when it is mended"),
            Self::OtherImages { .. } => Some("wait for the other deployment, or tear it down"),
            Self::Replacement { .. } => {
                Some("keep the parameters that cause it, or tear the deployment down and deploy anew")
            }
            Self::Unsteady { .. } => Some("read the log of the stopped tasks"),
            Self::Late { .. } | Self::Cancelled => Some("deploy again: it continues where it stopped"),
        }
    }

    /// Whether the same call continues the deployment.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Late { .. })
    }
}
