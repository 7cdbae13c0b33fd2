//! `ctl explain`: decisions with their reasons.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::decide::Decision;
use serde::Serialize;

use super::arguments::PipelineArg;
use crate::{
    failure::Exit,
    output::{self, FormatArgs, Writer},
    target::{Global, Target},
    wording::decision,
};

/// Show what the control plane decided and why: each rule, the numbers it used, what stopped it
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl explain
  ctl explain --last 50
  ctl explain --pipeline orders
  ctl explain --output jsonl | jq -c '.plan.actions[]'")]
pub(super) struct Args {
    /// How many decisions, counted from the newest
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    last: u16,
    #[command(flatten)]
    pipeline: PipelineArg,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    /// The newest last, as it happened.
    decisions: &'a [Decision],
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let pipeline = args.pipeline.resolve(&target).await?;
    let mut decisions = target.control_table().decisions(&pipeline, None, args.last.into()).await?;
    decisions.reverse();
    let document = Document { version: 1, decisions: &decisions };
    Writer::from(args.format).list(&document, &decisions, || text(&decisions))?;
    Ok(Exit::Done)
}

fn text(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "no decisions yet".to_owned();
    }
    let paragraphs: Vec<_> = decisions.iter().map(|decision| output::words(&decision::lines(decision))).collect();
    paragraphs.join("\n\n")
}
