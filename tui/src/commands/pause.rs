//! `ctl pause`: nothing is changed for a while.

use std::time::Duration;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use controlplane::record::{Pause, PauseScope};
use serde::Serialize;

use super::arguments::{PipelineArg, duration};
use crate::{
    clock,
    failure::{Exit, Failure},
    output::{FormatArgs, Writer},
    person,
    target::{Global, Target},
    wording::pause,
};

/// Have the control plane watch and decide, but change nothing, for a while or until `ctl resume`
///
/// A pause that stands is replaced. It holds every change of its direction that was not yet asked of AWS.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl pause --for 2h --reason 'moving the database'
  ctl pause in --for 8h --reason 'keep the shards over the sale'
  ctl pause --pipeline orders --reason 'their launch'
  ctl resume")]
pub(super) struct Args {
    /// What is paused: going down, going up, or both
    #[arg(value_enum, default_value = "all")]
    scope: Scope,
    /// How long, for example 30m or 2h; without it until `ctl resume`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// Why, for whoever looks next
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pipeline: PipelineArg,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// Going down
    In,
    /// Going up
    Out,
    /// Both
    All,
}

impl From<Scope> for PauseScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::In => Self::In,
            Scope::Out => Self::Out,
            Scope::All => Self::All,
        }
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    pause: &'a Pause,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let at = clock::now();
    let until = args.length.map(|length| at.checked_add(length)).transpose();
    let until = until.map_err(|_| Failure::usage("--for goes beyond the end of the calendar"))?;
    let pause = Pause { scope: args.scope.into(), until, reason: args.reason, by: person::who(), at };
    let pipeline = args.pipeline.resolve(&target).await?;
    target.control_table().set_pause(&pipeline, &pause).await?;
    Writer::from(args.format).document(&Document { version: 1, pause: &pause }, || pause::line(&pause))?;
    Ok(Exit::Done)
}
