//! ECR: repositories and images.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// ECR: repositories and images.
pub struct Ecr {
    context: Context,
}

impl Ecr {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = &self.context;
        Err(AwsError::not_implemented("ecr", &call.operation))
    }

    /// The configuration of an image, for the ECS runner. `reference` is a tag or a `sha256:` digest.
    ///
    /// # Errors
    /// A sentence for a stopped task's reason, as ECS words it (`CannotPullContainerError: ...`).
    pub(crate) fn image_config(&self, repository: &str, reference: &str) -> Result<ImageConfig, String> {
        Err(format!("CannotPullContainerError: {repository}:{reference} not found"))
    }
}

/// What an image says about how it is run: the `config` member of its OCI configuration.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageConfig {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}
