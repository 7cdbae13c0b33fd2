//! What happens to a worker and its leases, counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    Refused,
    Expired,
}

/// Name and meaning of each, in their order.
const NAMES: [(&str, &str); 2] = [
    ("reads_refused", "Calls that a shard refused, and subscriptions that were refused or cut"),
    ("iterators_expired", "Shard iterators that had become too old"),
];

#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; NAMES.len()]);

impl Counts {
    pub(crate) fn add(&self, what: Count, amount: u64) {
        self.0[what as usize].fetch_add(amount, Ordering::Relaxed);
    }

    /// Name, meaning and value of each.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        NAMES.iter().zip(&self.0).map(|((name, help), count)| (*name, *help, count.load(Ordering::Relaxed)))
    }
}
