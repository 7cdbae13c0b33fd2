//! `ctl tail`: the records of the stream.

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    failure::Exit,
    stream,
    target::{Global, Target},
};

/// Print the records of the stream, one JSON object a line
///
/// Reads the stream itself, shard by shard, parents before their children, and takes aggregated records apart. `data` is
/// the record's text, `data_base64` its bytes where they are no UTF-8.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl tail --no-follow | wc -l
  ctl tail --from now | jq -r .data")]
pub(super) struct Args {
    /// Where to begin
    #[arg(long, value_enum, default_value = "start", value_name = "WHERE")]
    from: From,
    /// Stop at the end instead of waiting for more
    #[arg(long)]
    no_follow: bool,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// With the oldest that is kept
    Start,
    /// With what comes from now on
    Now,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let begin = match args.from {
        From::Start => stream::Begin::Oldest,
        From::Now => stream::Begin::Latest,
    };
    stream::print(&target, begin, !args.no_follow).await?;
    Ok(Exit::Done)
}
