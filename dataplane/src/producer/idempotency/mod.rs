//! Remembers what became of a request, so that a client's own retry adds no second copy.
//!
//! The first request with a key claims it. The same key again, while the first is under way, waits for its answer;
//! afterwards it gets that answer again. Records that the first try did not store are sent again, only those. The key is
//! remembered for a settable time, in the task and, where a table is set, in DynamoDB for all tasks.
//!
//! What cannot be known: whether Kinesis stored records whose answer was lost, or whose task was killed while they were
//! under way. Such records are sent again, since losing one is worse than a second copy, and those with a lost answer
//! are counted as possible copies.

mod memory;
mod table;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout};

use self::memory::{Entry, Memory};
use super::{accept::Rejection, receipt::Outcome};
use crate::ambient;

pub(crate) use self::table::Table;

/// How often a task looks whether another one has finished.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The SHA-256 of whose key, and which.
pub(crate) type Id = [u8; 32];

/// The SHA-256 of a body.
pub(crate) type Fingerprint = [u8; 32];

/// The keys that are remembered.
#[derive(Debug)]
pub(crate) struct Idempotency {
    memory: Memory,
    table: Option<Table>,
    /// How long a try may take.
    patience: Duration,
}

/// What a request with a key has to do.
pub(crate) enum Begun {
    /// Nothing: this became of its records before.
    Known(Arc<[Outcome]>),
    /// Store the records that the claim does not know as stored.
    New(Claim),
}

/// The right to carry out the request of a key. Dropped without [`Idempotency::settle`], it is free again.
#[derive(Debug)]
pub(crate) struct Claim {
    entry: Entry,
    /// What earlier tries came to. Empty before the first.
    earlier: Arc<[Outcome]>,
    /// The table's, where there is one.
    version: u64,
}

impl Idempotency {
    /// Keys are remembered for `time`; a try takes no longer than `patience`.
    pub(crate) fn new(time: Duration, patience: Duration, table: Option<Table>) -> Self {
        Self { memory: Memory::new(time), table, patience }
    }

    /// Looks a key up, and waits while another request carries it out.
    pub(crate) async fn begin(&self, scope: &str, key: &str, body: &[u8]) -> Result<Begun, Rejection> {
        let id = Sha256::new().chain_update(scope).chain_update([0]).chain_update(key).finalize().into();
        let fingerprint = Sha256::digest(body).into();
        timeout(self.patience, self.look(id, fingerprint)).await.unwrap_or(Err(Rejection::StillUnderWay))
    }

    /// Notes what became of a claim's records, and says so to those who wait.
    pub(crate) async fn settle(&self, claim: &Claim, outcomes: Vec<Outcome>) -> Arc<[Outcome]> {
        let outcomes: Arc<[Outcome]> = outcomes.into();
        if let Some(table) = &self.table
            && let Err(error) = table.finish(&claim.entry.id, claim.version, &outcomes, ambient::now_ms()).await
        {
            tracing::warn!(%error, "cannot note the outcome of an idempotency key: a retry may store a second copy");
        }
        self.memory.settle(&claim.entry, outcomes.clone());
        outcomes
    }

    async fn look(&self, id: Id, fingerprint: Fingerprint) -> Result<Begun, Rejection> {
        loop {
            match self.memory.claim(id, fingerprint, Instant::now()) {
                memory::Found::OtherBody => return Err(Rejection::OtherBody),
                memory::Found::Settled(outcomes) => return Ok(Begun::Known(outcomes)),
                // An error means that the claim was dropped.
                memory::Found::UnderWay(mut ended) => drop(ended.changed().await),
                memory::Found::Claimed(entry, earlier) => return self.look_in_table(fingerprint, entry, earlier).await,
            }
        }
    }

    /// What the other tasks know of a key that this one has just claimed.
    async fn look_in_table(
        &self,
        fingerprint: Fingerprint,
        entry: Entry,
        earlier: Arc<[Outcome]>,
    ) -> Result<Begun, Rejection> {
        let Some(table) = &self.table else { return Ok(Begun::New(Claim { entry, earlier, version: 0 })) };
        loop {
            let found = table.claim(&entry.id, &fingerprint, self.patience, ambient::now_ms()).await;
            match found.map_err(Rejection::KeysUnavailable)? {
                table::Found::OtherBody => return Err(Rejection::OtherBody),
                table::Found::UnderWay => sleep(LOOK_INTERVAL).await,
                table::Found::Claimed { earlier, version } => return Ok(Begun::New(Claim { entry, earlier, version })),
                table::Found::Settled(outcomes) => {
                    self.memory.settle(&entry, outcomes.clone());
                    return Ok(Begun::Known(outcomes));
                }
            }
        }
    }
}

impl Claim {
    /// Whether an earlier try has stored this record of the request.
    pub(crate) fn is_stored(&self, index: usize) -> bool {
        self.earlier.get(index).is_some_and(Result::is_ok)
    }

    /// The outcomes of all records, from those of the ones that were missing.
    pub(crate) fn merge(&self, missing: Vec<Outcome>, count: usize) -> Vec<Outcome> {
        let mut missing = missing.into_iter();
        let stopped = || Err(super::receipt::Refusal::Stopped);
        let outcome = |index: usize| match self.earlier.get(index) {
            Some(Ok(stored)) => Ok(stored.clone()),
            _ => missing.next().unwrap_or_else(stopped),
        };
        (0..count).map(outcome).collect()
    }
}
