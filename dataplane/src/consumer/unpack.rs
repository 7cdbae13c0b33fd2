//! From Kinesis records to user records. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::{Checkpoint, SequenceNumber};
use crate::aggregation;

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

/// All user records in a record of `shard_id`, whether it is an aggregate or not.
#[must_use]
pub fn user_records(record: aws_sdk_kinesis::types::Record, shard_id: &Arc<str>) -> Vec<Record> {
    let sequence_number: Arc<str> = record.sequence_number.into();
    let arrived_at_ms = record.approximate_arrival_timestamp.and_then(|arrived| arrived.to_millis().ok());
    let partition_key = record.partition_key.unwrap_or_default();
    let data = Bytes::from(record.data.into_inner());
    let users = aggregation::decode(&data).unwrap_or_else(|| {
        vec![aggregation::UserRecord { partition_key: partition_key.into(), explicit_hash_key: None, data }]
    });
    let numbered = (0..).zip(users).map(|(sub_sequence_number, user)| Record {
        data: user.data,
        partition_key: user.partition_key,
        explicit_hash_key: user.explicit_hash_key,
        sequence_number: sequence_number.clone(),
        sub_sequence_number,
        shard_id: shard_id.clone(),
        arrived_at_ms,
    });
    numbered.collect()
}

/// The user records in a record of `shard_id` that `after` does not cover yet, and the checkpoint behind all of them.
///
/// A record outside the shard's hash range is delivered: at worst somebody sees it twice.
pub(crate) fn unpack(
    record: aws_sdk_kinesis::types::Record,
    shard_id: &Arc<str>,
    after: &Checkpoint,
    records: &mut Vec<Record>,
) -> Option<Checkpoint> {
    let number: SequenceNumber = record.sequence_number.parse().ok()?;
    let users = user_records(record, shard_id);
    let last = (users.len() as u64).saturating_sub(1);
    records.extend(users.into_iter().filter(|user| !after.covers(&number, user.sub_sequence_number)));
    (!after.covers(&number, last)).then_some(Checkpoint::At(number, last))
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};

    use super::*;
    use crate::aggregation::{Aggregate, HashKey};

    fn kinesis_record(sequence_number: &str, data: Vec<u8>) -> aws_sdk_kinesis::types::Record {
        aws_sdk_kinesis::types::Record::builder()
            .sequence_number(sequence_number)
            .partition_key("key")
            .approximate_arrival_timestamp(DateTime::from_millis(1_700_000_000_123))
            .data(Blob::new(data))
            .build()
            .expect("complete")
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
        let checkpoint = unpack(kinesis_record("100", data), &"shard".into(), after, &mut records);
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
        let checkpoint = unpack(record, &"shard".into(), &Checkpoint::Latest, &mut records);
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
}
