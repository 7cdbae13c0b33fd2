//! ECS: clusters, task definitions, services and tasks, where a task is a process of this machine.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Quotas and delays.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// ECS: clusters, task definitions, services and tasks, where a task is a process of this machine.
pub struct Ecs {
    context: Context,
    settings: Settings,
}

impl Ecs {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        Arc::new(Self { context, settings })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = (&self.context, &self.settings);
        Err(AwsError::not_implemented("ecs", &call.operation))
    }

    /// Stops every task process and returns when none is left.
    pub async fn stop(&self) {}
}
