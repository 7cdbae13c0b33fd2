//! Kinesis Data Streams.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Quotas and delays.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// Kinesis Data Streams.
pub struct Kinesis {
    context: Context,
    settings: Settings,
}

impl Kinesis {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        Arc::new(Self { context, settings })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = (&self.context, &self.settings);
        Err(AwsError::not_implemented("kinesis", &call.operation))
    }
}
