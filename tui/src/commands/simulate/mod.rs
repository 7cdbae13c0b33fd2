//! `ctl simulate`: what a policy would do with a load, beside others and the best possible.

mod document;
mod effect;
mod history;
mod load;
mod page;
mod runs;
mod shown;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use controlplane::simulate::{Fault, rivals::Kind};

pub(super) use effect::{Effect, effect};
pub(super) use load::{LoadArgs, read as read_load};
pub(super) use runs::{Request, WorldArgs, interruptible, policy};
pub(super) use shown::{hours, short};

use crate::{
    failure::{Exit, Failure},
    output,
    target::Global,
};

/// Try a policy on a load: throttling, lag, shard-hours and cost, beside other autoscalers
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl simulate --trace requests.csv --scale peak=12shards --rivals all --seeds 20
  ctl simulate --policy policy.toml --from-stream orders --since 14d
  ctl simulate --shape flash-crowd --days 2 --faults metrics-absent,api-throttled
  ctl simulate --trace requests.csv --rivals all --output html > result.html

Nothing is changed, and without --from-stream no AWS is asked. A trace is `time,value` rows of any period, rows of single
events, or one count a line. The same options give the same numbers on every machine.")]
pub(super) struct Args {
    /// The policy, or - for standard input; the defaults without it
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(super) load: load::LoadArgs,
    #[command(flatten)]
    pub(super) world: runs::WorldArgs,
    /// Who else: all, none, or names between commas
    #[arg(long, value_name = "NAMES", default_value = "none")]
    rivals: String,
    /// How data is written to standard output
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document with every score and the timelines they are made of
    Json,
    /// One page with charts, which needs nothing else
    Html,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let policy = runs::policy(args.policy.as_deref())?;
    let load = load::read(&args.load, global).await?;
    let rivals = Kind::parse_list(&args.rivals).map_err(|error| Failure::usage(format!("--rivals: {error}")))?;
    let request = runs::Request::new(&args.world, load, policy, rivals)?;
    let Some(document) = runs::run(request).await? else { return Ok(Exit::Interrupted) };
    match args.output {
        Format::Table => output::write_line(shown::text(&document).trim_end())?,
        Format::Json => output::write_line(&serde_json::to_string(&document)?)?,
        Format::Html => output::write_line(&page::html(&document)?)?,
    }
    Ok(Exit::Done)
}

/// A fault as it is written on the command line.
fn fault(name: &str) -> Result<Fault, String> {
    name.parse().map_err(|error: controlplane::simulate::UnknownFault| error.to_string())
}
