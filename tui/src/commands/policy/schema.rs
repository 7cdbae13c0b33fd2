//! `ctl policy schema`: what a policy file may say, for editors.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::policy::Policy;

use crate::{failure::Exit, output::write_line};

/// Print the JSON Schema of a policy file, for editors that check while one types
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy schema > policy.schema.json")]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> Result<Exit> {
    write_line(&serde_json::to_string_pretty(&Policy::json_schema())?)?;
    Ok(Exit::Done)
}
