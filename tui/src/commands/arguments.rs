//! Arguments that several commands read alike.

use std::time::Duration;

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::policy::PolicyFile;
use jiff::SignedDuration;

use crate::{failure::Failure, target::Target};

/// The option of commands that are about one pipeline.
#[derive(Debug, ClapArgs)]
pub(super) struct PipelineArg {
    /// One of the policy's [[pipeline]] tables; without it the deployment's own pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
}

impl PipelineArg {
    /// The pipeline's name, which the policy in force must know.
    pub(super) async fn resolve(&self, target: &Target) -> Result<String> {
        let own = target.name.as_str();
        let Some(name) = self.pipeline.as_deref().filter(|name| *name != own) else { return Ok(own.to_owned()) };
        let policy = target.control_table().policy(own).await?;
        let file = policy.and_then(|stored| PolicyFile::parse(&stored.text).ok()).unwrap_or_default();
        if file.pipelines.iter().any(|spec| spec.name == name) {
            return Ok(name.to_owned());
        }
        let known: Vec<_> = std::iter::once(own).chain(file.pipelines.iter().map(|spec| spec.name.as_str())).collect();
        let hint = format!("there are {}; a [[pipeline]] table of the policy adds one", known.join(", "));
        Err(Failure::usage(format!("the policy of {own} names no pipeline {name}")).hint(hint).into())
    }
}

/// A length of time such as `180s`, `5m` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let length = parsed.and_then(|length| Duration::try_from(length).ok()).filter(|length| !length.is_zero());
    length.ok_or_else(|| "expected a duration above zero, such as 180s, 5m or 2h".to_owned())
}
