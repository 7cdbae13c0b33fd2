//! The proof: every resource is asked for until its own service says that it is gone.

use tokio::time::Instant;

use super::Work;
use crate::{
    call::CallError,
    inventory::{Existence, Owner, Resource, existence},
    limits::GONE,
    pace::Pace,
    progress::{Event, Phase},
};

/// Returns what is gone, and what still is not when the time is over.
pub(super) async fn until_gone(
    work: Work<'_>,
    resources: Vec<Resource>,
) -> Result<(Vec<Resource>, Vec<Resource>), CallError> {
    work.progress.enter(Phase::Verifying).await;
    let deadline = Instant::now() + GONE;
    let mut pace = Pace::new();
    let (mut gone, mut here) = (Vec::new(), resources);
    loop {
        let mut still_here = Vec::new();
        for resource in here {
            if is_gone(work, &resource).await? {
                work.progress.report(Event::Deleted { resource: resource.clone() }).await;
                gone.push(resource);
            } else {
                still_here.push(resource);
            }
        }
        here = still_here;
        if here.is_empty() || Instant::now() >= deadline {
            return Ok((gone, here));
        }
        pace.pause().await;
    }
}

/// What no service can be asked about is gone when CloudFormation deleted it, and a leftover when nobody did.
async fn is_gone(work: Work<'_>, resource: &Resource) -> Result<bool, CallError> {
    Ok(match existence(work.clients, resource).await? {
        Existence::Gone => true,
        Existence::Here => false,
        Existence::Unknown => resource.owner == Owner::Stack,
    })
}
