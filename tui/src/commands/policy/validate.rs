//! `ctl policy validate`: whether a file would be taken.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::read;
use crate::{failure::Exit, output::note};

/// Check a policy file without changing anything
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy validate policy.toml

The exit code is 2 if the file has an error; the message shows the line.")]
pub(super) struct Args {
    /// The file, or - for standard input
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    read(&args.file)?;
    note(format_args!("{} is a valid policy", args.file.display()));
    Ok(Exit::Done)
}
