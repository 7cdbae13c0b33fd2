//! `ctl resume`: ends a pause.

use anyhow::Result;
use clap::Args as ClapArgs;
use serde::Serialize;

use super::arguments::PipelineArg;
use crate::{
    clock,
    failure::Exit,
    output::{FormatArgs, Writer},
    target::{Global, Target},
};

/// End a pause, so that the control plane changes things again
///
/// It is no error when nothing is paused.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl resume
  ctl resume --name second
  ctl resume --pipeline orders")]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArg,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    was_paused: bool,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let (table, pipeline) = (target.control_table(), args.pipeline.resolve(&target).await?);
    let was_paused = table.pause(&pipeline).await?.is_some_and(|pause| pause.is_in_force(clock::now()));
    table.resume(&pipeline).await?;
    let text = if was_paused { "scaling goes on" } else { "nothing was paused" };
    Writer::from(args.format).document(&Document { version: 1, was_paused }, || text.to_owned())?;
    Ok(Exit::Done)
}
