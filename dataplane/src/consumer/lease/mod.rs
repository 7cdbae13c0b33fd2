//! Leases: who reads which shard, and how far it has come. The table is the KCL's, attribute for attribute.

mod item;
mod ledger;
mod table;

pub(crate) use ledger::Ledger;
pub(crate) use table::{Change, Table, TableError};

use super::checkpoint::Checkpoint;

/// A lease as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Lease {
    /// A lease that nobody has held yet.
    pub(crate) fn new(
        shard_id: String,
        checkpoint: Checkpoint,
        parents: Vec<String>,
        hash_keys: Option<(String, String)>,
    ) -> Self {
        Self { shard_id, owner: None, counter: 0, checkpoint, parents, hash_keys }
    }

    /// Whether there is nothing left to read.
    pub(crate) fn is_finished(&self) -> bool {
        self.checkpoint == Checkpoint::ShardEnd
    }
}
