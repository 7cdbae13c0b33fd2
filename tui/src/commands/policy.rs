//! `ctl policy`: what the deployment is asked to be.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, Subcommand};
use controlplane::{
    policy::Policy,
    record::{ApplyError, StoredPolicy},
};
use serde::Serialize;

use crate::{
    clock,
    failure::{Exit, Failure},
    output::{FormatArgs, Writer, note},
    target::{Global, Target},
};

/// Show, check and change the policy
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy show > policy.toml
  ctl policy validate policy.toml
  ctl policy apply policy.toml

A file with an error changes nothing; the message shows the line, and the exit code is 2.")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the policy in force
    Show {
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Check a policy file without changing anything
    Validate {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Put a policy file in force, unless somebody else changed the policy meanwhile
    Apply {
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        format: FormatArgs,
    },
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    match args.action {
        Action::Show { format } => show(global, format.into()).await,
        Action::Validate { file } => {
            read(&file)?;
            note(format_args!("{} is a valid policy", file.display()));
            Ok(Exit::Done)
        }
        Action::Apply { file, format } => apply(global, &file, format.into()).await,
    }
}

/// A policy file that was read and checked.
#[derive(Debug, Clone)]
pub(super) struct PolicyFile {
    text: String,
    policy: Policy,
}

/// Reads a policy. The error of a wrong one shows its line and a caret.
pub(super) fn read(file: &Path) -> Result<PolicyFile> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?
    };
    match Policy::parse(&text) {
        Ok(policy) => Ok(PolicyFile { text, policy }),
        Err(error) => Err(Failure::usage(format!("{}: {error}", file.display()))
            .hint("nothing was changed; `ctl policy show` prints every key with its meaning")
            .into()),
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    /// 0 when none was ever applied and the defaults hold.
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_by: Option<&'a str>,
    text: &'a str,
}

async fn show(global: &Global, writer: Writer) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let stored = target.control_table().policy(target.name.as_str()).await?;
    let defaults = Policy::default().to_toml();
    let document = Document {
        version: 1,
        generation: stored.as_ref().map_or(0, |stored| stored.generation),
        applied_at: stored.as_ref().map(|stored| stored.applied_at.to_string()),
        applied_by: stored.as_ref().map(|stored| stored.applied_by.as_str()),
        text: stored.as_ref().map_or(defaults.as_str(), |stored| stored.text.as_str()),
    };
    match &stored {
        Some(StoredPolicy { generation, applied_at, applied_by, .. }) => {
            note(format_args!("generation {generation}, applied {applied_at:.0} by {applied_by}"));
        }
        None => note("no policy was applied: these defaults are in force"),
    }
    writer.document(&document, || document.text.to_owned())?;
    Ok(Exit::Done)
}

async fn apply(global: &Global, file: &Path, writer: Writer) -> Result<Exit> {
    let wanted = read(file)?;
    let target = Target::resolve(global).await?;
    let applied = put(&target, &wanted).await?;
    writer.document(&applied, || applied.text())?;
    Ok(Exit::Done)
}

/// What an apply changed.
#[derive(Debug, Serialize)]
pub(super) struct Applied {
    version: u32,
    generation: u64,
    /// The keys that changed, with both values: `shards.max: 4 -> 8`.
    changes: Vec<String>,
}

impl Applied {
    fn text(&self) -> String {
        if self.changes.is_empty() {
            return format!("generation {} is in force; no key changed its value", self.generation);
        }
        format!("generation {} is in force:\n  {}", self.generation, self.changes.join("\n  "))
    }
}

/// Puts a policy in force on condition that it is still the one that was read here.
pub(super) async fn put(target: &Target, wanted: &PolicyFile) -> Result<Applied> {
    let (table, pipeline) = (target.control_table(), target.name.as_str());
    let before = table.policy(pipeline).await?;
    let generation = before.as_ref().map_or(0, |stored| stored.generation);
    let old = before.map(|stored| Policy::parse(&stored.text)).transpose();
    // A stored text that this version cannot read is replaced as a whole.
    let old = old.ok().flatten().unwrap_or_default();
    let applied = table.apply_policy(pipeline, &wanted.text, generation, &who(), clock::now()).await;
    match applied {
        Ok(generation) => Ok(Applied { version: 1, generation, changes: changes(&old, &wanted.policy) }),
        Err(error @ ApplyError::Conflict { .. }) => {
            Err(Failure::refused(error.to_string()).hint("look at `ctl policy show`, then apply again").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The keys whose values differ.
fn changes(old: &Policy, new: &Policy) -> Vec<String> {
    let (old, new) = (keys(old), keys(new));
    let differs = old.iter().zip(&new).filter(|((_, old), (_, new))| old != new);
    differs.map(|((key, old), (_, new))| format!("{key}: {old} -> {new}")).collect()
}

/// Every key of a policy with its value, in the order in which it is printed.
fn keys(policy: &Policy) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in policy.to_toml().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push((format!("{section}{key}"), value.to_owned()));
        }
    }
    keys
}

/// Who is at the keyboard: `user@host`.
fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).or_else(user_by_id);
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let known = |word: Option<String>| word.unwrap_or_else(|| "?".to_owned());
    format!("{}@{}", known(user), known(host))
}

/// The user's name as the system knows it: services and containers often have no `USER`.
fn user_by_id() -> Option<String> {
    let answer = std::process::Command::new("id").arg("-un").output().ok().filter(|answer| answer.status.success())?;
    Some(String::from_utf8(answer.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apply_says_which_keys_changed() {
        let old = Policy::default();
        let new = Policy::parse("version = 1\n[stream]\nmax_shards = 7\n").expect("a policy");
        let changed = changes(&old, &new);
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].starts_with("stream.max_shards: ") && changed[0].ends_with(" -> 7"), "{changed:?}");
    }
}
