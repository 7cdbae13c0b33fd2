//! `ctl policy apply`: puts a file in force.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::{
    policy::PolicyFile,
    record::{ApplyError, StoredPolicy},
};
use serde::Serialize;

use super::{WrittenPolicy, keys::changes, read};
use crate::{
    clock,
    failure::{Exit, Failure},
    output::{FormatArgs, Writer},
    person,
    target::{Global, Target},
};

/// Put a policy file in force, unless somebody else changed the policy meanwhile
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy apply policy.toml
  git show main:policy.toml | ctl policy apply -

Exit codes: 2 the file has an error, 4 somebody else changed the policy meanwhile. Nothing is changed then.")]
pub(super) struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let wanted = read(&args.file)?;
    let target = Target::resolve(global).await?;
    let applied = put(&target, &wanted).await?;
    Writer::from(args.format).document(&applied, || applied.text())?;
    Ok(Exit::Done)
}

/// What an apply changed.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Applied {
    version: u32,
    generation: u64,
    /// The keys that changed, with both values: `stream.max_shards: 4 -> 8`.
    changes: Vec<String>,
}

impl Applied {
    pub(super) fn text(&self) -> String {
        if self.changes.is_empty() {
            return format!("generation {} is in force; no key changed its value", self.generation);
        }
        format!("generation {} is in force:\n  {}", self.generation, self.changes.join("\n  "))
    }
}

/// Puts a policy in force on condition that it is still the one that was read here.
pub(in crate::commands) async fn put(target: &Target, wanted: &WrittenPolicy) -> Result<Applied> {
    let before = target.control_table().policy(target.name.as_str()).await?;
    replace(target, before, wanted).await
}

/// Puts a policy in force on condition that the one of `before` still is.
pub(super) async fn replace(target: &Target, before: Option<StoredPolicy>, wanted: &WrittenPolicy) -> Result<Applied> {
    let (table, pipeline) = (target.control_table(), target.name.as_str());
    let generation = before.as_ref().map_or(0, |stored| stored.generation);
    let old = before.map(|stored| PolicyFile::parse(&stored.text)).transpose();
    // A stored text that this version cannot read is replaced as a whole.
    let old = old.ok().flatten().unwrap_or_default();
    let applied = table.apply_policy(pipeline, &wanted.text, generation, &person::who(), clock::now()).await;
    match applied {
        Ok(generation) => Ok(Applied { version: 1, generation, changes: changes(&old, &wanted.file) }),
        Err(error @ ApplyError::Conflict { .. }) => {
            Err(Failure::refused(error.to_string()).hint("look at `ctl policy show`, then apply again").into())
        }
        Err(error) => Err(error.into()),
    }
}
