//! STS: who am I.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// STS: who am I.
pub struct Sts {
    context: Context,
}

impl Sts {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = &self.context;
        Err(AwsError::not_implemented("sts", &call.operation))
    }
}
