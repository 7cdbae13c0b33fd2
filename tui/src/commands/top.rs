//! `ctl top`: the live view.

use anyhow::Result;
use clap::Args as ClapArgs;
use tokio_util::sync::CancellationToken;

use super::watch;
use crate::{
    app::session::{self, Ending},
    failure::Exit,
    output::{Format, FormatArgs},
    target::{Global, Target},
};

/// Watch a deployment: rates, lag, shards, tasks, the last decision and why
///
/// On a terminal this is a live view; `t` in it opens the teardown. With --output json or jsonl it prints one JSON object
/// a second until it is interrupted.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl top
  ctl top --name staging --region eu-west-1 --aws
  ctl top --output jsonl | jq .lag_ms")]
pub(super) struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    if args.format.output != Format::Table {
        return watch::run(&target, &CancellationToken::new()).await;
    }
    match session::run(&target, false, CancellationToken::new()).await? {
        Ending::Quit => Ok(Exit::Done),
        Ending::MidTeardown => Ok(Exit::Interrupted),
    }
}
