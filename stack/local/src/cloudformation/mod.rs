//! CloudFormation: stacks from a template.

mod template;

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// CloudFormation: stacks from a template.
pub struct CloudFormation {
    context: Context,
}

impl CloudFormation {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = &self.context;
        Err(AwsError::not_implemented("cloudformation", &call.operation))
    }
}
