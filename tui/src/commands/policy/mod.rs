//! `ctl policy`: what the deployment is asked to be.

mod apply;
mod diff;
mod edit;
mod file;
mod history;
mod import;
mod keys;
mod rollback;
mod schema;
mod show;
mod validate;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};

use crate::{failure::Exit, target::Global};

pub(super) use apply::put;
pub(super) use file::{WrittenPolicy, read};

/// Show, check and change the policy
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy show > policy.toml
  ctl policy validate policy.toml
  ctl policy diff policy.toml
  ctl policy apply policy.toml
  ctl policy edit
  ctl policy rollback

A file with an error changes nothing; the message shows the line, and the exit code is 2. If somebody else changed the
policy meanwhile, nothing is changed either, and the exit code is 4.")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(show::Args),
    Validate(validate::Args),
    Diff(diff::Args),
    Apply(apply::Args),
    Edit(edit::Args),
    History(history::Args),
    Rollback(rollback::Args),
    Import(import::Args),
    Schema(schema::Args),
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    match args.action {
        Action::Show(args) => show::run(args, global).await,
        Action::Validate(args) => validate::run(&args),
        Action::Diff(args) => diff::run(args, global).await,
        Action::Apply(args) => apply::run(args, global).await,
        Action::Edit(args) => edit::run(args, global).await,
        Action::History(args) => history::run(args, global).await,
        Action::Rollback(args) => rollback::run(args, global).await,
        Action::Import(args) => import::run(args),
        Action::Schema(args) => schema::run(args),
    }
}
