//! Why a resource could not be made, changed or removed: the reason in its events.

use std::time::Duration;

use crate::service::AwsError;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "Resource handler returned message: \"{} (Service: {service}, Status Code: {}, Error Code: {})\"",
        .error.message, .error.status, .error.code
    )]
    Service {
        service: &'static str,
        // Not a source: CloudFormation's texts carry the service's words in themselves.
        error: AwsError,
    },
    #[error("Resource handler returned message: \"{0}\"")]
    NotStable(String),
    #[error("Exceeded {} seconds of waiting for {what}", .limit.as_secs())]
    TimedOut { what: String, limit: Duration },
    /// Another resource failed, or the operation was stopped.
    #[error("Resource operation cancelled")]
    Cancelled,
    #[error("Encountered unsupported property {0}")]
    UnsupportedProperty(String),
}

impl Failure {
    /// Whether the service says that the resource does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Service { error, .. } if error.code.contains("NotFound"))
    }
}
