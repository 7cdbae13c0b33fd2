//! `ctl policy import`: what another scaler was told, as a policy.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::policy::Imported;
use serde::Serialize;

use super::file::text_of;
use crate::{
    failure::{Exit, Failure},
    output::{FormatArgs, Writer, note},
};

/// Translate a configuration of amazon-kinesis-scaling-utils into a policy, without putting it in force
///
/// The policy goes to standard output. What has no counterpart is listed on standard error with the reason, and the exit
/// code is 0 all the same.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy import kinesis-scaling-utils.json > policy.toml
  ctl policy import kinesis-scaling-utils.json --output json | jq '.left_out[]'
  ctl policy import kinesis-scaling-utils.json | ctl policy apply -

Exit code: 2 the file is no such configuration.")]
pub(super) struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    imported: &'a Imported,
}

pub(super) fn run(Args { file, format }: Args) -> Result<Exit> {
    let json = text_of(&file)?;
    let imported = Imported::from_scaling_utils(&json)
        .map_err(|error| Failure::usage(format!("cannot import {}: {error}", file.display())))?;
    for left in &imported.left_out {
        note(format_args!("not carried over: {}: {}", left.key, left.why));
    }
    let document = Document { version: 1, imported: &imported };
    Writer::from(format).document(&document, || imported.text.clone())?;
    Ok(Exit::Done)
}
