//! From Kinesis records to user records. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    checkpoint::{Checkpoint, SequenceNumber},
    lease::Lease,
};
use crate::aggregation::{self, HashKey, UserRecord};

/// A user record with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub data: Bytes,
    pub partition_key: Arc<str>,
    /// The hash that replaces the partition key's, where the producer has set one for a record of an aggregate.
    pub explicit_hash_key: Option<Arc<str>>,
    /// Of the Kinesis record that it came in.
    pub sequence_number: Arc<str>,
    /// Its place in that Kinesis record.
    pub sub_sequence_number: u64,
    pub shard_id: Arc<str>,
    /// When Kinesis took the record, in milliseconds since the Unix epoch, as far as Kinesis says.
    pub arrived_at_ms: Option<i64>,
}

/// What becomes of a record of an aggregate whose key belongs to another shard, which a split can bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutOfRange {
    /// It is processed: at worst somebody sees it twice
    Deliver,
    /// It is left out, as its producer sends it again to the right shard. The KPL does
    Drop,
}

/// The range of a shard that is alone: nothing belongs elsewhere.
const WHOLE_RANGE: (HashKey, HashKey) = (HashKey(0), HashKey(u128::MAX));

/// The shard that records come from.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) id: Arc<str>,
    /// First and last hash key, if the lease knows them.
    pub(crate) range: Option<(HashKey, HashKey)>,
    pub(crate) out_of_range: OutOfRange,
}

impl Shard {
    pub(crate) fn of(lease: &Lease, out_of_range: OutOfRange) -> Self {
        let range = lease.hash_keys.as_ref().and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        Self { id: lease.shard_id.as_str().into(), range, out_of_range }
    }
}

/// What a record came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Behind all of its user records, unless that was there before.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// User records that belong to another shard.
    pub(crate) out_of_range: u64,
}

/// A Kinesis record whose user records are found, and nothing else.
pub(crate) struct Opened {
    sequence_number: Arc<str>,
    arrived_at_ms: Option<i64>,
    aggregated: bool,
    users: Vec<UserRecord>,
}

/// Finds the user records in each. The digests of aggregates are checked together, which takes far less time than one
/// by one.
pub(crate) fn open(records: Vec<aws_sdk_kinesis::types::Record>) -> Vec<Opened> {
    let known = |record: aws_sdk_kinesis::types::Record| {
        let arrived_at_ms = record.approximate_arrival_timestamp.and_then(|arrived| arrived.to_millis().ok());
        let data = Bytes::from(record.data.into_inner());
        (data, record.partition_key, record.sequence_number, arrived_at_ms)
    };
    let known: Vec<_> = records.into_iter().map(known).collect();
    let decoded = aggregation::decode_all(known.iter().map(|(data, ..)| data));
    let opened =
        known.into_iter().zip(decoded).map(|((data, partition_key, sequence_number, arrived_at_ms), decoded)| {
            let aggregated = decoded.is_some();
            let users = decoded.unwrap_or_else(|| {
                let partition_key = partition_key.unwrap_or_default().into();
                vec![UserRecord { partition_key, explicit_hash_key: None, data }]
            });
            Opened { sequence_number: sequence_number.into(), arrived_at_ms, aggregated, users }
        });
    opened.collect()
}

/// All user records in records of `shard_id`, whether these are aggregates or not.
#[must_use]
pub fn user_records(kinesis: Vec<aws_sdk_kinesis::types::Record>, shard_id: &Arc<str>) -> Vec<Record> {
    let mut records = Vec::new();
    for opened in open(kinesis) {
        opened.append(shard_id, &mut records);
    }
    records
}

impl Opened {
    fn append(self, shard_id: &Arc<str>, records: &mut Vec<Record>) {
        let Self { sequence_number, arrived_at_ms, users, .. } = self;
        records.extend((0..).zip(users).map(|(sub_sequence_number, user)| Record {
            data: user.data,
            partition_key: user.partition_key,
            explicit_hash_key: user.explicit_hash_key,
            sequence_number: sequence_number.clone(),
            sub_sequence_number,
            shard_id: shard_id.clone(),
            arrived_at_ms,
        }));
    }
}

/// Appends the user records in a record of a shard that `after` does not cover yet.
pub(crate) fn unpack(opened: Opened, shard: &Shard, after: &Checkpoint, records: &mut Vec<Record>) -> Unpacked {
    let Ok(number) = opened.sequence_number.parse::<SequenceNumber>() else { return Unpacked::default() };
    let (from, aggregated) = (records.len(), opened.aggregated);
    opened.append(&shard.id, records);
    let last = ((records.len() - from) as u64).saturating_sub(1);
    if after.covers(&number, 0) {
        let _processed = records.extract_if(from.., |user| after.covers(&number, user.sub_sequence_number)).count();
    }
    let out_of_range = if aggregated { sift(shard, from, records) } else { 0 };
    let checkpoint = (!after.covers(&number, last)).then_some(Checkpoint::At(number, last));
    Unpacked { checkpoint, out_of_range }
}

/// Counts the records from `from` on that belong to another shard, and takes them out if they are not wanted.
fn sift(shard: &Shard, from: usize, records: &mut Vec<Record>) -> u64 {
    let Some((first, last)) = shard.range.filter(|range| *range != WHOLE_RANGE) else { return 0 };
    let foreign: Vec<bool> = hashes(&records[from..]).map(|hash| hash < first || last < hash).collect();
    let count = foreign.iter().filter(|foreign| **foreign).count() as u64;
    if count > 0 && shard.out_of_range == OutOfRange::Drop {
        let mut foreign = foreign.into_iter();
        let _dropped = records.extract_if(from.., |_| foreign.next().unwrap_or(false)).count();
    }
    count
}

/// Where records belong: at their explicit hash key, or else at the hash of their partition key.
fn hashes(records: &[Record]) -> impl Iterator<Item = HashKey> {
    let own = records.iter().filter(|record| record.explicit_hash_key.is_none());
    let keys: Vec<&str> = own.map(|record| &*record.partition_key).collect();
    let mut own = HashKey::of_all(&keys).into_iter();
    // The records of an aggregate share their explicit hash key, mostly.
    let mut known: Option<(&Arc<str>, HashKey)> = None;
    records.iter().map(move |record| {
        let Some(explicit) = &record.explicit_hash_key else {
            return own.next().unwrap_or_else(|| HashKey::of(&record.partition_key));
        };
        match known {
            Some((key, hash)) if Arc::ptr_eq(key, explicit) => hash,
            _ => {
                let Ok(hash) = explicit.parse() else { return HashKey::of(&record.partition_key) };
                known = Some((explicit, hash));
                hash
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use md5::Digest;

    use super::*;
    use crate::aggregation::Aggregate;

    fn shard(range: Option<(u128, u128)>, out_of_range: OutOfRange) -> Shard {
        let range = range.map(|(first, last)| (HashKey(first), HashKey(last)));
        Shard { id: "shard".into(), range, out_of_range }
    }

    fn kinesis_record(sequence_number: &str, data: Vec<u8>) -> aws_sdk_kinesis::types::Record {
        aws_sdk_kinesis::types::Record::builder()
            .sequence_number(sequence_number)
            .partition_key("key")
            .approximate_arrival_timestamp(DateTime::from_millis(1_700_000_000_123))
            .data(Blob::new(data))
            .build()
            .expect("complete")
    }

    fn unpack(
        record: aws_sdk_kinesis::types::Record,
        shard: &Shard,
        after: &Checkpoint,
        records: &mut Vec<Record>,
    ) -> Unpacked {
        let mut opened = open(vec![record]);
        assert_eq!(opened.len(), 1);
        super::unpack(opened.remove(0), shard, after, records)
    }

    fn three() -> Vec<u8> {
        let mut aggregate = Aggregate::default();
        for data in [b"0", b"1", b"2"] {
            aggregate.push("k", true, data);
        }
        aggregate.finish(HashKey(0)).data
    }

    fn read(data: Vec<u8>, after: &Checkpoint) -> (Vec<(u64, Bytes)>, Option<Checkpoint>) {
        let mut records = Vec::new();
        let shard = shard(None, OutOfRange::Deliver);
        let checkpoint = unpack(kinesis_record("100", data), &shard, after, &mut records).checkpoint;
        (records.into_iter().map(|record| (record.sub_sequence_number, record.data)).collect(), checkpoint)
    }

    fn at(sequence_number: &str, sub: u64) -> Checkpoint {
        Checkpoint::At(sequence_number.parse().expect("a number"), sub)
    }

    #[test]
    fn an_aggregate_becomes_its_user_records_and_the_checkpoint_behind_them() {
        let (records, checkpoint) = read(three(), &Checkpoint::TrimHorizon);
        assert_eq!(records, [(0, "0".into()), (1, "1".into()), (2, "2".into())]);
        assert_eq!(checkpoint, Some(at("100", 2)));
    }

    #[test]
    fn an_ordinary_record_is_itself() {
        let mut records = Vec::new();
        let record = kinesis_record("100", b"plain".to_vec());
        let shard = shard(None, OutOfRange::Deliver);
        let checkpoint = unpack(record, &shard, &Checkpoint::Latest, &mut records).checkpoint;
        assert_eq!(checkpoint, Some(at("100", 0)));
        let [record] = &records[..] else { panic!("one record: {records:?}") };
        assert_eq!((&record.data[..], &*record.partition_key), (&b"plain"[..], "key"));
        assert_eq!(record.arrived_at_ms, Some(1_700_000_000_123));
    }

    #[test]
    fn what_a_checkpoint_covers_is_not_delivered_again() {
        assert_eq!(read(three(), &at("100", 1)), (vec![(2, "2".into())], Some(at("100", 2))));
        assert_eq!(read(three(), &at("100", 2)), (Vec::new(), None));
        assert_eq!(read(three(), &at("101", 0)), (Vec::new(), None));
    }

    #[test]
    fn a_record_of_another_shard_is_delivered_and_counted_or_left_out_as_the_setting_says() {
        // Three records that refer to hash 0, in a shard that begins at 1.
        let mut aggregate = Aggregate::default();
        for data in [b"0", b"1", b"2"] {
            aggregate.push("k", true, data);
        }
        for (out_of_range, first, delivered, foreign) in
            [(OutOfRange::Deliver, 1, 3, 3), (OutOfRange::Drop, 1, 0, 3), (OutOfRange::Drop, 0, 3, 0)]
        {
            let record = kinesis_record("100", aggregate.finish(HashKey(0)).data);
            let shard = shard(Some((first, u128::MAX)), out_of_range);
            let mut records = Vec::new();
            let unpacked = unpack(record, &shard, &Checkpoint::TrimHorizon, &mut records);
            assert_eq!((records.len(), unpacked.out_of_range), (delivered, foreign), "{out_of_range:?} from {first}");
            assert_eq!(unpacked.checkpoint, Some(at("100", 2)), "the checkpoint passes what is left out");
        }
    }

    #[test]
    fn each_record_of_an_aggregate_is_judged_by_its_own_key() {
        // What the KPL makes of records with different keys, none of them with an explicit hash key.
        let keys = ["a", "b", "c", "d", "a"];
        let mut message = Vec::new();
        for key in &keys[..4] {
            message.extend_from_slice(&[0x0A, 1, key.as_bytes()[0]]);
        }
        for index in [0, 1, 2, 3, 0] {
            message.extend_from_slice(&[0x1A, 5, 0x08, index, 0x1A, 1, b'0' + index]);
        }
        let digest = md5::Md5::digest(&message);
        let data = [&[0xF3, 0x89, 0x9A, 0xC2], &message[..], &digest[..]].concat();
        // Their MD5s begin with 0c, 92, 4a and 82.
        let upper_half = Some((1 << 127, u128::MAX));
        let read = |out_of_range| {
            let (shard, mut records) = (shard(upper_half, out_of_range), Vec::new());
            let unpacked = unpack(kinesis_record("7", data.clone()), &shard, &Checkpoint::TrimHorizon, &mut records);
            let keys: Vec<_> = records.iter().map(|record| record.partition_key.to_string()).collect();
            (keys, unpacked.out_of_range, unpacked.checkpoint)
        };
        assert_eq!(read(OutOfRange::Deliver), (keys.map(str::to_owned).to_vec(), 3, Some(at("7", 4))));
        let own = ["b", "d"].map(str::to_owned).to_vec();
        assert_eq!(read(OutOfRange::Drop), (own, 3, Some(at("7", 4))));
    }

    #[test]
    fn what_looks_like_an_aggregate_and_is_none_is_delivered_as_it_came() {
        let whole = three();
        let cut_short = whole[..whole.len() - 1].to_vec();
        let mut tampered = whole.clone();
        tampered[10] ^= 1;
        let mut other_magic = whole;
        other_magic[0] ^= 1;
        for data in [cut_short, tampered, other_magic, vec![0xF3, 0x89, 0x9A, 0xC2], Vec::new()] {
            let expected = (vec![(0, data.clone().into())], Some(at("100", 0)));
            assert_eq!(read(data, &Checkpoint::TrimHorizon), expected);
        }
    }

    #[test]
    fn a_record_that_is_no_aggregate_is_where_kinesis_put_it() {
        let mut records = Vec::new();
        let shard = shard(Some((0, 0)), OutOfRange::Drop);
        let record = kinesis_record("100", b"plain".to_vec());
        assert_eq!(unpack(record, &shard, &Checkpoint::TrimHorizon, &mut records).out_of_range, 0);
        assert_eq!(records.len(), 1);
    }
}
