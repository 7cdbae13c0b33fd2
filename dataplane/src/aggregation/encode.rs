//! Packs user records into one Kinesis record.

use std::collections::HashMap;

use bytes::BufMut;
use md5::{Digest, Md5};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{
    DATA, DIGEST_BYTES, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, HashKey, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS,
};

/// The partition key of every aggregate, as the KPL writes it: its place is decided by the explicit hash key.
const AGGREGATE_PARTITION_KEY: &str = "a";

/// Digits of 2^128 - 1.
const HASH_KEY_DIGITS_MAX: usize = 39;

/// The keys of all fields are below 16, so each takes one byte.
const FIELD_KEY_BYTES: usize = 1;

/// User records on their way into one Kinesis record.
///
/// Records are encoded as they come, the tables and the digest when the aggregate is finished: its hash may be chosen,
/// and chosen again, as late as it is sent.
#[derive(Debug, Default)]
pub struct Aggregate {
    partition_keys: Vec<Box<str>>,
    positions: HashMap<Box<str>, u64>,
    partition_key_table_bytes: usize,
    records: Vec<u8>,
    /// Whether some record refers to the aggregate's hash.
    has_pinned: bool,
    count: usize,
    /// Length of the data at the end of `records`.
    last_data_bytes: usize,
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
        let index = self.position(partition_key);
        encode_key(RECORDS, WireType::LengthDelimited, &mut self.records);
        encode_varint(record_bytes(index, pinned, data.len()) as u64, &mut self.records);
        encode_key(PARTITION_KEY_INDEX, WireType::Varint, &mut self.records);
        encode_varint(index, &mut self.records);
        if pinned {
            encode_key(EXPLICIT_HASH_KEY_INDEX, WireType::Varint, &mut self.records);
            encode_varint(0, &mut self.records);
        }
        encode_key(DATA, WireType::LengthDelimited, &mut self.records);
        encode_varint(data.len() as u64, &mut self.records);
        self.records.put_slice(data);
        self.has_pinned |= pinned;
        self.count += 1;
        self.last_data_bytes = data.len();
    }

    /// The largest size of the finished aggregate if this record were added. The true size is smaller by the digits
    /// that its hash has less than 39.
    #[must_use]
    pub fn bytes_with(&self, partition_key: &str, pinned: bool, data_bytes: usize) -> usize {
        let known = self.positions.get(partition_key).copied();
        let index = known.unwrap_or(self.partition_keys.len() as u64);
        let key = if known.is_some() { 0 } else { field_bytes(partition_key.len()) };
        self.bytes(self.has_pinned || pinned) + key + field_bytes(record_bytes(index, pinned, data_bytes))
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
        let last = &self.records[self.records.len() - self.last_data_bytes..];
        match &self.partition_keys[..] {
            [only] if self.count == 1 && !last.starts_with(&MAGIC) => {
                KinesisRecord { partition_key: only.to_string(), explicit_hash_key: hash, data: last.to_vec() }
            }
            _ => KinesisRecord {
                partition_key: AGGREGATE_PARTITION_KEY.to_owned(),
                explicit_hash_key: hash,
                data: self.encode(hash),
            },
        }
    }

    fn encode(&self, hash: HashKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes_max());
        bytes.put_slice(&MAGIC);
        for key in &self.partition_keys {
            put_string(PARTITION_KEY_TABLE, key, &mut bytes);
        }
        if self.has_pinned {
            put_string(EXPLICIT_HASH_KEY_TABLE, &hash.to_string(), &mut bytes);
        }
        bytes.put_slice(&self.records);
        let digest = Md5::digest(&bytes[MAGIC.len()..]);
        bytes.put_slice(&digest);
        bytes
    }

    /// The place of a partition key in the table, where it is put when it is new.
    fn position(&mut self, partition_key: &str) -> u64 {
        if let Some(position) = self.positions.get(partition_key) {
            return *position;
        }
        let position = self.partition_keys.len() as u64;
        self.partition_keys.push(partition_key.into());
        self.positions.insert(partition_key.into(), position);
        self.partition_key_table_bytes += field_bytes(partition_key.len());
        position
    }

    fn bytes(&self, has_pinned: bool) -> usize {
        let hashes = if has_pinned { field_bytes(HASH_KEY_DIGITS_MAX) } else { 0 };
        MAGIC.len() + self.partition_key_table_bytes + hashes + self.records.len() + DIGEST_BYTES
    }
}

fn put_string(field: u32, value: &str, bytes: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, bytes);
    encode_varint(value.len() as u64, bytes);
    bytes.put_slice(value.as_bytes());
}

/// The size of a length-delimited field with `length` bytes in it.
fn field_bytes(length: usize) -> usize {
    FIELD_KEY_BYTES + encoded_len_varint(length as u64) + length
}

/// The size of a `Record` message, without the field that holds it.
fn record_bytes(index: u64, pinned: bool, data_bytes: usize) -> usize {
    let hash = if pinned { FIELD_KEY_BYTES + encoded_len_varint(0) } else { 0 };
    FIELD_KEY_BYTES + encoded_len_varint(index) + hash + field_bytes(data_bytes)
}
