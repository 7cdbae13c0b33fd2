//! Cuts what is fetched into what is processed together. Pure.

use std::{collections::BTreeSet, mem, sync::Arc, vec};

use tokio::time::Instant;

use super::suspicion::{Position, Suspicion, position};
use crate::consumer::{
    checkpoint::Checkpoint,
    fetch::{Batch, Held},
    process::Chunk,
    unpack::{Opened, Record, Shard, open, unpack},
};

/// About the most bytes of data that are processed together.
const CHUNK_BYTES: usize = 4 << 20;

/// Kinesis records that are opened together, and about the most bytes of them. What is found in them waits for its turn.
const OPENED_TOGETHER: usize = 16;
const OPENED_BYTES: usize = 1 << 20;

/// The user records of a batch that are not processed yet.
pub(super) struct Chunks {
    records: vec::IntoIter<Record>,
    opened: vec::IntoIter<Opened>,
    kinesis: vec::IntoIter<aws_sdk_kinesis::types::Record>,
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
            records: Vec::new().into_iter(),
            opened: Vec::new().into_iter(),
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
        if self.records.len() < cut.records_max {
            self.unpack(cut);
        }
        if self.records.len() == 0 && self.checkpoint.is_none() {
            return None;
        }
        let records = self.take(count(self.records.as_slice(), cut));
        let checkpoint = if self.records.len() == 0 {
            self.checkpoint.take()
        } else {
            records.last().and_then(position).map(|(number, sub)| Checkpoint::At(number, sub))
        };
        let (behind_ms, fetched_at, memory) = (self.behind_ms, self.fetched_at, self.memory.clone());
        Some(Chunk { records, checkpoint, behind_ms, fetched_at, memory })
    }

    /// Unpacks until there is enough for a chunk.
    fn unpack(&mut self, cut: &Cut<'_>) {
        let mut records: Vec<_> = mem::take(&mut self.records).collect();
        while records.len() < cut.records_max {
            let Some(opened) = self.next_opened() else { break };
            let from = records.len();
            let unpacked = unpack(opened, cut.shard, cut.start, &mut records);
            self.checkpoint = unpacked.checkpoint.or(self.checkpoint.take());
            self.out_of_range += unpacked.out_of_range;
            if !cut.skips.is_empty() {
                let skipped = |record: &mut Record| position(record).is_some_and(|place| cut.skips.contains(&place));
                let _skipped = records.extract_if(from.., skipped).count();
            }
        }
        self.records = records.into_iter();
    }

    fn next_opened(&mut self) -> Option<Opened> {
        if self.opened.len() == 0 {
            let mut bytes = 0;
            let together = self.kinesis.as_slice().iter().take(OPENED_TOGETHER).take_while(|record| {
                let fits = bytes < OPENED_BYTES;
                bytes += record.data().as_ref().len();
                fits
            });
            let together = together.count();
            self.opened = open(self.kinesis.by_ref().take(together).collect()).into_iter();
        }
        self.opened.next()
    }

    /// The first records, of which the fewer are moved: these or the others.
    fn take(&mut self, count: usize) -> Vec<Record> {
        if count <= self.records.len() / 2 {
            return self.records.by_ref().take(count).collect();
        }
        let mut records: Vec<_> = mem::take(&mut self.records).collect();
        self.records = records.split_off(count).into_iter();
        records
    }
}

/// How many of these records, at least one of any, are processed together.
fn count(records: &[Record], cut: &Cut<'_>) -> usize {
    let mut bytes = 0;
    let fitting = records.iter().take(cut.records_max).take_while(|record| {
        bytes += record.data.len();
        bytes <= CHUNK_BYTES
    });
    let fitting = fitting.count().max(1).min(records.len());
    if !cut.suspicion.is_narrowing() {
        return fitting;
    }
    let positions: Vec<_> = records[..fitting].iter().map_while(position).collect();
    cut.suspicion.deliverable(&positions).clamp(usize::from(fitting > 0), fitting)
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::Blob;

    use super::*;
    use crate::{
        aggregation::{Aggregate, HashKey},
        consumer::{fetch::Prefetch, unpack::OutOfRange},
    };

    /// An aggregate of so many records of so many bytes.
    fn aggregate(sequence_number: usize, records: usize, bytes: usize) -> aws_sdk_kinesis::types::Record {
        let mut aggregate = Aggregate::default();
        for _ in 0..records {
            aggregate.push("k", true, &vec![0; bytes]);
        }
        let data = Blob::new(aggregate.finish(HashKey(0)).data);
        let record = aws_sdk_kinesis::types::Record::builder().sequence_number(sequence_number.to_string());
        record.partition_key("a").data(data).build().expect("complete")
    }

    /// The sizes of the chunks, and their checkpoints, when `skips` are left out.
    fn cut(
        records: Vec<aws_sdk_kinesis::types::Record>,
        records_max: usize,
        skips: &[(&str, u64)],
    ) -> (Vec<usize>, Vec<Checkpoint>) {
        let memory = Prefetch::new(1).join().hold(1);
        let mut chunks = Chunks::new(Batch { records, behind_ms: None, fetched_at: Instant::now(), memory });
        let shard = Shard { id: "shard".into(), range: None, out_of_range: OutOfRange::Deliver };
        let skips = skips.iter().map(|(number, sub)| (number.parse().expect("a number"), *sub)).collect();
        let suspicion = Suspicion::new(0);
        let cut =
            Cut { shard: &shard, start: &Checkpoint::TrimHorizon, records_max, suspicion: &suspicion, skips: &skips };
        let cut: Vec<_> = std::iter::from_fn(|| chunks.next(&cut)).collect();
        let places: Vec<_> = cut.iter().flat_map(|chunk| &chunk.records).map(position).collect();
        assert!(places.is_sorted(), "{places:?}");
        let checkpoints = cut.iter().filter_map(|chunk| chunk.checkpoint.clone()).collect();
        (cut.iter().map(|chunk| chunk.records.len()).collect(), checkpoints)
    }

    fn at(number: usize, sub: u64) -> Checkpoint {
        Checkpoint::At(number.to_string().parse().expect("a number"), sub)
    }

    #[test]
    fn chunks_have_as_many_records_as_they_may_whatever_they_came_in_and_each_its_checkpoint() {
        let three = || (1..4).map(|number| aggregate(number, 5, 1)).collect();
        assert_eq!(cut(three(), 7, &[]), (vec![7, 7, 1], vec![at(2, 1), at(3, 3), at(3, 4)]));
        assert_eq!(cut(three(), 2, &[]).0, [2, 2, 2, 2, 2, 2, 2, 1]);
        assert_eq!(cut(three(), 100, &[]), (vec![15], vec![at(3, 4)]));
        assert_eq!(cut(Vec::new(), 100, &[]), (vec![], vec![]));
        let many = (1..=2 * OPENED_TOGETHER + 1).map(|number| aggregate(number, 1, OPENED_BYTES / 3)).collect();
        assert_eq!(cut(many, 5, &[]).0.iter().sum::<usize>(), 2 * OPENED_TOGETHER + 1);
    }

    #[test]
    fn a_chunk_has_so_many_bytes_and_one_record_at_least() {
        let large = |records, bytes| cut(vec![aggregate(1, records, bytes)], 100, &[]).0;
        assert_eq!(large(5, CHUNK_BYTES / 2), [2, 2, 1]);
        assert_eq!(large(2, CHUNK_BYTES + 1), [1, 1]);
    }

    #[test]
    fn what_is_left_out_is_not_delivered_and_the_checkpoint_passes_it() {
        let skipped = cut(vec![aggregate(1, 2, 1), aggregate(2, 1, 1)], 10, &[("1", 1), ("2", 0)]);
        assert_eq!(skipped, (vec![1], vec![at(2, 0)]));
        assert_eq!(cut(vec![aggregate(1, 1, 1)], 10, &[("1", 0)]), (vec![0], vec![at(1, 0)]));
    }
}
