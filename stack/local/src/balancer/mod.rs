//! Elastic Load Balancing v2: one HTTP balancer, target groups and health checks.

use std::sync::Arc;

use std::net::SocketAddr;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Quotas and delays.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// Elastic Load Balancing v2: one HTTP balancer, target groups and health checks.
pub struct Balancer {
    context: Context,
    settings: Settings,
}

impl Balancer {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        Arc::new(Self { context, settings })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = (&self.context, &self.settings);
        Err(AwsError::not_implemented("elasticloadbalancing", &call.operation))
    }

    /// Adds a target to a group; it gets requests once its health check passes.
    pub(crate) fn register(&self, target_group_arn: &str, target: SocketAddr) -> Result<(), AwsError> {
        Err(AwsError::internal(format!("no target group {target_group_arn} for {target}")))
    }

    /// Takes a target out: no new requests at once, and returns when the open ones ended or the group's
    /// deregistration delay is over.
    pub(crate) async fn deregister(&self, target_group_arn: &str, target: SocketAddr) {
        let _ = (target_group_arn, target);
    }
}
