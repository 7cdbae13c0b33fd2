//! `ctl teardown`: removes a deployment and everything it owns.

use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::Args as ClapArgs;
use serde::Serialize;
use stack::{
    Clients, Progress,
    inventory::{self, Inventory},
    teardown::{Options, Report, TeardownError},
};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Exit, Failure},
    interrupt::interrupted,
    output::{self, FormatArgs, Table, Writer, note},
    target::{Global, Target},
    wording::operation,
};

/// Remove a deployment and everything it owns, and nothing else
///
/// Lists what it will remove and asks for the deployment's name. It can be interrupted at any time; the same command
/// carries on.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl teardown --dry-run
  ctl teardown --dry-run --output json | jq -r '.resources[].type' | sort | uniq -c
  ctl teardown --yes")]
pub(super) struct Args {
    /// List what would be removed and stop
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Listing<'a> {
    version: u32,
    #[serde(flatten)]
    inventory: &'a Inventory,
}

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let clients = target.clients();
    let inventory = inventory::take(&clients, &target.name).await?;
    let writer = Writer::from(args.format);
    if args.dry_run {
        let listing = Listing { version: 1, inventory: &inventory };
        writer.list(&listing, &inventory.resources, || listing_text(&inventory))?;
        return Ok(Exit::Done);
    }
    if !inventory.is_empty() && !args.yes {
        confirm(&inventory)?;
    }
    let report = remove(&target, &clients, &inventory).await?;
    writer.document(&Outcome { version: 1, report: &report }, || output::words(&operation::result(&report)))?;
    Ok(if report.leftovers.is_empty() { Exit::Done } else { Exit::Leftovers })
}

/// Asks for the deployment's name, after showing what goes.
fn confirm(inventory: &Inventory) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Failure::refused("a teardown has to be confirmed, and standard input is not a terminal")
            .hint("--dry-run lists what would go, --yes removes it without asking")
            .into());
    }
    note(listing_text(inventory));
    note(format_args!(
        "This removes all of the above and its data for good, in account {}, {}.",
        inventory.place.account, inventory.place.region
    ));
    let typed = output::ask(&format!("Type {} to go on: ", inventory.deployment))?;
    if typed.trim() == inventory.deployment.as_str() {
        return Ok(());
    }
    Err(Failure::refused("the name was not typed: nothing was removed").into())
}

async fn remove(target: &Target, clients: &Clients, inventory: &Inventory) -> Result<Report> {
    let cancel = CancellationToken::new();
    let asked = cancel.clone();
    let listening = tokio::spawn(async move {
        interrupted().await;
        note("stopping; the same command carries on");
        asked.cancel();
    });
    let (progress, mut events) = Progress::channel();
    let show = tokio::spawn(async move {
        let shown = output::Progress::start();
        while let Some(event) = events.recv().await {
            shown.event(&operation::line(&event));
        }
    });
    let options = Options { place: inventory.place.clone() };
    let report = stack::teardown::teardown(clients, &target.name, &options, &progress, &cancel).await;
    drop(progress);
    // A display that failed has nothing to say.
    let _ = show.await;
    listening.abort();
    report.map_err(|error| failure(&error).into())
}

fn failure(error: &TeardownError) -> Failure {
    let exit = match error {
        error if error.is_refusal() => Exit::Refused,
        error if error.is_resumable() => Exit::Interrupted,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, output::chain(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn listing_text(inventory: &Inventory) -> String {
    if inventory.is_empty() && inventory.foreign.is_empty() {
        return format!("nothing of {} exists in {}", inventory.deployment, inventory.place.region);
    }
    let mut table = Table::new(&["type", "id", "owner"]);
    for resource in &inventory.resources {
        let owner = match resource.owner {
            inventory::Owner::Stack => "stack",
            inventory::Owner::Contents => "contents",
            inventory::Owner::Tag => "tag",
        };
        table.row([&resource.kind, &resource.id, owner]);
    }
    for resource in &inventory.foreign {
        table.row([&resource.kind, &resource.id, "not ours, stays"]);
    }
    table.to_string()
}
