//! `ctl up`: the whole system, on this machine or on AWS.

mod cloud;
mod deployment;
mod here;
mod images;
mod settings;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::Result;
use clap::Args as ClapArgs;
use tokio_util::sync::CancellationToken;

use self::{images::ImageArgs, settings::Setting};
use super::watch;
use crate::{
    app::session::{self, Ending},
    failure::Exit,
    output::{Format, FormatArgs},
    target::{Global, Target},
};

/// Run the whole system and watch it, on this machine or on AWS
///
/// On this machine it starts an AWS endpoint of its own and deploys the same stack as on AWS to it; Ctrl-C or q stops
/// everything that it started. With --aws it creates or updates the stack there, pushes the images, and puts the policy
/// in force; what it deployed stays until `ctl teardown --aws`. Both show what happens: a live view on a terminal, one JSON
/// line a second otherwise.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl up
  ctl up --detach --output json
  ctl up --name second --endpoint-port 0 --ingest-port 0
  ctl up --policy policy.toml --set Processor=exec --set 'ExecCommand=python3 -u processor.py'
  ctl up --aws --region eu-central-1 --executables dist --set AllowedCidr=203.0.113.7/32

Executables for --aws are built on a Linux machine with the processor of the tasks (ARM64, or X86_64):
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile dist --target $(rustc --print host-tuple) \\
    -p dataplane -p controlplane --bins")]
pub(super) struct Args {
    /// Return when it is ready and leave it running
    #[arg(long)]
    detach: bool,
    /// Policy to start with [default: every key's default, or the one that is in force]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Set a parameter of the stack, spelled as in stack/template.yaml. Those not set keep their value
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,
    /// Port of the AWS endpoint; 0 takes any free one
    #[arg(long, default_value_t = 4566, value_name = "PORT", help_heading = "On this machine")]
    endpoint_port: u16,
    /// Port where records are posted; 0 takes any free one
    #[arg(long, default_value_t = 8080, value_name = "PORT", help_heading = "On this machine")]
    ingest_port: u16,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    if global.aws || global.endpoint_url.is_some() {
        cloud::run(args, global).await
    } else {
        here::run(args, global).await
    }
}

/// Shows what happens until a person has seen enough. `owned` says that leaving stops everything.
async fn show(format: FormatArgs, target: &Target, owned: bool) -> Result<Exit> {
    let stopping = CancellationToken::new();
    if format.output != Format::Table || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return watch::run(target, &stopping).await;
    }
    match session::run(target, owned, stopping).await? {
        Ending::Quit => Ok(Exit::Done),
        Ending::MidTeardown => Ok(Exit::Interrupted),
    }
}
