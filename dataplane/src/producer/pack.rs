//! Packs user records into aggregates. Pure.
//!
//! Records **without a partition key** share one open aggregate whatever their number: it may go to any shard, which
//! is chosen when it is sent (in turn, so that shards fill evenly, passing over those that are throttled).
//!
//! Records **with a partition key** share aggregates with those whose keys fall in the same [bucket](super::bucket),
//! records with an explicit hash key with those of the same one. Their place is a function of the record alone, never of
//! the shard map. So a record that was posted after an earlier one of the same key was answered follows it in the same
//! shard, or in a descendant of it, whatever resharding goes on; no other order is promised, because Kinesis promises
//! none within a PutRecords request and retries overtake.
//!
//! An aggregate stays open, and takes further records, until its shard takes it: what a busy shard makes wait comes in
//! fewer, larger records.

use std::collections::HashMap;

use rand::{RngExt, rngs::StdRng};
use tokio::time::Instant;

use super::{budget::Reservation, receipt::Ticket};
use crate::aggregation::{Aggregate, HashKey};

/// The KPL's `AggregationMaxSize`: twenty of them fill a shard's second.
const AGGREGATE_BYTES_MAX: usize = 51_200;

/// What a spare key looks like, for predicting sizes.
const SPARE_KEY_SHAPE: &str = "0123456789abcdef";

/// A user record on its way in.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) partition_key: Option<&'a str>,
    pub(crate) explicit_hash_key: Option<HashKey>,
    pub(crate) data: &'a [u8],
}

/// Where an aggregate may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Anywhere,
    At(HashKey),
}

/// An aggregate with those who wait for it.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) place: Place,
    pub(crate) aggregate: Aggregate,
    pub(crate) tickets: Vec<Ticket>,
    /// Bytes of its user records' data.
    pub(crate) user_bytes: usize,
    /// When its first record came in.
    pub(crate) since: Instant,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// An earlier try was not answered: it may be in the stream already.
    pub(crate) unanswered: bool,
    /// Stands in for the partition key of records that have none: nothing depends on it, so all of them share it.
    spare_key: Option<Box<str>>,
    reservation: Option<Reservation>,
}

/// The aggregates that still take records.
#[derive(Debug)]
pub(crate) struct Packer {
    open: HashMap<Place, Parcel>,
    full: Vec<Parcel>,
    full_bytes: usize,
    user_bytes: usize,
    oldest: Option<Instant>,
    /// The oldest that came in since [`Self::pass_over`].
    oldest_fresh: Option<Instant>,
    random: StdRng,
}

impl Packer {
    pub(crate) fn new(random: StdRng) -> Self {
        Self {
            open: HashMap::new(),
            full: Vec::new(),
            full_bytes: 0,
            user_bytes: 0,
            oldest: None,
            oldest_fresh: None,
            random,
        }
    }

    /// Adds a record. `reservation` covers it and is held until the parcel is gone.
    pub(crate) fn push(
        &mut self,
        record: &Incoming<'_>,
        place: Place,
        ticket: Ticket,
        reservation: Reservation,
        now: Instant,
    ) {
        self.oldest.get_or_insert(now);
        self.oldest_fresh.get_or_insert(now);
        if self.open.get(&place).is_some_and(|parcel| parcel.bytes_with(record) > AGGREGATE_BYTES_MAX)
            && let Some(parcel) = self.open.remove(&place)
        {
            self.full_bytes += parcel.aggregate.bytes_max();
            self.full.push(parcel);
        }
        self.user_bytes += record.data.len();
        let parcel = self.open.entry(place).or_insert_with(|| Parcel::new(place, now));
        match &mut parcel.reservation {
            Some(held) => held.absorb(reservation),
            free => *free = Some(reservation),
        }
        parcel.push(record, ticket, &mut self.random);
    }

    /// When the oldest record that waits here came in.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// When the oldest record came in that was not passed over.
    pub(crate) fn oldest_fresh(&self) -> Option<Instant> {
        self.oldest_fresh
    }

    /// Notes that everything here was due and that what is not taken now waits for its shard.
    pub(crate) fn pass_over(&mut self) {
        self.oldest_fresh = None;
    }

    /// Whether something waits that was due.
    pub(crate) fn has_passed_over(&self) -> bool {
        self.oldest != self.oldest_fresh
    }

    /// Bytes in aggregates that take no more records.
    pub(crate) fn full_bytes(&self) -> usize {
        self.full_bytes
    }

    /// Bytes of data of the user records that wait here.
    pub(crate) fn user_bytes(&self) -> usize {
        self.user_bytes
    }

    /// Takes the aggregates that take no more records.
    pub(crate) fn take_full(&mut self) -> Vec<Parcel> {
        let full = std::mem::take(&mut self.full);
        self.full_bytes = 0;
        self.user_bytes -= full.iter().map(|parcel| parcel.user_bytes).sum::<usize>();
        self.oldest = self.open.values().map(|parcel| parcel.since).min();
        full
    }

    /// Takes what is full and, of the rest, what is `wanted`.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        let mut parcels = std::mem::take(&mut self.full);
        self.full_bytes = 0;
        parcels.extend(self.open.extract_if(|_, parcel| wanted(parcel)).map(|(_, parcel)| parcel));
        self.user_bytes -= parcels.iter().map(|parcel| parcel.user_bytes).sum::<usize>();
        self.oldest = self.open.values().map(|parcel| parcel.since).min();
        if self.oldest.is_none() {
            self.oldest_fresh = None;
        }
        parcels
    }
}

impl Parcel {
    fn new(place: Place, since: Instant) -> Self {
        Self {
            place,
            aggregate: Aggregate::default(),
            tickets: Vec::new(),
            user_bytes: 0,
            since,
            attempts: 0,
            unanswered: false,
            spare_key: None,
            reservation: None,
        }
    }

    fn bytes_with(&self, record: &Incoming<'_>) -> usize {
        let key = record.partition_key.or(self.spare_key.as_deref()).unwrap_or(SPARE_KEY_SHAPE);
        self.aggregate.bytes_with(key, true, record.data.len())
    }

    fn push(&mut self, record: &Incoming<'_>, ticket: Ticket, random: &mut StdRng) {
        let key = record
            .partition_key
            .unwrap_or_else(|| self.spare_key.get_or_insert_with(|| format!("{:016x}", random.random::<u64>()).into()));
        self.aggregate.push(key, true, record.data);
        self.user_bytes += record.data.len();
        self.tickets.push(ticket);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::producer::{bucket::Buckets, budget::Budget, receipt};

    pub(crate) fn packer() -> Packer {
        Packer::new(StdRng::seed_from_u64(1))
    }

    pub(crate) fn keyed<'a>(partition_key: &'a str, data: &'a [u8]) -> Incoming<'a> {
        Incoming { partition_key: Some(partition_key), explicit_hash_key: None, data }
    }

    pub(crate) fn keyless(data: &[u8]) -> Incoming<'_> {
        Incoming { partition_key: None, explicit_hash_key: None, data }
    }

    pub(crate) fn push(packer: &mut Packer, record: &Incoming<'_>, now: Instant) {
        push_in(Buckets::new(256), packer, record, now);
    }

    pub(crate) fn push_in(buckets: Buckets, packer: &mut Packer, record: &Incoming<'_>, now: Instant) {
        let reservation = Budget::new(1).reserve(0).expect("nothing always fits");
        let ticket = receipt::issue(1).1.next().expect("one ticket");
        let place = buckets.places(std::slice::from_ref(record))[0];
        packer.push(record, place, ticket, reservation, now);
    }

    #[test]
    fn records_without_a_key_share_an_aggregate_and_those_with_one_go_by_its_bucket() {
        let (mut packer, now) = (packer(), Instant::now());
        for record in [keyless(b"1"), keyed("a", b"2"), keyless(b"3"), keyed("b", b"4"), keyed("a", b"5")] {
            push(&mut packer, &record, now);
        }
        assert_eq!(packer.user_bytes(), 5);
        let parcels = packer.take(|_| true);
        let mut counts: Vec<_> = parcels.iter().map(|parcel| (parcel.place, parcel.tickets.len())).collect();
        counts.sort_by_key(|(_, count)| *count);
        let pin = |key| Place::At(Buckets::new(256).pin(HashKey::of(key)));
        assert_eq!(counts[0], (pin("b"), 1));
        assert!(counts.contains(&(pin("a"), 2)));
        assert!(counts.contains(&(Place::Anywhere, 2)));
        assert_eq!((packer.oldest(), packer.user_bytes()), (None, 0));
    }

    #[test]
    fn what_is_not_wanted_stays_open_and_takes_further_records() {
        let (mut packer, now) = (packer(), Instant::now());
        let later = now + std::time::Duration::from_secs(1);
        push(&mut packer, &keyed("a", b"1"), now);
        push(&mut packer, &keyless(b"2"), now);
        packer.pass_over();
        assert_eq!(packer.take(|parcel| parcel.place == Place::Anywhere).len(), 1);
        assert_eq!((packer.oldest(), packer.oldest_fresh(), packer.user_bytes()), (Some(now), None, 1));
        assert!(packer.has_passed_over());
        push(&mut packer, &keyed("a", b"3"), later);
        assert_eq!((packer.oldest(), packer.oldest_fresh()), (Some(now), Some(later)));
        let [parcel] = packer.take(|_| true).try_into().expect("one parcel");
        assert_eq!((parcel.tickets.len(), parcel.since), (2, now));
        assert!(!packer.has_passed_over());
    }

    #[test]
    fn an_aggregate_is_full_before_it_is_larger_than_allowed_and_a_larger_record_goes_alone() {
        let (mut packer, now) = (packer(), Instant::now());
        for _ in 0..150 {
            push(&mut packer, &keyless(&[7; 1000]), now);
        }
        push(&mut packer, &keyless(&[8; 200_000]), now);
        assert!(packer.full_bytes() > 2 * AGGREGATE_BYTES_MAX);
        let parcels = packer.take(|_| true);
        assert_eq!(parcels.iter().map(|parcel| parcel.tickets.len()).sum::<usize>(), 151);
        for parcel in &parcels {
            assert!(parcel.aggregate.bytes_max() <= AGGREGATE_BYTES_MAX || parcel.tickets.len() == 1);
        }
    }
}
