//! Fetches the records of one shard by polling.

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::{
    Client,
    error::SdkError,
    operation::{
        get_records::{GetRecordsError, GetRecordsOutput},
        get_shard_iterator::GetShardIteratorError,
    },
    types::{ChildShard, Record, ShardIteratorType},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, sleep_until},
};

use super::{checkpoint::Checkpoint, shards, stats::LeaseStats};
use crate::aws;

/// The largest answer of GetRecords, in records and in bytes.
const RECORDS_MAX: i32 = 10_000;
pub(crate) const ANSWER_BYTES_MAX: usize = 10 << 20;

/// Memory is handed out in units of this.
pub(crate) const MEMORY_UNIT: usize = 1 << 10;

/// The time between two calls while there is something to read. A shard answers five calls a second, to all its
/// readers together: this leaves one to others.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// The time between two calls to a shard without records.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The time after a call that failed, beyond what the SDK has tried.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What a fetcher has for the processor.
pub(crate) enum Fetched {
    Batch(Batch),
    /// The shard is closed and everything in it was fetched.
    End(Vec<ChildShard>),
    /// The shard is older than the stream's retention.
    Gone,
}

/// Records in order, with their part of the memory for records that are not processed yet.
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) behind_ms: Option<u64>,
    pub(crate) fetched_at: Instant,
    pub(crate) _memory: Option<OwnedSemaphorePermit>,
}

/// Reads a shard from a checkpoint on.
pub(crate) struct Fetcher {
    pub(crate) kinesis: Client,
    pub(crate) stream: String,
    pub(crate) shard_id: Arc<str>,
    /// The position behind what was fetched.
    pub(crate) position: Checkpoint,
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) stats: Arc<LeaseStats>,
    /// The shards that follow, once the last records of this one are fetched.
    pub(crate) end: Option<Vec<ChildShard>>,
}

impl Fetcher {
    /// Fetches until the shard ends or nobody listens.
    pub(crate) async fn run(mut self, output: mpsc::Sender<Fetched>) {
        let (mut iterator, mut pause) = (None, PAUSE_MIN);
        loop {
            let called_at = Instant::now();
            match self.fetch(&mut iterator).await {
                Ok(Fetched::Batch(batch)) => {
                    let caught_up = batch.records.is_empty() && batch.behind_ms.unwrap_or(0) == 0;
                    pause = next_pause(pause, caught_up);
                    if !batch.records.is_empty() && output.send(Fetched::Batch(batch)).await.is_err() {
                        return;
                    }
                    sleep_until(called_at + pause).await;
                }
                Ok(end) => {
                    // Without a listener there is no one to end for.
                    let _ = output.send(end).await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, shard = &*self.shard_id, "cannot read the shard");
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// One call of GetRecords. `iterator` is replaced by the next one, or taken away when a new one is needed. The end
    /// of a shard comes after its last records.
    async fn fetch(&mut self, iterator: &mut Option<String>) -> Result<Fetched, String> {
        if let Some(children) = self.end.take() {
            return Ok(Fetched::End(children));
        }
        let current = match iterator.take() {
            Some(current) => current,
            None => match self.iterator().await? {
                Some(new) => new,
                None => return Ok(Fetched::Gone),
            },
        };
        let mut memory = self.memory.clone().acquire_many_owned(units(ANSWER_BYTES_MAX)).await.ok();
        let answer = self.kinesis.get_records().shard_iterator(&current).limit(RECORDS_MAX).send().await;
        match answer {
            Ok(answer) => Ok(self.accept(answer, iterator, &mut memory)),
            // A new iterator behind what was fetched.
            Err(error) if is_expired(&error) => Ok(Fetched::Batch(Batch::empty())),
            Err(error) => {
                *iterator = Some(current);
                Err(aws::describe(&error))
            }
        }
    }

    fn accept(
        &mut self,
        answer: GetRecordsOutput,
        iterator: &mut Option<String>,
        memory: &mut Option<OwnedSemaphorePermit>,
    ) -> Fetched {
        let fetched_at = Instant::now();
        let behind_ms = answer.millis_behind_latest.and_then(|behind| u64::try_from(behind).ok());
        self.stats.note_read(behind_ms);
        let records = answer.records;
        if let Some(number) = records.last().and_then(|last| last.sequence_number().parse().ok()) {
            self.position = Checkpoint::At(number, u64::MAX);
        }
        *iterator = answer.next_shard_iterator;
        if iterator.is_none() {
            let children = answer.child_shards.unwrap_or_default();
            if records.is_empty() {
                return Fetched::End(children);
            }
            self.end = Some(children);
        }
        let bytes = records.iter().map(|record| record.data().as_ref().len()).sum();
        let kept = memory.as_mut().and_then(|memory| memory.split(units(bytes) as usize));
        Fetched::Batch(Batch { records, behind_ms, fetched_at, _memory: kept })
    }

    /// An iterator at the position. `None` when the shard is no more.
    async fn iterator(&self) -> Result<Option<String>, String> {
        let request = self.kinesis.get_shard_iterator().stream_name(&self.stream).shard_id(&*self.shard_id);
        let request = match &self.position {
            Checkpoint::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            // What was fetched to its end is followed; of what was processed, a part may be missing.
            Checkpoint::At(number, u64::MAX) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number.as_str()),
            Checkpoint::At(number, _) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number.as_str()),
            // The time of AT_TIMESTAMP is not in the table: rather too much than too little.
            Checkpoint::TrimHorizon | Checkpoint::AtTimestamp | Checkpoint::ShardEnd => {
                request.shard_iterator_type(ShardIteratorType::TrimHorizon)
            }
        };
        match request.send().await {
            Ok(answer) => answer.shard_iterator.map(Some).ok_or_else(|| "no shard iterator in the answer".to_owned()),
            Err(error) => {
                let missing =
                    error.as_service_error().is_some_and(GetShardIteratorError::is_resource_not_found_exception);
                // It may be the stream that is missing, which says nothing about its shards.
                let forgotten = missing && shards::is_forgotten(&self.kinesis, &self.stream, &self.shard_id).await?;
                if forgotten { Ok(None) } else { Err(aws::describe(&error)) }
            }
        }
    }
}

impl Batch {
    fn empty() -> Self {
        Self { records: Vec::new(), behind_ms: None, fetched_at: Instant::now(), _memory: None }
    }
}

fn is_expired<R>(error: &SdkError<GetRecordsError, R>) -> bool {
    error.as_service_error().is_some_and(GetRecordsError::is_expired_iterator_exception)
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX)
}

/// Short while there is something to read, and longer with every look at a shard that has nothing.
fn next_pause(pause: Duration, caught_up: bool) -> Duration {
    if caught_up { (pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_shard_is_asked_less_and_less_often_and_a_busy_one_at_once_often_again() {
        let idle = (0..5).scan(PAUSE_MIN, |pause, _| {
            *pause = next_pause(*pause, true);
            Some(pause.as_millis())
        });
        assert_eq!(idle.collect::<Vec<_>>(), [500, 1000, 1000, 1000, 1000]);
        assert_eq!(next_pause(PAUSE_MAX, false), PAUSE_MIN);
    }
}
