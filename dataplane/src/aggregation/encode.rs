//! Packs user records into one Kinesis record.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use md5::{Digest, Md5};

use super::{
    DATA, DIGEST_BYTES, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, HashKey, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS,
    md5::digests,
    wire::{FIELD_KEY_BYTES, field_bytes, put_length, put_number, varint_bytes},
};

/// The partition key of every aggregate, as the KPL writes it: its place is decided by the explicit hash key.
const AGGREGATE_PARTITION_KEY: &str = "a";

/// Digits of 2^128 - 1.
const HASH_KEY_DIGITS_MAX: usize = 39;

/// User records on their way into one Kinesis record.
///
/// Records and their partition keys are encoded as they come, the hash and the digest when the aggregate is finished:
/// its hash may be chosen, and chosen again, as late as it is sent.
#[derive(Debug, Default)]
pub struct Aggregate {
    keys: Keys,
    records: Vec<u8>,
    /// Whether some record refers to the aggregate's hash.
    has_pinned: bool,
    count: usize,
    /// Length of the data at the end of `records`.
    last_data_bytes: usize,
}

/// The table of partition keys.
#[derive(Debug, Default)]
struct Keys {
    /// The table as it is in the message.
    encoded: Vec<u8>,
    /// Where each key is in there: its start and its end.
    spans: Vec<(usize, usize)>,
    /// The places in `spans`, by key.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// The place of the key that was asked for last: neighbours often share one.
    last: usize,
}

/// What is put into the stream for an [`Aggregate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisRecord {
    pub partition_key: String,
    pub explicit_hash_key: HashKey,
    pub data: Vec<u8>,
}

impl Aggregate {
    /// How many user records it holds.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds a record. A `pinned` record refers to the aggregate's hash; any other must have a partition key whose
    /// hash that is.
    pub fn push(&mut self, partition_key: &str, pinned: bool, data: &[u8]) {
        let place = self.keys.place_or_insert(partition_key) as u64;
        self.records.reserve(field_bytes(record_bytes(place, pinned, data.len())));
        put_length(RECORDS, record_bytes(place, pinned, data.len()), &mut self.records);
        put_number(PARTITION_KEY_INDEX, place, &mut self.records);
        if pinned {
            put_number(EXPLICIT_HASH_KEY_INDEX, 0, &mut self.records);
        }
        put_length(DATA, data.len(), &mut self.records);
        self.records.extend_from_slice(data);
        self.has_pinned |= pinned;
        self.count += 1;
        self.last_data_bytes = data.len();
    }

    /// The largest size of the finished aggregate if this record were added. The true size is smaller by the digits
    /// that its hash has less than 39.
    #[must_use]
    pub fn bytes_with(&self, partition_key: &str, pinned: bool, data_bytes: usize) -> usize {
        let known = self.keys.place(partition_key);
        let place = known.unwrap_or(self.keys.spans.len()) as u64;
        let key = if known.is_some() { 0 } else { field_bytes(partition_key.len()) };
        self.bytes(self.has_pinned || pinned) + key + field_bytes(record_bytes(place, pinned, data_bytes))
    }

    /// The largest size of the finished aggregate.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes(self.has_pinned)
    }

    /// The Kinesis record, placed at `hash`.
    ///
    /// A single user record travels as itself, as with the KPL, unless its data would pass for an aggregate.
    #[must_use]
    pub fn finish(&self, hash: HashKey) -> KinesisRecord {
        let mut record = self.unsealed(hash);
        if self.is_sealed() {
            let digest = Md5::digest(&record.data[MAGIC.len()..]);
            record.data.extend_from_slice(&digest);
        }
        record
    }

    /// What [`Self::finish`] makes of each, with the digests of all of them computed together, which takes about half
    /// the time.
    #[must_use]
    pub fn finish_all(aggregates: &[(&Self, HashKey)]) -> Vec<KinesisRecord> {
        let mut records: Vec<_> = aggregates.iter().map(|(aggregate, hash)| aggregate.unsealed(*hash)).collect();
        let sealed = || aggregates.iter().enumerate().filter(|(_, (aggregate, _))| aggregate.is_sealed());
        let messages: Vec<_> = sealed().map(|(index, _)| &records[index].data[MAGIC.len()..]).collect();
        let digests = digests(&messages);
        for ((index, _), digest) in sealed().zip(digests) {
            records[index].data.extend_from_slice(&digest);
        }
        records
    }

    /// Whether it travels as an aggregate, with a digest at its end.
    fn is_sealed(&self) -> bool {
        let last = &self.records[self.records.len() - self.last_data_bytes..];
        self.count != 1 || last.starts_with(&MAGIC)
    }

    /// The record without its digest.
    fn unsealed(&self, hash: HashKey) -> KinesisRecord {
        if self.is_sealed() {
            let partition_key = AGGREGATE_PARTITION_KEY.to_owned();
            return KinesisRecord { partition_key, explicit_hash_key: hash, data: self.encode(hash) };
        }
        let last = &self.records[self.records.len() - self.last_data_bytes..];
        KinesisRecord { partition_key: self.keys.first(), explicit_hash_key: hash, data: last.to_vec() }
    }

    fn encode(&self, hash: HashKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes_max());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.keys.encoded);
        if self.has_pinned {
            put_string(EXPLICIT_HASH_KEY_TABLE, &hash.to_string(), &mut bytes);
        }
        bytes.extend_from_slice(&self.records);
        bytes
    }

    fn bytes(&self, has_pinned: bool) -> usize {
        let hashes = if has_pinned { field_bytes(HASH_KEY_DIGITS_MAX) } else { 0 };
        MAGIC.len() + self.keys.encoded.len() + hashes + self.records.len() + DIGEST_BYTES
    }
}

impl Keys {
    fn key(&self, place: usize) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(place)?;
        self.encoded.get(start..end)
    }

    fn first(&self) -> String {
        String::from_utf8_lossy(self.key(0).unwrap_or_default()).into_owned()
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.key(self.last) == Some(key.as_bytes()) {
            return Some(self.last);
        }
        let hash = self.hash(key.as_bytes());
        self.places.find(hash, |place| self.key(*place) == Some(key.as_bytes())).copied()
    }

    /// The place of a key, which is added when it is new.
    fn place_or_insert(&mut self, key: &str) -> usize {
        self.last = self.place(key).unwrap_or_else(|| self.insert(key));
        self.last
    }

    fn insert(&mut self, key: &str) -> usize {
        let place = self.spans.len();
        put_string(PARTITION_KEY_TABLE, key, &mut self.encoded);
        self.spans.push((self.encoded.len() - key.len(), self.encoded.len()));
        let hash = self.hash(key.as_bytes());
        let Self { encoded, spans, places, hasher, .. } = self;
        places.insert_unique(hash, place, |place| {
            let (start, end) = spans[*place];
            hasher.hash_one(&encoded[start..end])
        });
        place
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
}

fn put_string(field: u32, value: &str, bytes: &mut Vec<u8>) {
    put_length(field, value.len(), bytes);
    bytes.extend_from_slice(value.as_bytes());
}

/// The size of a `Record` message, without the field that holds it.
fn record_bytes(place: u64, pinned: bool, data_bytes: usize) -> usize {
    let hash = if pinned { FIELD_KEY_BYTES + varint_bytes(0) } else { 0 };
    FIELD_KEY_BYTES + varint_bytes(place) + hash + field_bytes(data_bytes)
}
