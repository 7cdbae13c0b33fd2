//! The aggregated record of the Kinesis Producer Library (KPL): many user records in one Kinesis record.
//!
//! ```text
//! F3 89 9A C2 | protobuf AggregatedRecord | MD5 of the protobuf bytes, 16 bytes
//!
//! AggregatedRecord                              Record
//!   1 repeated string partition_key_table         1 required uint64 partition_key_index
//!   2 repeated string explicit_hash_key_table     2 optional uint64 explicit_hash_key_index
//!   3 repeated Record records                     3 required bytes  data
//!                                                 4 repeated Tag    tags (nobody writes them)
//! ```
//!
//! Source: `aggregation-format.md` and `messages.proto` of awslabs/amazon-kinesis-producer.
//!
//! # One hash for all
//! The Kinesis Client Library drops a whole aggregate when one of its records hashes outside the shard it was read
//! from, which is what a split does to an aggregate on its way. An [`Aggregate`] therefore has one effective hash: each
//! of its records either has a partition key with that hash or refers to it as its explicit hash key. Whatever shard
//! takes the aggregate is the right one for every record in it.

mod decode;
mod encode;
mod hash_key;
mod md5;
mod wire;

use std::sync::Arc;

use bytes::Bytes;

pub use decode::{decode, decode_all};
pub use encode::{Aggregate, KinesisRecord};
pub use hash_key::HashKey;
pub use md5::digests;

/// What every aggregated record begins with.
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

/// Length of the MD5 digest at the end.
const DIGEST_BYTES: usize = 16;

const PARTITION_KEY_TABLE: u32 = 1;
const EXPLICIT_HASH_KEY_TABLE: u32 = 2;
const RECORDS: u32 = 3;

const PARTITION_KEY_INDEX: u32 = 1;
const EXPLICIT_HASH_KEY_INDEX: u32 = 2;
const DATA: u32 = 3;

/// One record as its producer's user put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub partition_key: Arc<str>,
    /// The decimal hash that replaces the partition key's, where the producer set one.
    pub explicit_hash_key: Option<Arc<str>>,
    pub data: Bytes,
}
