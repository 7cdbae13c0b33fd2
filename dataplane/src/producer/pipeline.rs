//! Where requests leave records and the sender finds them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    bucket::Buckets,
    budget::{Budget, Reservation},
    kpl::Metric,
    pack::{Incoming, Packer, Parcel, Place},
    receipt::{self, Receipt},
    record_size,
    stats::Stats,
};

/// What a record costs in memory beside its data and key: its part of an aggregate, of a receipt and of the maps.
const RECORD_OVERHEAD_BYTES: usize = 512;

/// While nothing else waits, records are sent at this share of the linger after the last ones: often enough not to be
/// noticed, seldom enough that a trickle of records does not use up a shard's 1,000 Kinesis records a second.
const EAGER_SHARE: u32 = 5;

/// So many bytes of full aggregates are sent beside the requests under way.
const PARALLEL_BYTES: usize = 256 << 10;

/// The buffer is full.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The packer, with what bounds it and what it wakes.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: Stats,
    pub(crate) buckets: Buckets,
    record_bytes_max: AtomicUsize,
    packer: Mutex<Packer>,
    /// Told when there is something to send and nothing was before, and when there is enough for a request.
    pub(crate) arrived: Notify,
}

/// What the sender is doing, as far as it matters for when to take more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occupation {
    pub(crate) requests: usize,
    /// Something waits for a shard that is closed.
    pub(crate) held_up: bool,
    pub(crate) last_sent: Option<Instant>,
}

impl Pipeline {
    pub(crate) fn new(buffer_bytes: usize, buckets: Buckets, packer: Packer, origin: Instant) -> Self {
        Self {
            budget: Budget::new(buffer_bytes),
            stats: Stats::new(origin),
            buckets,
            record_bytes_max: AtomicUsize::new(record_size::DEFAULT_BYTES),
            packer: Mutex::new(packer),
            arrived: Notify::new(),
        }
    }

    /// The largest record that the stream takes: data and partition key together.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.record_bytes_max.load(Ordering::Relaxed)
    }

    /// Changes it, and says what it was.
    pub(crate) fn set_record_bytes_max(&self, bytes: usize) -> usize {
        self.record_bytes_max.swap(bytes, Ordering::Relaxed)
    }

    /// Takes the records of a request, all or none.
    pub(crate) fn accept(&self, records: &[Incoming<'_>], now: Instant) -> Result<Receipt, Full> {
        let bytes = records.iter().map(cost).sum();
        let data_bytes = records.iter().map(|record| record.data.len() as u64).sum();
        let reserved = self.budget.reserve(bytes);
        {
            let mut figures = self.stats.figures();
            figures.offered.add(now, records.len() as u64, data_bytes);
            figures.unpublished.add(Metric::UserRecordsReceived, records.len(), 1.0);
            if reserved.is_none() {
                figures.refused.add(now, records.len() as u64, data_bytes);
            }
        }
        let (receipt, tickets) = receipt::issue(records.len());
        let reservation = reserved.ok_or(Full)?;
        // Hashing is done before the packer is locked.
        let places = self.buckets.places(records);
        self.pack(records.iter().zip(places).zip(tickets), reservation, now);
        Ok(receipt)
    }

    /// Notes `records` that were refused unread.
    pub(crate) fn turn_away(&self, records: u64, bytes: u64, now: Instant) {
        let mut figures = self.stats.figures();
        figures.offered.add(now, records, bytes);
        figures.refused.add(now, records, bytes);
    }

    fn pack<'a>(
        &self,
        records: impl Iterator<Item = ((&'a Incoming<'a>, Place), receipt::Ticket)>,
        mut reservation: Reservation,
        now: Instant,
    ) {
        let worth_waking = {
            let mut packer = self.packer();
            let (was_empty, had) = (packer.oldest_fresh().is_none(), packer.full_bytes());
            for ((record, place), ticket) in records {
                packer.push(record, place, ticket, reservation.split(cost(record)), now);
            }
            was_empty || (had < PARALLEL_BYTES && packer.full_bytes() >= PARALLEL_BYTES)
        };
        if worth_waking {
            self.arrived.notify_one();
        }
    }

    /// Takes the parcels that are due and `ready` to be sent, and full ones when there are many.
    pub(crate) fn take_due(
        &self,
        occupation: Occupation,
        linger: Duration,
        now: Instant,
        ready: impl Fn(&Parcel) -> bool,
    ) -> Vec<Parcel> {
        let mut packer = self.packer();
        let all_due = due(packer.oldest_fresh(), occupation, linger).is_some_and(|due| due <= now);
        if all_due {
            packer.pass_over();
        }
        if packer.has_passed_over() {
            packer.take(|parcel| (all_due || parcel.since + linger <= now) && ready(parcel))
        } else if packer.full_bytes() >= PARALLEL_BYTES {
            packer.take_full()
        } else {
            Vec::new()
        }
    }

    /// When [`Self::take_due`] would take what it has not seen yet.
    pub(crate) fn due(&self, occupation: Occupation, linger: Duration) -> Option<Instant> {
        due(self.packer().oldest_fresh(), occupation, linger)
    }

    /// Whether something waits that was due and not ready.
    pub(crate) fn has_passed_over(&self) -> bool {
        self.packer().has_passed_over()
    }

    /// Bytes of data that wait here, and since when.
    pub(crate) fn waiting(&self) -> (usize, Option<Instant>) {
        let packer = self.packer();
        (packer.user_bytes(), packer.oldest())
    }

    fn packer(&self) -> std::sync::MutexGuard<'_, Packer> {
        // A panic while packing leaves whole records behind, or none.
        self.packer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When to send what has waited since `oldest`. At once after a pause; while requests are under way, with the next
/// answer or when the linger ends, so that the slower the stream, the more shares a request.
fn due(oldest: Option<Instant>, occupation: Occupation, linger: Duration) -> Option<Instant> {
    let latest = oldest? + linger;
    if occupation.requests > 0 || occupation.held_up {
        return Some(latest);
    }
    let eager = occupation.last_sent.map_or(oldest?, |sent| sent + linger / EAGER_SHARE);
    Some(eager.min(latest))
}

fn cost(record: &Incoming<'_>) -> usize {
    record.data.len() + record.partition_key.map_or(0, str::len) + RECORD_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::pack::tests::{keyless, packer};

    const LINGER: Duration = Duration::from_millis(100);
    const IDLE: Occupation = Occupation { requests: 0, held_up: false, last_sent: None };

    #[test]
    fn the_first_record_after_a_pause_waits_for_nothing() {
        let now = Instant::now();
        assert_eq!(due(Some(now), IDLE, LINGER), Some(now));
        let long_ago = Occupation { last_sent: Some(now), ..IDLE };
        let later = now + Duration::from_secs(1);
        assert!(due(Some(later), long_ago, LINGER) <= Some(later));
    }

    #[test]
    fn a_record_waits_a_little_behind_the_last_and_never_longer_than_the_linger() {
        let now = Instant::now();
        let just_sent = Occupation { last_sent: Some(now), ..IDLE };
        assert_eq!(due(Some(now), just_sent, LINGER), Some(now + LINGER / EAGER_SHARE));
        let busy = Occupation { requests: 1, ..just_sent };
        assert_eq!(due(Some(now), busy, LINGER), Some(now + LINGER));
        let held_up = Occupation { held_up: true, ..just_sent };
        assert_eq!(due(Some(now), held_up, LINGER), Some(now + LINGER));
    }

    #[test]
    fn what_is_not_ready_when_it_is_due_is_taken_when_it_is() {
        let now = Instant::now();
        let pipeline = Pipeline::new(1 << 20, Buckets::new(1), packer(), now);
        let _receipts = [1, 2].map(|_| {
            assert!(pipeline.take_due(IDLE, LINGER, now, |_| false).is_empty());
            pipeline.accept(&[keyless(b"1")], now).expect("room")
        });
        assert!(pipeline.take_due(IDLE, LINGER, now, |_| false).is_empty());
        assert_eq!((pipeline.due(IDLE, LINGER), pipeline.has_passed_over()), (None, true));
        let parcels = pipeline.take_due(IDLE, LINGER, now + LINGER, |_| true);
        assert_eq!(parcels.iter().map(|parcel| parcel.tickets.len()).collect::<Vec<_>>(), [2]);
        assert!(!pipeline.has_passed_over());
    }

    #[test]
    fn beyond_the_buffer_a_whole_request_is_refused_and_counted() {
        let now = Instant::now();
        let pipeline = Pipeline::new(2 * (RECORD_OVERHEAD_BYTES + 1), Buckets::new(1), packer(), now);
        assert!(pipeline.accept(&[keyless(b"1"), keyless(b"2"), keyless(b"3")], now).is_err());
        let _receipt = pipeline.accept(&[keyless(b"1"), keyless(b"2")], now).expect("room for two");
        assert!(pipeline.accept(&[keyless(b"1")], now).is_err());
        let figures = pipeline.stats.figures();
        assert_eq!((figures.offered.records, figures.refused.records), (6, 4));
        drop(figures);
        assert_eq!(pipeline.waiting(), (2, Some(now)));
        drop(pipeline.take_due(IDLE, LINGER, now, |_| true));
        assert_eq!(pipeline.budget.used(), 0);
    }
}
