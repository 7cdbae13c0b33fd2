//! What happens to a worker and its leases, counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    Refused,
    Expired,
    Taken,
    HandedOver,
    Lost,
    TableReads,
    TableWrites,
    Stopped,
    DeadLettered,
    OutOfRange,
}

/// Name and meaning of each, in their order.
const NAMES: [(&str, &str); 10] = [
    ("reads_refused", "Calls that a shard refused, and subscriptions that were refused or cut"),
    ("iterators_expired", "Shard iterators that had become too old"),
    ("leases_taken", "Leases taken, or received from another worker"),
    ("leases_handed_over", "Leases that another worker asked for"),
    ("leases_lost", "Leases that others took without asking, or that could not be renewed"),
    ("lease_table_reads", "Scan and GetItem requests to the lease table"),
    ("lease_table_writes", "PutItem, UpdateItem and DeleteItem requests to the lease table"),
    ("shards_stopped", "Tries after which a record still held up its shard"),
    ("dead_letters", "Records that could not be processed and were set aside"),
    ("out_of_range_records", "Records of aggregates that belong to another shard than the one they were read from"),
];

#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; NAMES.len()]);

impl Counts {
    pub(crate) fn add(&self, what: Count, amount: u64) {
        self.0[what as usize].fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, what: Count) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }

    /// Name, meaning and value of each.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        NAMES.iter().zip(&self.0).map(|((name, help), count)| (*name, *help, count.load(Ordering::Relaxed)))
    }
}
