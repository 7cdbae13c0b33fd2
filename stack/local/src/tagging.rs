//! Resource Groups Tagging API: find resources of every service by tag.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Resource Groups Tagging API: find resources of every service by tag.
pub struct Tagging {
    context: Context,
}

impl Tagging {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = &self.context;
        Err(AwsError::not_implemented("tagging", &call.operation))
    }
}
