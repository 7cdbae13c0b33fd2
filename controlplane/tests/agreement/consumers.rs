//! What consumer tasks do: they share the leases, read parents before children as fast as they can process, and report.

use std::collections::{BTreeMap, VecDeque};

use controlplane::simulate::Physics;
use dataplane::report::{ConsumerReport, LeaseReport};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    cloud::Cloud,
    producers::rate,
    terms::{CONSUMER_SHARDS, SHARD_RECORDS},
};

/// Records that a task processes in a second.
const TASK_RECORDS: f64 = CONSUMER_SHARDS * SHARD_RECORDS;

/// All consumers together.
#[derive(Default)]
pub(crate) struct Consumers {
    tasks: Vec<String>,
    leases: BTreeMap<String, Lease>,
    /// Nothing is read before this second: leases change hands.
    paused_until: u32,
}

/// The lease of a shard.
struct Lease {
    parents: Vec<String>,
    /// Where to read on; none when the shard was read to its end.
    iterator: Option<String>,
    /// The second in which it was read to its end.
    ended: Option<u32>,
    behind_ms: Option<u64>,
    /// Records of the last seconds, and the share of a task's time that they took.
    recent: VecDeque<(f64, f64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Read {
    millis_behind_latest: u64,
    next_shard_iterator: Option<String>,
    records: Vec<IgnoredAny>,
}

impl Consumers {
    /// Reads for a second with these tasks.
    pub(crate) async fn read(&mut self, cloud: &Cloud, tasks: &[String], second: u32) {
        if self.tasks != tasks {
            let is_first = self.tasks.is_empty();
            self.tasks = tasks.to_vec();
            self.paused_until = if is_first { 0 } else { second + Physics::default().lease_handover_s };
        }
        self.find_shards(cloud, second).await;
        let is_paused = second < self.paused_until || tasks.is_empty();
        let owned = self.owned();
        for (name, lease) in &mut self.leases {
            if lease.ended.is_some() {
                lease.recent.push_front((0.0, 0.0));
                continue;
            }
            let share = TASK_RECORDS / owned.get(name).map_or(1.0, |(_, others)| *others as f64);
            let records = if is_paused { None } else { lease.read(cloud, share as usize, second).await };
            lease.note(records, share);
            if lease.ended.is_some() {
                write_lease(cloud, name, "SHARD_END", &lease.parents).await;
            }
        }
    }

    /// Makes leases for shards whose parents were read to their end a moment ago.
    async fn find_shards(&mut self, cloud: &Cloud, second: u32) {
        let sync_s = Physics::default().shard_sync_s;
        for shard in cloud.all_shards().await {
            let is_due = |parent: &String| {
                self.leases.get(parent).is_none_or(|lease| lease.ended.is_some_and(|ended| ended + sync_s <= second))
            };
            if self.leases.contains_key(&shard.id) || !shard.parents.iter().all(is_due) {
                continue;
            }
            let input = json!({ "StreamName": "weir", "ShardId": shard.id, "ShardIteratorType": "TRIM_HORIZON" });
            let begun: Value = cloud.call("kinesis", "GetShardIterator", input.to_string()).await;
            write_lease(cloud, &shard.id, "TRIM_HORIZON", &shard.parents).await;
            let iterator = begun["ShardIterator"].as_str().map(str::to_owned);
            let lease =
                Lease { parents: shard.parents, iterator, ended: None, behind_ms: None, recent: VecDeque::new() };
            self.leases.insert(shard.id, lease);
        }
    }

    /// Which task holds each lease that is not finished, and how many that task holds.
    fn owned(&self) -> BTreeMap<String, (usize, usize)> {
        let tasks = self.tasks.len().max(1);
        let open: Vec<_> = self.leases.iter().filter(|(_, lease)| lease.ended.is_none()).collect();
        let holds = |task: usize| (0..open.len()).filter(|index| index % tasks == task).count();
        let owned = open.iter().enumerate();
        owned.map(|(index, (name, _))| ((*name).clone(), (index % tasks, holds(index % tasks)))).collect()
    }

    /// Records per second that were processed in the time that reports are about.
    pub(crate) fn processed(&self) -> f64 {
        self.leases.values().map(|lease| lease.mean(|(records, _)| records)).sum()
    }

    /// The report of a task.
    pub(crate) fn report(&self, task: &str) -> ConsumerReport {
        let owned = self.owned();
        let index = self.tasks.iter().position(|name| name == task);
        let held = self.leases.iter().filter(|(name, _)| owned.get(*name).map(|(task, _)| *task) == index);
        let leases: Vec<_> = held.map(|(name, lease)| lease.report(name)).collect();
        let processed = leases.iter().map(|lease| lease.processed.records_per_second).sum();
        ConsumerReport {
            stream: "weir".to_owned(),
            application: "weir-consumer".to_owned(),
            processed: rate(processed),
            leases,
            ..ConsumerReport::default()
        }
    }
}

impl Lease {
    /// Reads up to `most` records, and tells how many there were.
    async fn read(&mut self, cloud: &Cloud, most: usize, second: u32) -> Option<f64> {
        let input = json!({ "ShardIterator": self.iterator.as_ref()?, "Limit": most.max(1) });
        let answer: Read = cloud.call("kinesis", "GetRecords", input.to_string()).await;
        self.behind_ms = Some(answer.millis_behind_latest);
        self.iterator = answer.next_shard_iterator;
        self.ended = self.iterator.is_none().then_some(second);
        Some(answer.records.len() as f64)
    }

    /// Notes what was read in a second, of the `share` that the task could; nothing while leases change hands.
    fn note(&mut self, records: Option<f64>, share: f64) {
        if records.is_none() {
            self.behind_ms = None;
        }
        let records = records.unwrap_or_default();
        self.recent.push_front((records, (records / share).min(1.0)));
    }

    fn mean(&self, of: impl Fn((f64, f64)) -> f64) -> f64 {
        let Physics { report_window_s, report_delay_s, .. } = Physics::default();
        let window = self.recent.iter().skip(report_delay_s as usize).take(report_window_s as usize);
        window.map(|second| of(*second)).sum::<f64>() / f64::from(report_window_s)
    }

    fn report(&self, shard: &str) -> LeaseReport {
        LeaseReport {
            shard_id: shard.to_owned(),
            processed: rate(self.mean(|(records, _)| records)),
            behind_ms: self.behind_ms,
            busy_fraction: self.mean(|(_, busy)| busy),
            ..LeaseReport::default()
        }
    }
}

/// Writes what the control plane reads of a lease, as the KCL does.
async fn write_lease(cloud: &Cloud, shard: &str, checkpoint: &str, parents: &[String]) {
    let mut item = json!({ "leaseKey": { "S": shard }, "checkpoint": { "S": checkpoint } });
    if !parents.is_empty() {
        item["parentShardId"] = json!({ "SS": parents });
    }
    let input = json!({ "TableName": "weir-consumer", "Item": item });
    let _: Value = cloud.call("dynamodb", "PutItem", input.to_string()).await;
}
