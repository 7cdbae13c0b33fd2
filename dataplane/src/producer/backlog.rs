//! The parcels that wait for their shard, and the choice of those that go next. Pure.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rand::rngs::StdRng;
use tokio::time::Instant;

use super::{
    gate::{Gate, Verdict},
    pack::{Parcel, Place},
    route::ShardMap,
};
use crate::aggregation::{Aggregate, HashKey, KinesisRecord};

/// Quota of PutRecords.
const REQUEST_RECORDS_MAX: usize = 500;

/// Quota of PutRecords: data and partition keys together.
const REQUEST_BYTES_MAX: usize = 10 << 20;

/// A parcel on its way.
#[derive(Debug)]
pub(crate) struct Shipment {
    pub(crate) parcel: Parcel,
    /// What is put into the stream; its data is taken when it is sent.
    pub(crate) record: KinesisRecord,
    /// Bytes of the record's data.
    pub(crate) record_bytes: usize,
    /// The shard that the map expects it in.
    pub(crate) shard_id: Arc<str>,
    /// Where it goes in the hash range.
    pub(crate) hash: HashKey,
}

/// A parcel that goes next.
struct Choice {
    parcel: Parcel,
    shard_id: Arc<str>,
    hash: HashKey,
}

/// Parcels by shard. Those that may go anywhere have a queue of their own.
#[derive(Debug)]
pub(crate) struct Backlog {
    map: ShardMap,
    anywhere: VecDeque<Parcel>,
    /// One per shard of the map.
    lanes: Vec<Lane>,
    /// Bytes of data of the user records that wait here.
    user_bytes: usize,
    /// Which lane is served next.
    turn: usize,
    random: StdRng,
}

#[derive(Debug, Default)]
struct Lane {
    gate: Gate,
    parcels: VecDeque<Parcel>,
}

impl Backlog {
    pub(crate) fn new(random: StdRng) -> Self {
        Self {
            map: ShardMap::unknown(),
            anywhere: VecDeque::new(),
            lanes: vec![Lane::default()],
            user_bytes: 0,
            turn: 0,
            random,
        }
    }

    /// Goes by a new map. Shards that stay keep their pace.
    pub(crate) fn follow(&mut self, map: ShardMap) {
        let old = std::mem::replace(&mut self.map, map);
        let lanes = std::mem::take(&mut self.lanes);
        let (mut gates, mut parcels) = (HashMap::new(), Vec::new());
        for (shard, lane) in old.shards().iter().zip(lanes) {
            gates.insert(shard.id.clone(), lane.gate);
            parcels.extend(lane.parcels);
        }
        let gate = |shard: &super::route::Shard| gates.get(&shard.id).cloned().unwrap_or_default();
        self.lanes = self.map.shards().iter().map(|shard| Lane { gate: gate(shard), ..Lane::default() }).collect();
        // Stable, so parcels of one key stay in order.
        parcels.sort_by_key(|parcel| parcel.since);
        for parcel in parcels {
            self.queue(parcel.place).push_back(parcel);
        }
    }

    /// The shards as they are known.
    pub(crate) fn map(&self) -> &ShardMap {
        &self.map
    }

    pub(crate) fn add(&mut self, parcels: impl IntoIterator<Item = Parcel>) {
        for parcel in parcels {
            self.user_bytes += parcel.user_bytes;
            self.queue(parcel.place).push_back(parcel);
        }
    }

    /// Takes back a parcel that was not stored, before those that came later.
    pub(crate) fn give_back(&mut self, parcel: Parcel) {
        self.user_bytes += parcel.user_bytes;
        self.queue(parcel.place).push_front(parcel);
    }

    /// The next request: at most 500 records, at most [`REQUEST_BYTES_MAX`], in turn over the shards that are open.
    pub(crate) fn next_request(&mut self, now: Instant) -> Vec<Shipment> {
        let (mut chosen, mut bytes, mut passed_over) = (Vec::new(), 0, 0);
        while passed_over < self.lanes.len() && chosen.len() < REQUEST_RECORDS_MAX {
            self.turn = (self.turn + 1) % self.lanes.len();
            match self.next_parcel(self.turn, REQUEST_BYTES_MAX - bytes, chosen.is_empty(), now) {
                Some(choice) => {
                    bytes += request_bytes(&choice.parcel).min(REQUEST_BYTES_MAX - bytes);
                    chosen.push(choice);
                    passed_over = 0;
                }
                None => passed_over += 1,
            }
        }
        let aggregates: Vec<_> = chosen.iter().map(|choice| (&choice.parcel.aggregate, choice.hash)).collect();
        let records = Aggregate::finish_all(&aggregates);
        let ship = |(Choice { parcel, shard_id, hash }, record): (Choice, KinesisRecord)| Shipment {
            record_bytes: record.data.len(),
            parcel,
            record,
            shard_id,
            hash,
        };
        chosen.into_iter().zip(records).map(ship).collect()
    }

    /// Takes note of an answer to records for this shard.
    pub(crate) fn answered(&mut self, shard_id: &str, verdict: Verdict, now: Instant) {
        let position = self.map.shards().iter().position(|shard| &*shard.id == shard_id);
        if let Some(lane) = position.and_then(|position| self.lanes.get_mut(position)) {
            lane.gate.answered(verdict, now, &mut self.random);
        }
    }

    /// Takes out what has waited for `time_to_live`.
    pub(crate) fn expire(&mut self, now: Instant, time_to_live: Duration) -> Vec<Parcel> {
        let mut expired = Vec::new();
        for queue in self.lanes.iter_mut().map(|lane| &mut lane.parcels).chain([&mut self.anywhere]) {
            while let Some(parcel) = queue.pop_front_if(|parcel| parcel.since + time_to_live <= now) {
                self.user_bytes -= parcel.user_bytes;
                expired.push(parcel);
            }
        }
        expired
    }

    /// Whether a record for `place` would be sent now: nothing waits before it and its shard takes more.
    pub(crate) fn is_ready(&self, place: Place, now: Instant) -> bool {
        match place {
            Place::At(hash) => {
                let lane = &self.lanes[self.map.position(hash)];
                lane.parcels.is_empty() && lane.gate.admits(now)
            }
            Place::Anywhere => self.anywhere.is_empty() && self.lanes.iter().any(|lane| lane.gate.admits(now)),
        }
    }

    /// When the next shard opens that something waits for, here or `elsewhere`.
    pub(crate) fn opens_at(&self, elsewhere: bool, now: Instant) -> Option<Instant> {
        let wanted = |lane: &&Lane| elsewhere || !lane.parcels.is_empty() || !self.anywhere.is_empty();
        self.lanes.iter().filter(wanted).filter_map(|lane| lane.gate.opens_at(now)).min()
    }

    /// When the oldest parcel's first record came in.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let fronts = self.lanes.iter().map(|lane| lane.parcels.front()).chain([self.anywhere.front()]);
        fronts.flatten().map(|parcel| parcel.since).min()
    }

    /// Bytes of data of the user records that wait here.
    pub(crate) fn user_bytes(&self) -> usize {
        self.user_bytes
    }

    fn queue(&mut self, place: Place) -> &mut VecDeque<Parcel> {
        match place {
            Place::Anywhere => &mut self.anywhere,
            Place::At(hash) => &mut self.lanes[self.map.position(hash)].parcels,
        }
    }

    /// Takes the older of the first parcel for this shard and the first that may go anywhere, if the shard and the request
    /// have room for it. The first parcel of a request always fits.
    fn next_parcel(&mut self, position: usize, room: usize, first: bool, now: Instant) -> Option<Choice> {
        let (shard, lane) = (&self.map.shards()[position], &mut self.lanes[position]);
        let own_is_older = match (lane.parcels.front(), self.anywhere.front()) {
            (Some(own), Some(any)) => own.since <= any.since,
            (own, _) => own.is_some(),
        };
        let queue = if own_is_older { &mut lane.parcels } else { &mut self.anywhere };
        let bytes = request_bytes(queue.front()?);
        if (bytes > room && !first) || !lane.gate.admits(now) {
            return None;
        }
        let mut parcel = queue.pop_front()?;
        self.user_bytes -= parcel.user_bytes;
        parcel.attempts += 1;
        let hash = match parcel.place {
            Place::At(hash) => hash,
            Place::Anywhere => shard.any_hash(&mut self.random),
        };
        lane.gate.sent(bytes, now);
        Some(Choice { parcel, shard_id: shard.id.clone(), hash })
    }
}

/// What a parcel counts at most against the quotas of a request and of a shard. The encoded table of keys, in what an
/// aggregate measures, is larger than the one key that a single record travels with.
fn request_bytes(parcel: &Parcel) -> usize {
    parcel.aggregate.bytes_max() + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;

    use super::*;
    use crate::producer::{
        bucket::Buckets,
        pack::tests::{keyed, keyless, packer, push},
        route::tests::even,
    };

    const REFUSED: Verdict = Verdict { stored: 0, throttled: 1, failed: 0 };

    fn backlog(shards: u128) -> Backlog {
        let mut backlog = Backlog::new(StdRng::seed_from_u64(4));
        backlog.follow(even(shards));
        backlog
    }

    fn parcels(count: usize, key: Option<&str>, now: Instant) -> Vec<Parcel> {
        let parcel = |number: usize| {
            let (mut packer, data) = (packer(), number.to_string());
            let record = key.map_or_else(|| keyless(data.as_bytes()), |key| keyed(key, data.as_bytes()));
            push(&mut packer, &record, now);
            packer.take(|_| true)
        };
        (0..count).flat_map(parcel).collect()
    }

    fn data(request: &[Shipment]) -> Vec<String> {
        request.iter().map(|shipment| String::from_utf8_lossy(&shipment.record.data).into_owned()).collect()
    }

    #[test]
    fn parcels_without_a_key_are_dealt_evenly_and_land_in_the_shard_they_were_dealt_to() {
        let (mut backlog, now) = (backlog(4), Instant::now());
        backlog.add(parcels(400, None, now));
        let request = backlog.next_request(now);
        let mut by_shard = BTreeMap::new();
        for shipment in &request {
            let expected = &backlog.map.shards()[backlog.map.position(shipment.record.explicit_hash_key)].id;
            assert_eq!(*expected, shipment.shard_id);
            *by_shard.entry(&shipment.shard_id).or_insert(0) += 1;
        }
        assert_eq!(by_shard.into_values().collect::<Vec<_>>(), [100; 4]);
    }

    #[test]
    fn a_request_holds_at_most_500_records() {
        let (mut backlog, now) = (backlog(2), Instant::now());
        backlog.add(parcels(501, None, now));
        assert_eq!(backlog.next_request(now).len(), 500);
        assert_eq!(backlog.next_request(now).len(), 1);
        assert!(backlog.next_request(now).is_empty());
    }

    #[test]
    fn a_closed_shard_holds_back_its_own_parcels_only() {
        let (mut backlog, now) = (backlog(2), Instant::now());
        let closed = backlog.map.shard_of(Buckets::new(256).pin(HashKey::of("key"))).id.clone();
        backlog.answered(&closed, REFUSED, now);
        backlog.add(parcels(1, Some("key"), now));
        backlog.add(parcels(9, None, now));
        let request = backlog.next_request(now);
        assert_eq!(request.len(), 9);
        assert!(request.iter().all(|shipment| shipment.shard_id != closed));
        let opens_at = backlog.opens_at(false, now).expect("the closed shard is wanted");
        assert_eq!(backlog.next_request(opens_at).len(), 1);
    }

    #[test]
    fn a_key_keeps_its_order_through_refusal_and_a_new_map() {
        let (mut backlog, now) = (backlog(1), Instant::now());
        let later = now + Duration::from_secs(10);
        backlog.add(parcels(4, Some("key"), now));
        let request = backlog.next_request(now);
        backlog.answered(&request[0].shard_id, Verdict { stored: 1, throttled: 4, failed: 0 }, now);
        for shipment in request.into_iter().rev() {
            backlog.give_back(shipment.parcel);
        }
        backlog.follow(even(3));
        assert_eq!(data(&backlog.next_request(later)), ["0", "1", "2", "3"]);
    }

    #[test]
    fn a_shard_that_stays_keeps_its_pace_under_a_new_map() {
        let (mut backlog, now) = (backlog(2), Instant::now());
        for shard in even(2).shards() {
            backlog.answered(&shard.id, REFUSED, now);
        }
        backlog.follow(even(2));
        backlog.add(parcels(1, None, now));
        assert!(backlog.next_request(now).is_empty());
    }

    #[test]
    fn what_waited_too_long_is_taken_out() {
        let (mut backlog, now) = (backlog(2), Instant::now());
        let second = Duration::from_secs(1);
        backlog.add(parcels(2, Some("key"), now));
        backlog.add(parcels(1, None, now + second));
        assert!(backlog.expire(now, second).is_empty());
        assert_eq!(backlog.expire(now + second, second).len(), 2);
        assert_eq!(backlog.oldest(), Some(now + second));
        assert_eq!(backlog.user_bytes(), 1);
    }
}
