//! `ctl down`: stops everything that `ctl up` started.

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::{
    failure::Exit,
    local::{self, StateDirectory, Stopped},
    output::note,
    target::Global,
};

/// Stop everything that `ctl up` started on this machine
///
/// Records and tables of localcloud live in its memory and end with it. Doing it twice is fine.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl down
  ctl down --name second")]
pub(super) struct Args {}

pub(super) async fn run(_: Args, global: &Global) -> Result<Exit> {
    match local::stop(&StateDirectory::of(&global.name)?).await? {
        Stopped::Now => note(format_args!("{} is stopped", global.name)),
        Stopped::Before => note(format_args!("{} does not run on this machine", global.name)),
    }
    Ok(Exit::Done)
}
