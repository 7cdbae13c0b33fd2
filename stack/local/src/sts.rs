//! STS: who am I.

use std::sync::Arc;

use serde_json::json;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
    settings::Identity,
};

/// STS: who am I.
pub struct Sts {
    identity: Identity,
}

impl Sts {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { identity: context.identity })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let account = &self.identity.account;
        match call.operation.as_str() {
            "GetCallerIdentity" => Reply::json(&json!({
                "Account": account,
                "Arn": format!("arn:aws:iam::{account}:root"),
                "UserId": account,
            })),
            other => Err(AwsError::not_implemented("sts", other)),
        }
    }
}
