//! What producer tasks do: they write what clients offer, hold what is refused until there is room, and report.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
};

use controlplane::simulate::Physics;
use dataplane::report::{ProducerReport, ProducerShard, Rate};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    cloud::{Cloud, OpenShard},
    terms::{RECORD_BYTES, SHARD_RECORDS},
};

/// Writes in a second: enough for a shard's quota to come back between two of them, as under an even load.
pub(crate) const PARTS: u32 = 10;

/// Most records of a PutRecords call (Kinesis quotas).
const CALL_RECORDS: usize = 500;

/// Slices of a shard's range of which a producer tells the load.
const SLICES: usize = 16;

/// All producers together.
#[derive(Default)]
pub(crate) struct Producers {
    /// Hash keys of records that no shard had room for.
    waiting: VecDeque<u128>,
    seconds: Vec<Second>,
}

/// What happened in a second.
#[derive(Default)]
struct Second {
    offered: f64,
    /// Records that each shard took, and that it refused.
    shards: BTreeMap<String, (f64, f64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    records: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    error_code: Option<IgnoredAny>,
}

impl Producers {
    /// Writes a part of the `count` records of the second under way, evenly spread over all keys, and what waits into the
    /// room that they leave.
    pub(crate) async fn write(&mut self, cloud: &Cloud, count: u32, part: u32, open: &[OpenShard]) {
        if part == 0 {
            self.seconds.push(Second { offered: f64::from(count), ..Second::default() });
        }
        let spacing = u128::MAX / u128::from(count.max(1));
        let fresh: Vec<_> = (part..count).step_by(PARTS as usize).map(|index| u128::from(index) * spacing).collect();
        let refused = self.put(cloud, &fresh, open).await;
        let room = self.room(open) - (fresh.len() - refused.len()) as f64;
        self.waiting.extend(&refused);
        let again = self.waiting.len().min(room.max(0.0) as usize);
        let again: Vec<_> = self.waiting.drain(..again).collect();
        let refused = self.put(cloud, &again, open).await;
        refused.into_iter().rev().for_each(|key| self.waiting.push_front(key));
    }

    /// What the shards take in a part of a second, and the little more that finding this out takes.
    fn room(&self, open: &[OpenShard]) -> f64 {
        open.len() as f64 * SHARD_RECORDS / f64::from(PARTS) * (1.0 + Physics::default().retry_refusals)
    }

    /// Writes records and returns those that were refused.
    async fn put(&mut self, cloud: &Cloud, keys: &[u128], open: &[OpenShard]) -> Vec<u128> {
        let mut refused = Vec::new();
        for keys in keys.chunks(CALL_RECORDS) {
            let mut body = String::from(r#"{"StreamName":"weir","Records":["#);
            for key in keys {
                let comma = if body.ends_with('[') { "" } else { "," };
                let written = write!(body, r#"{comma}{{"Data":"eA==","PartitionKey":"k","ExplicitHashKey":"{key}"}}"#);
                written.expect("a string takes everything");
            }
            body.push_str("]}");
            let answer: Put = cloud.call("kinesis", "PutRecords", body).await;
            for (key, entry) in keys.iter().zip(answer.records) {
                let shard = open.iter().find(|shard| shard.first <= *key && *key <= shard.last);
                let Some(second) = self.seconds.last_mut() else { continue };
                let counts = second.shards.entry(shard.map(|shard| shard.id.clone()).unwrap_or_default()).or_default();
                if entry.error_code.is_some() {
                    counts.1 += 1.0;
                    refused.push(*key);
                } else {
                    counts.0 += 1.0;
                }
            }
        }
        refused
    }

    /// Records per second that clients offered in the time that reports are about.
    pub(crate) fn offered(&self) -> f64 {
        self.mean(|second| second.offered)
    }

    fn mean(&self, of: impl Fn(&Second) -> f64) -> f64 {
        let Physics { report_window_s, report_delay_s, .. } = Physics::default();
        let newest = self.seconds.iter().rev().skip(report_delay_s as usize);
        newest.take(report_window_s as usize).map(of).sum::<f64>() / f64::from(report_window_s)
    }

    /// The report of one of `tasks` tasks, among which clients spread their requests.
    pub(crate) fn report(&self, tasks: usize, open: &[OpenShard]) -> ProducerReport {
        let of = |value: f64| rate(value / tasks as f64);
        let shard = |shard: &OpenShard| {
            let count = |second: &Second| second.shards.get(&shard.id).copied().unwrap_or_default();
            ProducerShard {
                shard_id: shard.id.clone(),
                sent: of(self.mean(|second| count(second).0)),
                throttled_per_second: self.mean(|second| count(second).1) / tasks as f64,
                slices: vec![1.0 / SLICES as f32; SLICES],
                ..ProducerShard::default()
            }
        };
        ProducerReport {
            stream: "weir".to_owned(),
            offered: of(self.offered()),
            buffered_bytes: (self.waiting.len() as f64 * RECORD_BYTES / tasks as f64) as u64,
            shards: open.iter().map(shard).collect(),
            ..ProducerReport::default()
        }
    }
}

/// Records per second with their bytes.
pub(crate) fn rate(records_per_second: f64) -> Rate {
    Rate { records_per_second, bytes_per_second: records_per_second * RECORD_BYTES }
}
