//! What splits and merges do to aggregates on their way: nothing, whoever reads them.

use std::collections::HashMap;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    bucket::Buckets,
    pack::{Incoming, Place, tests as pack},
};
use crate::aggregation::{HashKey, KinesisRecord, decode};

/// Key, explicit hash key and data, as posted.
type Row = (Option<String>, Option<u128>, Vec<u8>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    vec((option::of("[a-z]{1,3}"), option::weighted(0.1, any::<u128>()), vec(any::<u8>(), 0..40)), 1..200)
}

/// What is put into the stream for `rows`, in the order in which each place gets it.
fn packed(rows: &[Row], buckets: Buckets) -> Vec<KinesisRecord> {
    let (mut packer, now, mut random) = (pack::packer(), Instant::now(), StdRng::seed_from_u64(7));
    for (key, hash, data) in rows {
        let record = Incoming { partition_key: key.as_deref(), explicit_hash_key: hash.map(HashKey), data };
        pack::push_in(buckets, &mut packer, &record, now);
    }
    let hash = |place| match place {
        Place::At(hash) => hash,
        Place::Anywhere => HashKey(random.random()),
    };
    let (places, parcels): (Vec<_>, Vec<_>) = {
        let (parcels, mut hash) = (packer.take(|_| true), hash);
        parcels.into_iter().map(|parcel| (hash(parcel.place), parcel)).unzip()
    };
    let aggregates: Vec<_> = parcels.iter().map(|parcel| &parcel.aggregate).zip(places).collect();
    crate::aggregation::Aggregate::finish_all(&aggregates)
}

/// Reads a record as the KCL does in a shard that takes the hashes of `range`: an aggregate with one record outside is
/// dropped whole (`AggregatorUtil.deaggregate`).
fn read(record: &KinesisRecord, is_inside: impl Fn(HashKey) -> bool) -> Vec<(String, Bytes)> {
    let data = Bytes::from(record.data.clone());
    let Some(users) = decode(&data) else { return vec![(record.partition_key.clone(), data)] };
    let mut read = Vec::new();
    for user in users {
        let explicit = user.explicit_hash_key.map(|hash| hash.parse().expect("a decimal hash key"));
        if !is_inside(explicit.unwrap_or_else(|| HashKey::of(&user.partition_key))) {
            return Vec::new();
        }
        read.push((user.partition_key.to_string(), user.data));
    }
    read
}

proptest! {
    #[test]
    fn however_the_range_is_cut_a_kcl_reads_every_record_once(
        rows in rows(), mut cuts in vec(1..u128::MAX, 0..8), bits in 0..=10_u32,
    ) {
        cuts.sort_unstable();
        let shard = |hash: HashKey| cuts.partition_point(|cut| *cut <= hash.0);
        let mut seen: Vec<_> = packed(&rows, Buckets::new(1 << bits))
            .iter()
            .flat_map(|record| read(record, |hash| shard(hash) == shard(record.explicit_hash_key)))
            .map(|(_, data)| data.to_vec())
            .collect();
        let mut posted: Vec<_> = rows.into_iter().map(|(_, _, data)| data).collect();
        seen.sort();
        posted.sort();
        prop_assert_eq!(seen, posted);
    }

    #[test]
    fn the_records_of_a_key_have_one_place_and_are_in_order_there(rows in rows(), bits in 0..=10_u32) {
        let buckets = Buckets::new(1 << bits);
        let by_key: Vec<Row> = rows.into_iter().filter(|(key, hash, _)| key.is_some() && hash.is_none()).collect();
        let mut came = HashMap::<String, Vec<Vec<u8>>>::new();
        for record in packed(&by_key, buckets) {
            for (key, data) in read(&record, |_| true) {
                prop_assert_eq!(record.explicit_hash_key, buckets.pin(HashKey::of(&key)));
                came.entry(key).or_default().push(data.to_vec());
            }
        }
        let mut posted = HashMap::<String, Vec<Vec<u8>>>::new();
        for (key, _, data) in by_key {
            posted.entry(key.unwrap_or_default()).or_default().push(data);
        }
        prop_assert_eq!(came, posted);
    }
}
