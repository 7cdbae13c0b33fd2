//! Unpacks the user records of Kinesis records.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::{
    DATA, DIGEST_BYTES, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEY_TABLE, MAGIC, PARTITION_KEY_INDEX,
    PARTITION_KEY_TABLE, RECORDS, UserRecord,
    md5::digests,
    wire::{Fields, Value},
};

/// The user records of an aggregated record, in order: a record's sub-sequence number is its place. `None` when `data`
/// is no aggregate, which is decided as the Kinesis Client Library does: too short, other magic, other digest, or not
/// the message it should be. Then the Kinesis record is itself the user record.
///
/// The data of the user records is not copied.
#[must_use]
pub fn decode(data: &Bytes) -> Option<Vec<UserRecord>> {
    let (message, digest) = sealed(data)?;
    if Md5::digest(message)[..] != *digest {
        return None;
    }
    user_records(data, message)
}

/// What [`decode`] makes of each, with the digests of all of them checked together. Most of the time of one alone goes
/// into its digest; a dozen together take about a third of the time.
#[must_use]
pub fn decode_all<'a>(data: impl IntoIterator<Item = &'a Bytes>) -> Vec<Option<Vec<UserRecord>>> {
    let all: Vec<_> = data.into_iter().map(|data| (data, sealed(data))).collect();
    let messages: Vec<_> = all.iter().filter_map(|(_, sealed)| sealed.map(|(message, _)| message)).collect();
    let mut digests = digests(&messages).into_iter();
    let open = |(data, sealed): (&Bytes, Option<Sealed<'_>>)| {
        let (message, digest) = sealed?;
        if digests.next()? == *digest { user_records(data, message) } else { None }
    };
    all.into_iter().map(open).collect()
}

/// A message and its digest.
type Sealed<'a> = (&'a [u8], &'a [u8]);

/// The message and the digest of what looks like an aggregate.
fn sealed(data: &Bytes) -> Option<Sealed<'_>> {
    let message = data.strip_prefix(&MAGIC)?;
    let sealed = message.split_at_checked(message.len().checked_sub(DIGEST_BYTES)?)?;
    (!sealed.0.is_empty()).then_some(sealed)
}

/// The user records of a `message` within `data`.
fn user_records(data: &Bytes, message: &[u8]) -> Option<Vec<UserRecord>> {
    let tables = Tables::read(message)?;
    let mut records = Vec::with_capacity(tables.records);
    // Tables may follow the records that refer to them, hence the second pass.
    for field in Fields(message) {
        if let (RECORDS, Value::Bytes(record)) = field? {
            records.push(tables.resolve(data, record)?);
        }
    }
    Some(records)
}

#[derive(Default)]
struct Tables {
    partition_keys: Vec<Arc<str>>,
    explicit_hash_keys: Vec<Arc<str>>,
    /// How many records there are.
    records: usize,
}

impl Tables {
    fn read(message: &[u8]) -> Option<Self> {
        let mut tables = Self::default();
        for field in Fields(message) {
            match field? {
                (PARTITION_KEY_TABLE, Value::Bytes(key)) => tables.partition_keys.push(text(key)?),
                (EXPLICIT_HASH_KEY_TABLE, Value::Bytes(key)) => tables.explicit_hash_keys.push(text(key)?),
                (RECORDS, Value::Bytes(_)) => tables.records += 1,
                (PARTITION_KEY_TABLE | EXPLICIT_HASH_KEY_TABLE | RECORDS, Value::Number(_) | Value::Fixed) => {
                    return None;
                }
                _ => {}
            }
        }
        Some(tables)
    }

    /// Reads a `Record` message and looks up its keys. `data` is what `record` is a part of.
    fn resolve(&self, data: &Bytes, record: &[u8]) -> Option<UserRecord> {
        let (mut partition_key, mut explicit_hash_key, mut payload) = (None, None, None);
        for field in Fields(record) {
            match field? {
                (PARTITION_KEY_INDEX, Value::Number(index)) => {
                    partition_key = Some(entry(&self.partition_keys, index)?);
                }
                (EXPLICIT_HASH_KEY_INDEX, Value::Number(index)) => {
                    explicit_hash_key = Some(entry(&self.explicit_hash_keys, index)?);
                }
                (DATA, Value::Bytes(bytes)) => payload = Some(data.slice_ref(bytes)),
                (PARTITION_KEY_INDEX | EXPLICIT_HASH_KEY_INDEX | DATA, _) => return None,
                _ => {}
            }
        }
        Some(UserRecord { partition_key: partition_key?, explicit_hash_key, data: payload? })
    }
}

fn entry(table: &[Arc<str>], index: u64) -> Option<Arc<str>> {
    table.get(usize::try_from(index).ok()?).cloned()
}

fn text(bytes: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(bytes).ok().map(Arc::from)
}
