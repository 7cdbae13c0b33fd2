//! Leases: who reads which shard, and how far it has come. The table is the KCL's, attribute for attribute.

mod balance;
mod item;
mod ledger;
mod load;
#[cfg(test)]
mod simulation;
mod table;

pub(crate) use ledger::{How, Ledger, View};
pub(crate) use load::Load;
pub(crate) use table::{Change, Table, TableError};

use super::checkpoint::Checkpoint;

/// A lease as the table has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lease {
    /// The lease's key, which is the shard's id.
    pub(crate) shard_id: String,
    /// Absent when nobody has it.
    pub(crate) owner: Option<String>,
    /// Moves with every write of an owner: a counter that stands still is a dead owner's, and a write on condition of
    /// an old one fails.
    pub(crate) counter: u64,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) parents: Vec<String>,
    /// First and last hash key, in decimal.
    pub(crate) hash_keys: Option<(String, String)>,
    /// The owner until now of a lease that is being handed over. Only it may write a checkpoint.
    pub(crate) checkpoint_owner: Option<String>,
    /// How far its owner may have come without a checkpoint, if it said so.
    pub(crate) pending: Option<Checkpoint>,
    /// What its shard costs a worker.
    pub(crate) load: Load,
    /// The worker that gave it up, and does not want it back.
    pub(crate) released_by: Option<String>,
}

/// What the ids of Weir's workers begin with. Leases of others are taken by the rules of the KCL 2.x, which knows no
/// hand-over.
pub(crate) const OURS: &str = "weir/";

impl Lease {
    /// A lease that nobody has held yet.
    pub(crate) fn new(
        shard_id: String,
        checkpoint: Checkpoint,
        parents: Vec<String>,
        hash_keys: Option<(String, String)>,
    ) -> Self {
        Self {
            shard_id,
            owner: None,
            counter: 0,
            checkpoint,
            parents,
            hash_keys,
            checkpoint_owner: None,
            pending: None,
            load: Load::default(),
            released_by: None,
        }
    }

    /// Whether there is nothing left to read.
    pub(crate) fn is_finished(&self) -> bool {
        self.checkpoint == Checkpoint::ShardEnd
    }
}
