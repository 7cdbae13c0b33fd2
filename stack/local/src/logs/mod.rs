//! CloudWatch Logs: what tasks print.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Quotas and delays.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// CloudWatch Logs: what tasks print.
pub struct Logs {
    context: Context,
    settings: Settings,
}

impl Logs {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        Arc::new(Self { context, settings })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = (&self.context, &self.settings);
        Err(AwsError::not_implemented("logs", &call.operation))
    }

    /// Appends one line (without its end) that a task printed now. Creates the stream when it is missing.
    pub(crate) fn append(&self, group: &str, stream: &str, line: Bytes) {
        let _ = (group, stream, line);
    }
}
