//! The aggregated record both ways, checked against an independent reading of the KPL's `messages.proto`.

use bytes::Bytes;
use dataplane::aggregation::{Aggregate, HashKey, UserRecord, decode, decode_all};
use md5::{Digest, Md5};
use proptest::{collection::vec, prelude::*};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    tags: Vec<Tag>,
}

#[derive(Clone, PartialEq, Message)]
struct Tag {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

fn seal(message: &[u8]) -> Bytes {
    [&[0xF3, 0x89, 0x9A, 0xC2], message, &Md5::digest(message)[..]].concat().into()
}

fn aggregate(records: &[(String, Vec<u8>)]) -> Aggregate {
    let mut aggregate = Aggregate::default();
    for (key, data) in records {
        aggregate.push(key, true, data);
    }
    aggregate
}

fn user_records() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    vec(("[a-e]{1,2}|[^x]{1,60}", vec(any::<u8>(), 0..300)), 2..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded_in_order(records in user_records(), hash in any::<u128>()) {
        let packed = aggregate(&records).finish(HashKey(hash));
        let unpacked = decode(&packed.data.into()).expect("an aggregate");
        let decimal = hash.to_string();
        prop_assert_eq!(packed.partition_key, "a");
        prop_assert_eq!(packed.explicit_hash_key, HashKey(hash));
        prop_assert_eq!(unpacked.len(), records.len());
        for (unpacked, (key, data)) in unpacked.iter().zip(&records) {
            prop_assert_eq!(&*unpacked.partition_key, key);
            prop_assert_eq!(&unpacked.data, data);
            prop_assert_eq!(unpacked.explicit_hash_key.as_deref(), Some(decimal.as_str()));
        }
    }

    #[test]
    fn others_read_what_is_encoded(records in user_records(), hash in any::<u128>()) {
        let bytes = aggregate(&records).finish(HashKey(hash)).data;
        let message = &bytes[4..bytes.len() - 16];
        prop_assert_eq!(&bytes[bytes.len() - 16..], &Md5::digest(message)[..]);
        let read = AggregatedRecord::decode(message).expect("the message of messages.proto");
        prop_assert_eq!(&read.explicit_hash_key_table, &[hash.to_string()]);
        let keys: std::collections::BTreeSet<_> = records.iter().map(|(key, _)| key).collect();
        prop_assert_eq!(read.partition_key_table.len(), keys.len());
        for (record, (key, data)) in read.records.iter().zip(&records) {
            prop_assert_eq!(&read.partition_key_table[record.partition_key_index as usize], key);
            prop_assert_eq!(record.explicit_hash_key_index, Some(0));
            prop_assert_eq!(&record.data, data);
        }
        prop_assert_eq!(read.records.len(), records.len());
    }

    #[test]
    fn what_others_encode_is_decoded(
        keys in vec("[^x]{1,20}", 1..5),
        hashes in vec(any::<u128>(), 1..4),
        rows in vec((any::<prop::sample::Index>(), any::<Option<prop::sample::Index>>(), vec(any::<u8>(), 0..100)), 0..30),
    ) {
        let message = AggregatedRecord {
            partition_key_table: keys.clone(),
            explicit_hash_key_table: hashes.iter().map(ToString::to_string).collect(),
            records: rows.iter().map(|(key, hash, data)| Record {
                partition_key_index: key.index(keys.len()) as u64,
                explicit_hash_key_index: hash.map(|hash| hash.index(hashes.len()) as u64),
                data: data.clone(),
                tags: vec![Tag { key: "k".to_owned(), value: None }],
            }).collect(),
        };
        let unpacked = decode(&seal(&message.encode_to_vec())).expect("an aggregate");
        let expected: Vec<_> = rows.iter().map(|(key, hash, data)| UserRecord {
            partition_key: keys[key.index(keys.len())].as_str().into(),
            explicit_hash_key: hash.map(|hash| hashes[hash.index(hashes.len())].to_string().into()),
            data: data.clone().into(),
        }).collect();
        prop_assert_eq!(unpacked, expected);
    }

    #[test]
    fn the_predicted_size_bounds_the_true_one(records in user_records(), hash in any::<u128>()) {
        let mut aggregate = Aggregate::default();
        for (key, data) in &records {
            let predicted = aggregate.bytes_with(key, true, data.len());
            aggregate.push(key, true, data);
            prop_assert_eq!(aggregate.bytes_max(), predicted);
        }
        let missing_digits = 39 - hash.to_string().len();
        prop_assert_eq!(aggregate.finish(HashKey(hash)).data.len(), aggregate.bytes_max() - missing_digits);
    }

    #[test]
    fn many_decoded_together_are_those_decoded_alone(
        all in vec(prop_oneof![
            4 => user_records().prop_map(|records| Bytes::from(aggregate(&records).finish(HashKey(7)).data)),
            1 => vec(any::<u8>(), 0..60).prop_map(|message| seal(&message)),
            1 => vec(any::<u8>(), 0..60).prop_map(Bytes::from),
        ], 0..24),
        broken in any::<prop::sample::Index>(),
    ) {
        let mut all = all;
        if !all.is_empty() {
            let broken = broken.index(all.len());
            let mut bytes = all[broken].to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            all[broken] = bytes.into();
        }
        prop_assert_eq!(decode_all(&all), all.iter().map(decode).collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_bytes_never_panic(message in vec(any::<u8>(), 0..200)) {
        let _ = decode(&Bytes::from(message.clone()));
        let _ = decode(&seal(&message));
    }

    #[test]
    fn a_changed_byte_makes_it_an_ordinary_record(
        records in user_records(),
        at in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut bytes = aggregate(&records).finish(HashKey(7)).data;
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert_eq!(decode(&bytes.into()), None);
    }
}

#[test]
fn a_single_record_travels_as_itself_at_the_given_hash() {
    let mut single = Aggregate::default();
    single.push("key", true, b"payload");
    let packed = single.finish(HashKey(5));
    assert_eq!((packed.partition_key.as_str(), &packed.data[..]), ("key", &b"payload"[..]));
    assert_eq!(packed.explicit_hash_key, HashKey(5));
}

#[test]
fn a_single_record_that_looks_like_an_aggregate_is_wrapped_so_that_nobody_unpacks_it() {
    let inner = aggregate(&[("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())]).finish(HashKey(1)).data;
    let mut outer = Aggregate::default();
    outer.push("key", false, &inner);
    let unpacked = decode(&outer.finish(HashKey::of("key")).data.into()).expect("wrapped");
    assert_eq!(unpacked.len(), 1);
    assert_eq!(unpacked[0].data, inner);
    assert_eq!(unpacked[0].explicit_hash_key, None);
}

#[test]
fn an_index_outside_its_table_makes_it_an_ordinary_record() {
    let message = AggregatedRecord {
        partition_key_table: vec!["only".to_owned()],
        records: vec![Record { partition_key_index: 1, data: b"x".to_vec(), ..Record::default() }],
        ..AggregatedRecord::default()
    };
    assert_eq!(decode(&seal(&message.encode_to_vec())), None);
}

#[test]
fn tables_may_follow_the_records_that_refer_to_them() {
    let records = AggregatedRecord {
        records: vec![Record { partition_key_index: 0, data: b"x".to_vec(), ..Record::default() }],
        ..AggregatedRecord::default()
    };
    let tables = AggregatedRecord { partition_key_table: vec!["late".to_owned()], ..AggregatedRecord::default() };
    let message = [records.encode_to_vec(), tables.encode_to_vec()].concat();
    assert_eq!(&*decode(&seal(&message)).expect("an aggregate")[0].partition_key, "late");
}
