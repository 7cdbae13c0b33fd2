//! Receiving a lease from the worker that had it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Workplace;
use crate::consumer::lease::{Lease, TableError};

/// How often a lease that is being handed over is looked at: what the pause between two owners comes to.
const POLL: Duration = Duration::from_millis(100);

/// How long the old owner may take to finish what it has begun, as with the KCL 3's `gracefulLeaseHandoffTimeoutMillis`.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the old owner of a lease has let go, if there is one, or is dead. Returns the lease with its last
/// checkpoint and when it was taken.
pub(super) async fn receive(
    workplace: &Workplace,
    mut lease: Lease,
    asked_at: Instant,
) -> Result<(Lease, Instant), TableError> {
    if lease.checkpoint_owner.is_none() {
        return Ok((lease, asked_at));
    }
    let (me, mut moved_at) = (workplace.worker.as_str(), asked_at);
    loop {
        let now = Instant::now();
        let silent = now.saturating_duration_since(moved_at) > workplace.lease_duration;
        let late = now.saturating_duration_since(asked_at) > PATIENCE;
        if lease.checkpoint_owner.is_none() || silent || late {
            let from = lease.checkpoint_owner.as_deref().unwrap_or("its owner");
            tracing::debug!(shard = lease.shard_id, from, silent, late, "a lease is handed over");
            match workplace.table.take(&lease, me).await {
                // The old owner has written in this moment.
                Err(TableError::Lost) => {}
                taken => return taken.map(|taken| (taken, now)),
            }
        }
        sleep(POLL).await;
        match workplace.table.get(&lease.shard_id).await {
            Ok(Some(there)) if there.owner.as_deref() == Some(me) && !there.is_finished() => {
                if there.counter != lease.counter {
                    moved_at = Instant::now();
                }
                lease = there;
            }
            Ok(_) => return Err(TableError::Lost),
            Err(TableError::Unavailable(problem)) if !late => {
                tracing::warn!(shard = lease.shard_id, problem, "cannot look at a lease that is to be handed over");
            }
            Err(error) => return Err(error),
        }
    }
}
