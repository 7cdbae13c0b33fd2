//! ECS's errors.

use crate::service::AwsError;

/// An input that breaks a rule.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// What the caller asked for cannot be done with the resource it named.
pub(super) fn client(message: impl Into<String>) -> AwsError {
    AwsError::new("ClientException", message)
}

pub(super) fn service_not_found() -> AwsError {
    AwsError::new("ServiceNotFoundException", "Service not found.")
}

pub(super) fn service_not_active() -> AwsError {
    AwsError::new("ServiceNotActiveException", "Service was not ACTIVE.")
}
