//! Encoding and decoding of aggregates of 100-byte records, beside a copy and an MD5 of the same bytes.

use std::hint::black_box;

use bytes::Bytes;
use dataplane::aggregation::{Aggregate, HashKey, decode, decode_all, digests};
use md5::{Digest, Md5};

use crate::{cpu, grouped, line};

const ROUNDS: usize = 15;
const AGGREGATES: usize = 64;

/// What one GetRecords answer brings at least, where there is something to catch up on.
const ANSWER: usize = 16;

/// Of 100 bytes each they fill an aggregate of 51,200 bytes.
const RECORDS: usize = 470;
const KEYS: usize = 20;

pub(crate) fn run() {
    let keys: Vec<String> = (0..KEYS).map(|key| format!("{key:036}")).collect();
    let fill = || {
        let mut aggregate = Aggregate::default();
        for record in 0..RECORDS {
            aggregate.push(&keys[record % KEYS], true, &[b'x'; 100]);
        }
        aggregate
    };
    let sealed = Bytes::from(fill().finish(HashKey(7)).data);
    let floor = |bytes: &[u8]| {
        let mut copy = bytes.to_vec();
        copy.extend_from_slice(&Md5::digest(bytes));
        copy
    };
    let answer = vec![sealed.clone(); ANSWER];
    let [encode, decoding, together, base] = cpu::medians(ROUNDS, || {
        [
            cpu::seconds(|| {
                let aggregates: Vec<_> = (0..AGGREGATES).map(|_| fill()).collect();
                let placed: Vec<_> = aggregates.iter().map(|aggregate| (aggregate, HashKey(7))).collect();
                black_box(Aggregate::finish_all(&placed));
            }),
            cpu::seconds(|| (0..AGGREGATES).for_each(|_| drop(black_box(decode(&sealed))))),
            cpu::seconds(|| (0..AGGREGATES / ANSWER).for_each(|_| drop(black_box(decode_all(&answer))))),
            cpu::seconds(|| (0..AGGREGATES).for_each(|_| drop(black_box(floor(&sealed))))),
        ]
    });
    let rate = |seconds: f64| format!("{} records/CPU-s", grouped((RECORDS * AGGREGATES) as f64 / seconds));
    let baseline = format!("MD5 + copy: {}", rate(base));
    line("encode, 100 B records", &rate(encode), &baseline, Some(base / encode), "at least 0.77; 4,000,000/s");
    line("decode of one aggregate, 100 B records", &rate(decoding), &baseline, Some(base / decoding), "-");
    let what = format!("decode of {ANSWER} aggregates together, 100 B records");
    line(&what, &rate(together), &baseline, Some(base / together), "5,000,000/s");
    digesting(&sealed);
}

fn digesting(sealed: &Bytes) {
    let messages = [&sealed[..]; AGGREGATES];
    let [together, alone] = cpu::medians(ROUNDS, || {
        [
            cpu::seconds(|| drop(black_box(digests(&messages)))),
            cpu::seconds(|| {
                messages.iter().for_each(|message| {
                    black_box(Md5::digest(message));
                });
            }),
        ]
    });
    let rate = |seconds: f64| format!("{:.2} GB/CPU-s", (sealed.len() * AGGREGATES) as f64 / seconds / 1e9);
    line("MD5 of many messages", &rate(together), &format!("md-5: {}", rate(alone)), Some(alone / together), "-");
}
