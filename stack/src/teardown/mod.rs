//! The end of a deployment: stop, empty, delete, sweep, verify.

mod contents;
mod error;
mod services;
mod stack;
mod sweep;
mod verify;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    clients::{Clients, Identity},
    inventory::{self, Inventory, Resource},
    limits::TEARDOWN,
    name::DeploymentName,
    progress::{Event, Phase, Progress},
    stack::{FoundStack, find},
};

pub use error::TeardownError;

/// What a person agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The account and region that were confirmed; anything else is refused.
    pub place: Identity,
}

/// What became of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub deleted: Vec<Resource>,
    /// What was left alone on purpose.
    pub kept: Vec<Kept>,
    /// What should be gone and is not. Empty after a complete teardown.
    pub leftovers: Vec<Resource>,
}

/// A resource that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub resource: Resource,
    pub reason: String,
}

/// Removes the deployment and everything it owns, and nothing else. A second run finds nothing and succeeds; a run
/// after an interruption continues.
///
/// # Errors
/// See [`TeardownError`]; each says what to do about it in [`TeardownError::hint`].
pub async fn teardown(
    clients: &Clients,
    name: &DeploymentName,
    options: &Options,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Report, TeardownError> {
    let work = remove(Work { clients, name, progress }, options);
    match cancel.run_until_cancelled(tokio::time::timeout(TEARDOWN, work)).await {
        None => Err(TeardownError::Cancelled),
        Some(Err(_)) => Err(TeardownError::Late { limit: TEARDOWN }),
        Some(Ok(outcome)) => outcome,
    }
}

/// What every part of a teardown works with.
#[derive(Clone, Copy)]
struct Work<'a> {
    clients: &'a Clients,
    name: &'a DeploymentName,
    progress: &'a Progress,
}

async fn remove(work: Work<'_>, options: &Options) -> Result<Report, TeardownError> {
    let found = guard(work, options).await?;
    work.progress.enter(Phase::TakingInventory).await;
    let before = inventory::take_with(work.clients, work.name, found.as_ref()).await?;
    if !before.is_empty() {
        work.progress.enter(Phase::StoppingServices).await;
        services::stop(work, &before).await?;
    }
    if let Some(found) = &found {
        stack::delete(work, found, &before).await?;
    }
    let remaining = inventory::take(work.clients, work.name).await?;
    work.progress.enter(Phase::SweepingLeftovers).await;
    let refused = sweep::delete_all(work, &remaining.resources).await;
    report(work, before, remaining, refused).await
}

/// Refuses whatever is not exactly what was confirmed, before anything is touched.
async fn guard(work: Work<'_>, options: &Options) -> Result<Option<FoundStack>, TeardownError> {
    let actual = work.clients.identity().await?;
    if actual != options.place {
        return Err(TeardownError::OtherPlace { confirmed: options.place.clone(), actual });
    }
    let stack = find(work.clients, work.name.as_str()).await?;
    match &stack {
        Some(stack) if !stack.belongs_to(work.name) => Err(TeardownError::Foreign { stack: work.name.to_string() }),
        Some(stack) if stack.is_protected() => Err(TeardownError::Protected { stack: work.name.to_string() }),
        _ => Ok(stack),
    }
}

async fn report(
    work: Work<'_>,
    before: Inventory,
    remaining: Inventory,
    refused: Vec<Resource>,
) -> Result<Report, TeardownError> {
    let mut all = before.resources;
    for resource in remaining.resources {
        if !all.iter().any(|known| known.is(&resource)) {
            all.push(resource);
        }
    }
    let (deleted, leftovers) = verify::until_gone(work, all, refused).await?;
    let mut kept = Vec::new();
    for resource in remaining.foreign {
        let reason = "it has a name of the deployment but not its tag".to_owned();
        work.progress.report(Event::Kept { resource: resource.clone(), reason: reason.clone() }).await;
        kept.push(Kept { resource, reason });
    }
    Ok(Report { deleted, kept, leftovers })
}
