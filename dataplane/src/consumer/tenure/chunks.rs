//! Cuts what is fetched into what is processed together. Pure.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::suspicion::{Position, Suspicion, position};
use crate::consumer::{
    checkpoint::Checkpoint,
    fetch::{Batch, Held},
    process::Chunk,
    unpack::{Record, Shard, unpack},
};

/// About the most bytes of data that are processed together.
const CHUNK_BYTES: usize = 4 << 20;

/// The user records of a batch that are not processed yet.
pub(super) struct Chunks {
    records: VecDeque<Record>,
    kinesis: std::vec::IntoIter<aws_sdk_kinesis::types::Record>,
    /// Behind the user records that were unpacked.
    checkpoint: Option<Checkpoint>,
    behind_ms: Option<u64>,
    fetched_at: Instant,
    memory: Arc<Held>,
    out_of_range: u64,
}

/// What decides how records are cut.
pub(super) struct Cut<'a> {
    pub(super) shard: &'a Shard,
    /// What is processed already.
    pub(super) start: &'a Checkpoint,
    pub(super) records_max: usize,
    pub(super) suspicion: &'a Suspicion,
    /// What is not to be delivered any more.
    pub(super) skips: &'a BTreeSet<Position>,
}

impl Chunks {
    pub(super) fn new(batch: Batch) -> Self {
        let Batch { records, behind_ms, fetched_at, memory } = batch;
        Self {
            records: VecDeque::new(),
            kinesis: records.into_iter(),
            checkpoint: None,
            behind_ms,
            fetched_at,
            memory: Arc::new(memory),
            out_of_range: 0,
        }
    }

    /// User records so far that belong to another shard.
    pub(super) fn out_of_range(&self) -> u64 {
        self.out_of_range
    }

    /// The next records to process together. A chunk may have no records and a checkpoint still.
    pub(super) fn next(&mut self, cut: &Cut<'_>) -> Option<Chunk<Arc<Held>>> {
        self.unpack(cut);
        if self.records.is_empty() && self.checkpoint.is_none() {
            return None;
        }
        let count = self.count(cut);
        let records: Vec<_> = self.records.drain(..count).collect();
        let checkpoint = if self.records.is_empty() {
            self.checkpoint.take()
        } else {
            records.last().and_then(position).map(|(number, sub)| Checkpoint::At(number, sub))
        };
        let (behind_ms, fetched_at, memory) = (self.behind_ms, self.fetched_at, self.memory.clone());
        Some(Chunk { records, checkpoint, behind_ms, fetched_at, memory })
    }

    /// Unpacks until there is enough for a chunk.
    fn unpack(&mut self, cut: &Cut<'_>) {
        while self.records.len() < cut.records_max {
            let Some(record) = self.kinesis.next() else { return };
            let mut records = Vec::new();
            let unpacked = unpack(record, cut.shard, cut.start, &mut records);
            self.checkpoint = unpacked.checkpoint.or(self.checkpoint.take());
            self.out_of_range += unpacked.out_of_range;
            let skipped = |record: &Record| position(record).is_some_and(|position| cut.skips.contains(&position));
            self.records.extend(records.into_iter().filter(|record| cut.skips.is_empty() || !skipped(record)));
        }
    }

    fn count(&self, cut: &Cut<'_>) -> usize {
        let mut bytes = 0;
        let fitting = self.records.iter().take(cut.records_max).take_while(|record| {
            bytes += record.data.len();
            bytes <= CHUNK_BYTES
        });
        let fitting = fitting.count().max(1).min(self.records.len());
        if !cut.suspicion.is_narrowing() {
            return fitting;
        }
        let positions: Vec<_> = self.records.iter().take(fitting).map_while(position).collect();
        cut.suspicion.deliverable(&positions).clamp(usize::from(fitting > 0), fitting)
    }
}
