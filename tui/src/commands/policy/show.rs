//! `ctl policy show`: the policy in force.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::{policy::Policy, record::StoredPolicy};
use serde::Serialize;

use crate::{
    failure::Exit,
    output::{FormatArgs, Writer, note},
    target::{Global, Target},
};

/// Print the policy in force
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy show > policy.toml
  ctl policy show --output json | jq .generation")]
pub(super) struct Args {
    #[command(flatten)]
    format: FormatArgs,
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

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
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
    Writer::from(args.format).document(&document, || document.text.to_owned())?;
    Ok(Exit::Done)
}
