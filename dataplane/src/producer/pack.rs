//! Packs user records into aggregates. Pure.
//!
//! Records **without a partition key** share one open aggregate whatever their number: it may go to any shard, which
//! is chosen when it is sent (in turn, so that shards fill evenly, passing over those that are throttled).
//!
//! Records **with a partition key** (or an explicit hash key) are packed only with records of the same hash. Their
//! place is a function of the key alone, never of the shard map. So a record that was posted after an earlier one of
//! the same key was answered follows it in the same shard, or in a descendant of it, whatever resharding goes on; no
//! other order is promised, because Kinesis promises none within a PutRecords request and retries overtake.

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
    random: StdRng,
}

impl Packer {
    pub(crate) fn new(random: StdRng) -> Self {
        Self { open: HashMap::new(), full: Vec::new(), full_bytes: 0, user_bytes: 0, oldest: None, random }
    }

    /// Adds a record. `reservation` covers it and is held until the parcel is gone.
    pub(crate) fn push(&mut self, record: &Incoming<'_>, ticket: Ticket, reservation: Reservation, now: Instant) {
        self.oldest.get_or_insert(now);
        let place = place(record);
        // Only records that refer to the aggregate's hash may have another one by their key.
        let pinned = record.explicit_hash_key.is_some() || place == Place::Anywhere;
        let overflows =
            self.open.get(&place).is_some_and(|parcel| parcel.bytes_with(record, pinned) > AGGREGATE_BYTES_MAX);
        if overflows && let Some(parcel) = self.open.remove(&place) {
            self.full_bytes += parcel.aggregate.bytes_max();
            self.full.push(parcel);
        }
        self.user_bytes += record.data.len();
        let parcel = self.open.entry(place).or_insert_with(|| Parcel::new(place, now));
        match &mut parcel.reservation {
            Some(held) => held.absorb(reservation),
            free => *free = Some(reservation),
        }
        parcel.push(record, pinned, ticket, &mut self.random);
    }

    /// When the oldest record that waits here came in.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.oldest
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
        self.full_bytes = 0;
        self.user_bytes = self.open.values().map(|parcel| parcel.user_bytes).sum();
        self.oldest = self.open.values().map(|parcel| parcel.since).min();
        std::mem::take(&mut self.full)
    }

    /// Takes everything, the full ones first.
    pub(crate) fn take_all(&mut self) -> Vec<Parcel> {
        let mut parcels = self.take_full();
        self.oldest = None;
        self.user_bytes = 0;
        parcels.extend(self.open.drain().map(|(_, parcel)| parcel));
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
            spare_key: None,
            reservation: None,
        }
    }

    fn bytes_with(&self, record: &Incoming<'_>, pinned: bool) -> usize {
        let key = record.partition_key.or(self.spare_key.as_deref()).unwrap_or(SPARE_KEY_SHAPE);
        self.aggregate.bytes_with(key, pinned, record.data.len())
    }

    fn push(&mut self, record: &Incoming<'_>, pinned: bool, ticket: Ticket, random: &mut StdRng) {
        let key = record
            .partition_key
            .unwrap_or_else(|| self.spare_key.get_or_insert_with(|| format!("{:016x}", random.random::<u64>()).into()));
        self.aggregate.push(key, pinned, record.data);
        self.user_bytes += record.data.len();
        self.tickets.push(ticket);
    }
}

fn place(record: &Incoming<'_>) -> Place {
    match (record.explicit_hash_key, record.partition_key) {
        (Some(hash), _) => Place::At(hash),
        (None, Some(key)) => Place::At(HashKey::of(key)),
        (None, None) => Place::Anywhere,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::producer::{budget::Budget, receipt};

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
        let reservation = Budget::new(1).reserve(0).expect("nothing always fits");
        let ticket = receipt::issue(1).1.next().expect("one ticket");
        packer.push(record, ticket, reservation, now);
    }

    #[test]
    fn records_without_a_key_share_an_aggregate_and_records_of_different_keys_do_not() {
        let (mut packer, now) = (packer(), Instant::now());
        for record in [keyless(b"1"), keyed("a", b"2"), keyless(b"3"), keyed("b", b"4"), keyed("a", b"5")] {
            push(&mut packer, &record, now);
        }
        assert_eq!(packer.user_bytes(), 5);
        let mut counts: Vec<_> = packer.take_all().iter().map(|parcel| (parcel.place, parcel.tickets.len())).collect();
        counts.sort_by_key(|(_, count)| *count);
        assert_eq!(counts[0], (Place::At(HashKey::of("b")), 1));
        assert!(counts.contains(&(Place::At(HashKey::of("a")), 2)));
        assert!(counts.contains(&(Place::Anywhere, 2)));
        assert_eq!((packer.oldest(), packer.user_bytes()), (None, 0));
    }

    #[test]
    fn every_record_of_an_aggregate_hashes_to_where_the_aggregate_goes() {
        let (mut packer, now) = (packer(), Instant::now());
        let hash = HashKey::of("a");
        push(&mut packer, &keyed("a", b"by its own hash"), now);
        push(&mut packer, &Incoming { explicit_hash_key: Some(hash), ..keyed("other", b"by choice") }, now);
        let [parcel] = packer.take_all().try_into().expect("one parcel");
        let record = parcel.aggregate.finish(hash);
        for user in crate::aggregation::decode(&record.data.into()).expect("an aggregate") {
            let effective = user
                .explicit_hash_key
                .map_or(HashKey::of(&user.partition_key), |hash| hash.parse().expect("a decimal hash key"));
            assert_eq!(effective, record.explicit_hash_key);
        }
    }

    #[test]
    fn an_aggregate_is_full_before_it_is_larger_than_allowed_and_a_larger_record_goes_alone() {
        let (mut packer, now) = (packer(), Instant::now());
        for _ in 0..150 {
            push(&mut packer, &keyless(&[7; 1000]), now);
        }
        push(&mut packer, &keyless(&[8; 200_000]), now);
        assert!(packer.full_bytes() > 2 * AGGREGATE_BYTES_MAX);
        let parcels = packer.take_all();
        assert_eq!(parcels.iter().map(|parcel| parcel.tickets.len()).sum::<usize>(), 151);
        for parcel in &parcels {
            assert!(parcel.aggregate.bytes_max() <= AGGREGATE_BYTES_MAX || parcel.tickets.len() == 1);
        }
    }
}
