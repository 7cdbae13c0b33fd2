//! Records in and out of a stream, within its quotas.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    hash::HashKey,
    metering::{Metric, sample},
    sequence::SequenceNumber,
    shard::{Batch, Record, Shard, ShardId},
    stream::Stream,
};
use crate::kinesis::{moment::Moment, settings::Settings};

/// A record that was stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) shard: ShardId,
    pub(crate) number: SequenceNumber,
}

/// The shard that refused a record or a read for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttled(pub(crate) ShardId);

/// What a read may return.
pub(crate) struct ReadLimits {
    pub(crate) records: usize,
    pub(crate) bytes: u64,
}

impl Stream {
    /// Stores one record in the shard that `key` belongs to.
    pub(crate) fn put(
        &mut self,
        hash: HashKey,
        key: Bytes,
        data: Bytes,
        settings: &Settings,
        now: Moment,
    ) -> Result<Stored, Throttled> {
        // The open shards cover every key, so the fallback is never taken.
        let Some(position) = self.route_of(hash) else { return Err(Throttled(ShardId(0))) };
        let shard = &mut self.shards[position];
        let record = Record { arrived: now, key, data };
        let size = record.size();
        if !shard.allows_write(size, settings, now) {
            count(shard, &self.shard_metrics, &[(Metric::WriteProvisionedThroughputExceeded, 1)], now);
            return Err(Throttled(shard.id));
        }
        shard.quotas.written_bytes.take(size);
        shard.quotas.written_records.take(1);
        let number = shard.push(record);
        self.bytes += size;
        count(shard, &self.shard_metrics, &[(Metric::IncomingBytes, size), (Metric::IncomingRecords, 1)], now);
        Ok(Stored { shard: shard.id, number })
    }

    /// Reads with the quotas that all `GetRecords` calls of a shard share. None when there is no such shard.
    pub(crate) fn get(
        &mut self,
        id: ShardId,
        index: u64,
        limits: &ReadLimits,
        settings: &Settings,
        now: Moment,
    ) -> Option<Result<Batch, Throttled>> {
        let shard = self.shards.iter_mut().find(|shard| shard.id == id)?;
        let calls = shard.quotas.read_calls.allows(1, settings.read_calls_per_second, now);
        let bytes = shard.quotas.read_bytes.allows(1, settings.read_bytes_per_second, now);
        if !(calls && bytes) {
            count(shard, &self.shard_metrics, &[(Metric::ReadProvisionedThroughputExceeded, 1)], now);
            return Some(Err(Throttled(id)));
        }
        let batch = shard.read(index, limits.records, limits.bytes, now);
        shard.quotas.read_calls.take(1);
        shard.quotas.read_bytes.take(batch.bytes);
        count_read(shard, &self.shard_metrics, &batch, now);
        Some(Ok(batch))
    }

    /// The arrival of the oldest record kept, and its shard's position.
    fn oldest(&self) -> Option<(Moment, usize)> {
        let fronts = self.shards.iter().enumerate();
        fronts.filter_map(|(position, shard)| Some((shard.oldest()?, position))).min()
    }

    /// When the oldest record arrived that is kept.
    pub(crate) fn oldest_arrival(&self) -> Option<Moment> {
        self.oldest().map(|(arrived, _)| arrived)
    }

    /// Drops the oldest records until `bytes` are freed, or none is left that arrived by `until`. Returns what was freed.
    pub(crate) fn drop_oldest(&mut self, bytes: u64, until: Moment) -> u64 {
        let mut freed = 0;
        while freed < bytes
            && let Some((arrived, position)) = self.oldest()
            && arrived <= until
        {
            freed += self.shards[position].pop();
        }
        self.bytes -= freed;
        freed
    }

    /// Takes a record back from the journal.
    pub(crate) fn restore(&mut self, id: ShardId, index: u64, record: Record) {
        let size = record.size();
        if let Some(shard) = self.shard_mut(id) {
            shard.records.push_back(record);
            shard.next = shard.next.max(index + 1);
            self.bytes += size;
        }
    }

    /// Every record kept, with the shard and the index it has there.
    pub(crate) fn records(&self) -> impl Iterator<Item = (ShardId, u64, &Record)> {
        self.shards.iter().flat_map(|shard| {
            let first = shard.next - shard.records.len() as u64;
            (first..).zip(&shard.records).map(|(index, record)| (shard.id, index, record))
        })
    }
}

impl Shard {
    fn allows_write(&mut self, size: u64, settings: &Settings, now: Moment) -> bool {
        self.quotas.written_bytes.allows(size, settings.write_bytes_per_second, now)
            && self.quotas.written_records.allows(1, settings.write_records_per_second, now)
    }
}

type Enabled = BTreeSet<Metric>;

fn count(shard: &mut Shard, enabled: &Enabled, samples: &[(Metric, u64)], now: Moment) {
    for &(metric, value) in samples {
        if enabled.contains(&metric) {
            shard.meter.add(metric, sample(value), now);
        }
    }
}

fn count_read(shard: &mut Shard, enabled: &Enabled, batch: &Batch, now: Moment) {
    let behind = u64::try_from(batch.behind.as_millis()).unwrap_or(u64::MAX);
    let samples = [
        (Metric::OutgoingBytes, batch.bytes),
        (Metric::OutgoingRecords, batch.records.len() as u64),
        (Metric::IteratorAgeMilliseconds, behind),
    ];
    count(shard, enabled, &samples, now);
}
