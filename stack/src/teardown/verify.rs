//! The proof: every resource is asked for until its own service says that it is gone.

use tokio::time::Instant;

use super::{Work, sweep};
use crate::{
    call::CallError,
    inventory::{Existence, Owner, Resource, existence},
    limits::GONE,
    pace::Pace,
    progress::{Event, Phase},
};

/// Returns what is gone, and what still is not when the time is over. Meanwhile `refused` is tried again.
pub(super) async fn until_gone(
    work: Work<'_>,
    resources: Vec<Resource>,
    mut refused: Vec<Resource>,
) -> Result<(Vec<Resource>, Vec<Resource>), CallError> {
    work.progress.enter(Phase::Verifying).await;
    let deadline = Instant::now() + GONE;
    let mut pace = Pace::new();
    let (mut gone, mut doubtful, mut here) = (Vec::new(), Vec::new(), resources);
    loop {
        for resource in std::mem::take(&mut here) {
            match existence(work.clients, &resource).await? {
                Existence::Here => here.push(resource),
                // Nobody deleted it, and nobody can tell: waiting would not help.
                Existence::Unknown if resource.owner != Owner::Stack => doubtful.push(resource),
                Existence::Unknown | Existence::Gone => {
                    work.progress.report(Event::Deleted { resource: resource.clone() }).await;
                    gone.push(resource);
                }
            }
        }
        if here.is_empty() || Instant::now() >= deadline {
            here.append(&mut doubtful);
            return Ok((gone, here));
        }
        pace.pause().await;
        refused = sweep::delete_all(work, &refused).await;
    }
}
