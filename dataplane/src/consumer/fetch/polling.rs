//! Polling: GetRecords, at a pace that leaves other readers their part.

use aws_sdk_kinesis::{
    error::SdkError,
    operation::{
        get_records::{GetRecordsError, GetRecordsOutput},
        get_shard_iterator::GetShardIteratorError,
    },
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use super::{
    Fetched, Fetcher, Unwanted, bytes,
    pace::{Answered, Pace},
    position,
};
use crate::{
    aws,
    consumer::{counts::Count, shards},
};

/// The time after a call that failed for other reasons than haste.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What one call came to.
enum Polled {
    Answer(GetRecordsOutput),
    /// The shard is asked more often than it answers.
    Refused,
    /// The iterator was too old: a new one begins behind what was fetched.
    Expired,
    Gone,
}

/// Polls until the shard ends.
pub(super) async fn run(mut fetcher: Fetcher, output: mpsc::Sender<Fetched>) -> Result<(), Unwanted> {
    let (mut pace, mut iterator) = (Pace::new(), None);
    loop {
        let (records, expected) = pace.ask(fetcher.allotment.share());
        fetcher.allotment.room(expected).await;
        let called_at = Instant::now();
        let pause = match poll(&fetcher, &mut iterator, records).await {
            Ok(Polled::Answer(answer)) => {
                let answered = Answered {
                    records: answer.records.len(),
                    bytes: bytes(&answer.records),
                    caught_up: answer.millis_behind_latest.unwrap_or(0) == 0,
                };
                iterator = answer.next_shard_iterator;
                fetcher.pass(answer.records, answer.millis_behind_latest, None, &output).await?;
                if iterator.is_none() {
                    let end = Fetched::End(answer.child_shards.unwrap_or_default());
                    return output.send(end).await.map_err(|_| Unwanted);
                }
                pace.after(answered)
            }
            Ok(Polled::Refused) => {
                fetcher.stats.count(Count::Refused);
                pace.refused()
            }
            Ok(Polled::Expired) => {
                fetcher.stats.count(Count::Expired);
                Duration::ZERO
            }
            Ok(Polled::Gone) => return output.send(Fetched::Gone).await.map_err(|_| Unwanted),
            Err(error) => {
                tracing::warn!(%error, shard = &*fetcher.shard_id, "cannot read the shard");
                PAUSE_AFTER_ERROR
            }
        };
        sleep_until(called_at + pause).await;
    }
}

/// One call of GetRecords. The iterator is kept unless it was used up or is too old.
async fn poll(fetcher: &Fetcher, iterator: &mut Option<String>, records: usize) -> Result<Polled, String> {
    let current = match iterator.take() {
        Some(current) => current,
        None => match new_iterator(fetcher).await? {
            Some(new) => new,
            None => return Ok(Polled::Gone),
        },
    };
    let limit = i32::try_from(records).unwrap_or(i32::MAX);
    match fetcher.kinesis.get_records().shard_iterator(&current).limit(limit).send().await {
        Ok(answer) => Ok(Polled::Answer(answer)),
        Err(error) if is(&error, GetRecordsError::is_expired_iterator_exception) => Ok(Polled::Expired),
        Err(error) => {
            *iterator = Some(current);
            if is(&error, GetRecordsError::is_provisioned_throughput_exceeded_exception) {
                Ok(Polled::Refused)
            } else {
                Err(aws::describe(&error))
            }
        }
    }
}

fn is<R>(error: &SdkError<GetRecordsError, R>, kind: fn(&GetRecordsError) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

/// An iterator at the fetcher's position. `None` when the shard is no more.
async fn new_iterator(fetcher: &Fetcher) -> Result<Option<String>, String> {
    let (kinesis, stream, shard_id) = (&fetcher.kinesis, &fetcher.stream, &fetcher.shard_id);
    let (kind, number) = position::start(&fetcher.position);
    let request = kinesis.get_shard_iterator().stream_name(stream).shard_id(&**shard_id).shard_iterator_type(kind);
    match request.set_starting_sequence_number(number.map(str::to_owned)).send().await {
        Ok(answer) => answer.shard_iterator.map(Some).ok_or_else(|| "no shard iterator in the answer".to_owned()),
        Err(error) => {
            let missing = error.as_service_error().is_some_and(GetShardIteratorError::is_resource_not_found_exception);
            // It may be the stream that is missing, which says nothing about its shards.
            let forgotten = missing && shards::is_forgotten(kinesis, stream, shard_id).await?;
            if forgotten { Ok(None) } else { Err(aws::describe(&error)) }
        }
    }
}
