//! One shard and its records.

use std::{collections::VecDeque, fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    bucket::Bucket,
    hash::HashRange,
    metering::Meter,
    sequence::{END_INDEX, SequenceNumber},
};
use crate::kinesis::moment::Moment;

/// A shard's number, written `shardId-000000000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ShardId(pub(crate) u32);

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "shardId-{:012}", self.0)
    }
}

impl FromStr for ShardId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix("shardId-").ok_or(())?;
        if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        digits.parse().map(Self).map_err(drop)
    }
}

/// One record. Its sequence number follows from its shard, its index there and its arrival.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) arrived: Moment,
    /// The partition key, UTF-8.
    pub(crate) key: Bytes,
    pub(crate) data: Bytes,
}

impl Record {
    /// What quotas count: data and partition key.
    pub(crate) fn size(&self) -> u64 {
        (self.key.len() + self.data.len()) as u64
    }
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Start {
    TrimHorizon,
    Latest,
    At(SequenceNumber),
    After(SequenceNumber),
    /// The first record that arrived then or later.
    Since(Moment),
}

/// The quotas of a shard, as far as they are used up.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    pub(super) written_bytes: Bucket,
    pub(super) written_records: Bucket,
    pub(super) read_bytes: Bucket,
    pub(super) read_calls: Bucket,
}

/// A shard. Serialised without its records: those are kept one by one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) range: HashRange,
    pub(crate) parent: Option<ShardId>,
    /// The other parent of a shard that a merge made.
    pub(crate) adjacent_parent: Option<ShardId>,
    pub(crate) opened: Moment,
    pub(crate) closed: Option<Moment>,
    /// See [`SequenceNumber::epoch`].
    pub(super) epoch: u64,
    /// The index that the next record gets.
    pub(super) next: u64,
    #[serde(skip)]
    pub(super) records: VecDeque<Record>,
    #[serde(skip)]
    pub(super) quotas: Quotas,
    #[serde(skip)]
    pub(crate) meter: Meter,
}

impl Shard {
    pub(super) fn open(id: ShardId, range: HashRange, epoch: u64, now: Moment) -> Self {
        Self {
            id,
            range,
            parent: None,
            adjacent_parent: None,
            opened: now,
            closed: None,
            epoch,
            next: 1,
            records: VecDeque::new(),
            quotas: Quotas::default(),
            meter: Meter::default(),
        }
    }

    pub(crate) fn sequence_number(&self, index: u64, second: u64) -> SequenceNumber {
        SequenceNumber { epoch: self.epoch, shard: self.id.0, index, second }
    }

    /// The number below all records of the shard.
    pub(crate) fn first_number(&self) -> SequenceNumber {
        self.sequence_number(0, self.epoch)
    }

    /// The number above all records of the shard, once it is closed.
    pub(crate) fn last_number(&self) -> Option<SequenceNumber> {
        self.closed.map(|closed| self.sequence_number(END_INDEX, closed.seconds()))
    }

    /// Whether a number was given out by this shard.
    pub(crate) fn owns(&self, number: SequenceNumber) -> bool {
        (number.epoch, number.shard) == (self.epoch, self.id.0)
    }

    /// The index of the oldest record that is still kept.
    fn first(&self) -> u64 {
        self.next - self.records.len() as u64
    }

    /// The index of the first record that a reader gets who begins at `start`.
    pub(crate) fn index(&self, start: Start) -> u64 {
        let index = match start {
            Start::TrimHorizon => 0,
            Start::Latest => self.next,
            Start::At(number) => number.index,
            Start::After(number) => number.index + 1,
            Start::Since(moment) => {
                self.first() + self.records.partition_point(|record| record.arrived < moment) as u64
            }
        };
        index.clamp(self.first(), self.next)
    }

    pub(crate) fn push(&mut self, record: Record) -> SequenceNumber {
        let number = self.sequence_number(self.next, record.arrived.seconds());
        self.records.push_back(record);
        self.next += 1;
        number
    }

    pub(super) fn oldest(&self) -> Option<Moment> {
        self.records.front().map(|record| record.arrived)
    }

    /// Drops the oldest record and returns its size.
    pub(super) fn pop(&mut self) -> u64 {
        self.records.pop_front().map_or(0, |record| record.size())
    }

    /// The records from `index` on: at most `records_max` of them and `bytes_max` of data, but at least one if there is
    /// one. An index whose record was dropped reads from the oldest on.
    pub(crate) fn read(&self, index: u64, records_max: usize, bytes_max: u64, now: Moment) -> Batch {
        let first = index.clamp(self.first(), self.next);
        let skip = usize::try_from(first - self.first()).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let records: Vec<Record> = self
            .records
            .iter()
            .skip(skip)
            .take(records_max)
            .take_while(|record| {
                let fits = bytes == 0 || bytes + record.size() <= bytes_max;
                bytes += if fits { record.size() } else { 0 };
                fits
            })
            .cloned()
            .collect();
        let next = first + records.len() as u64;
        let unread = self.records.get(skip + records.len());
        let behind = unread.map_or(Duration::ZERO, |unread| now.since(records.last().unwrap_or(unread).arrived));
        Batch { shard: self.id, epoch: self.epoch, first, next, bytes, records, behind, ended: self.is_read(next) }
    }

    /// Whether a reader at `index` has seen everything there will ever be.
    fn is_read(&self, index: u64) -> bool {
        self.closed.is_some() && index >= self.next
    }
}

/// What one read returned.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) shard: ShardId,
    epoch: u64,
    first: u64,
    /// The index to go on from.
    pub(crate) next: u64,
    pub(crate) bytes: u64,
    pub(crate) records: Vec<Record>,
    /// Age of the last record returned, zero at the tip of the shard.
    pub(crate) behind: Duration,
    /// The shard is closed and this is all of it.
    pub(crate) ended: bool,
}

impl Batch {
    /// The records with their sequence numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (SequenceNumber, &Record)> {
        (self.first..).zip(&self.records).map(|(index, record)| {
            let second = record.arrived.seconds();
            (SequenceNumber { epoch: self.epoch, shard: self.shard.0, index, second }, record)
        })
    }

    /// The number of the last record returned.
    pub(crate) fn last_number(&self) -> Option<SequenceNumber> {
        self.numbered().last().map(|(number, _)| number)
    }
}
