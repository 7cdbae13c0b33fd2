//! `ctl policy rollback`: an older policy, put in force again.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::policy::PolicyFile;

use super::{WrittenPolicy, put};
use crate::{
    failure::{Exit, Failure},
    output::{FormatArgs, Writer, chain},
    target::{Global, Target},
};

/// Put the text of an older generation in force again, as a new generation
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy rollback
  ctl policy rollback 3

A second rollback without a generation undoes the first. Exit codes: 1 there is no such generation, 4 somebody else
changed the policy meanwhile. Nothing is changed then.")]
pub(super) struct Args {
    /// A generation of `ctl policy history`, 0 for the defaults [default: the one before the one in force]
    generation: Option<u64>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let generation = match args.generation {
        Some(generation) => generation,
        None => previous(&target).await?,
    };
    let wanted = of_generation(&target, generation).await?;
    let applied = put(&target, &wanted).await?;
    Writer::from(args.format).document(&applied, || format!("back to generation {generation}: {}", applied.text()))?;
    Ok(Exit::Done)
}

async fn previous(target: &Target) -> Result<u64> {
    let stored = target.control_table().policy(target.name.as_str()).await?;
    let previous = stored.and_then(|stored| stored.generation.checked_sub(1));
    previous.ok_or_else(|| Failure::failed("no policy was applied: the defaults are in force").into())
}

async fn of_generation(target: &Target, generation: u64) -> Result<WrittenPolicy> {
    if generation == 0 {
        let file = PolicyFile::default();
        return Ok(WrittenPolicy { text: file.to_toml(), file });
    }
    let stored = target.control_table().policy_of_generation(target.name.as_str(), generation).await?;
    let text = match stored {
        Some(stored) => stored.text,
        None => {
            let failure = Failure::failed(format!("there is no generation {generation} of the policy"));
            return Err(failure.hint("`ctl policy history` lists them").into());
        }
    };
    match PolicyFile::parse(&text) {
        Ok(file) => Ok(WrittenPolicy { text, file }),
        Err(error) => {
            let failure = format!("this version cannot read generation {generation}: {}", chain(&error));
            Err(Failure::failed(failure).hint("nothing was changed").into())
        }
    }
}
