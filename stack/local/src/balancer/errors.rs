//! Elastic Load Balancing's errors.

use crate::service::AwsError;

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

pub(super) fn no_balancer(name: &str) -> AwsError {
    AwsError::new("LoadBalancerNotFound", format!("Load balancer '{name}' not found"))
}

pub(super) fn no_group(name: &str) -> AwsError {
    AwsError::new("TargetGroupNotFound", format!("Target group '{name}' not found"))
}

pub(super) fn no_listener(name: &str) -> AwsError {
    AwsError::new("ListenerNotFound", format!("Listener '{name}' not found"))
}
