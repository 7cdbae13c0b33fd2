//! The calls about log streams, and `PutLogEvents`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{
    Logs, already_exists,
    event::{EVENT_BYTES_MAX, OVERHEAD_BYTES},
    group::lock,
    groups::with_token,
    invalid, not_found,
    stream::Stream,
};

/// Both the default and the maximum page of `DescribeLogStreams` (API reference).
const PAGE_STREAMS_MAX: usize = 50;

/// Limits of one `PutLogEvents` (API reference).
const BATCH_EVENTS_MAX: usize = 10_000;
const BATCH_BYTES_MAX: usize = 1_048_576;
const OLDEST_MS: u64 = 14 * 24 * 3_600 * 1_000;
const NEWEST_MS: u64 = 2 * 3_600 * 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneStream {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeLogStreams {
    #[serde(alias = "logGroupIdentifier")]
    log_group_name: String,
    #[serde(default)]
    log_stream_name_prefix: String,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutLogEvents {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
struct InputEvent {
    timestamp: u64,
    message: String,
}

impl Logs {
    pub(super) fn create_log_stream(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: OneStream = call.input()?;
        if input.log_stream_name.is_empty() || input.log_stream_name.contains([':', '*']) {
            return Err(invalid(format!("logStreamName {:?} is not a name of a log stream", input.log_stream_name)));
        }
        let group = self.group(&input.log_group_name)?;
        if !lock(&group).create_stream(&input.log_stream_name, self.context.clock.now_ms()) {
            return Err(already_exists("The specified log stream already exists"));
        }
        Ok(Reply::empty())
    }

    pub(super) fn delete_log_stream(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: OneStream = call.input()?;
        let group = self.group(&input.log_group_name)?;
        let stream = lock(&group).streams.remove(&input.log_stream_name);
        stream.ok_or_else(no_stream)?.remove();
        Ok(Reply::empty())
    }

    pub(super) fn describe_log_streams(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DescribeLogStreams = call.input()?;
        let group = self.group(&input.log_group_name)?;
        let group = lock(&group);
        let prefix = &input.log_stream_name_prefix;
        let mut wanted: Vec<_> = group.streams.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        match input.order_by.as_deref() {
            None | Some("LogStreamName") => {}
            Some("LastEventTime") if !prefix.is_empty() => {
                return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
            }
            Some("LastEventTime") => {
                wanted.sort_by_key(|(_, stream)| stream.last_event.map(|event| event.timestamp_ms));
            }
            Some(other) => return Err(invalid(format!("orderBy {other:?} is not known"))),
        }
        if input.descending {
            wanted.reverse();
        }
        let limit = input.limit.unwrap_or(PAGE_STREAMS_MAX).clamp(1, PAGE_STREAMS_MAX);
        let (wanted, next) = page(wanted, |(name, _)| (*name).clone(), input.next_token.as_deref(), limit);
        let arn = self.arn(&input.log_group_name);
        let described: Vec<Value> = wanted.into_iter().map(|(name, stream)| describe(&arn, name, stream)).collect();
        Reply::json(&with_token(json!({ "logStreams": described }), next))
    }

    pub(super) fn put_log_events(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: PutLogEvents = call.input()?;
        check_batch(&input.log_events)?;
        let group = self.group(&input.log_group_name)?;
        let mut group = lock(&group);
        if !group.streams.contains_key(&input.log_stream_name) {
            return Err(no_stream());
        }
        let now_ms = self.context.clock.now_ms();
        let begin = input.log_events.partition_point(|event| event.timestamp + OLDEST_MS < now_ms);
        let end = input.log_events.partition_point(|event| event.timestamp <= now_ms + NEWEST_MS);
        let mut rejected = Map::new();
        if begin > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), begin.into());
        }
        if end < input.log_events.len() {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), end.into());
        }
        for event in input.log_events.into_iter().take(end).skip(begin) {
            group.append(&input.log_stream_name, event.timestamp, now_ms, event.message.into());
        }
        let mut output = json!({ "nextSequenceToken": group.end.to_string() });
        if !rejected.is_empty() {
            output["rejectedLogEventsInfo"] = rejected.into();
        }
        Reply::json(&output)
    }
}

fn check_batch(events: &[InputEvent]) -> Result<(), AwsError> {
    let bytes: usize = events.iter().map(|event| event.message.len() + OVERHEAD_BYTES).sum();
    if events.is_empty() || events.len() > BATCH_EVENTS_MAX {
        return Err(invalid(format!("A batch holds 1 to {BATCH_EVENTS_MAX} events, this one {}.", events.len())));
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}")));
    }
    if events.iter().any(|event| event.message.len() + OVERHEAD_BYTES > EVENT_BYTES_MAX || event.message.is_empty()) {
        return Err(invalid("Log event is empty or too large."));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    Ok(())
}

/// The error for a stream that is not there.
pub(super) fn no_stream() -> AwsError {
    not_found("The specified log stream does not exist.")
}

fn describe(arn: &str, name: &str, stream: &Stream) -> Value {
    let mut described = json!({
        "logStreamName": name,
        "creationTime": stream.created_ms,
        "arn": format!("{arn}:log-stream:{name}"),
        "storedBytes": 0,
    });
    if let (Some(first), Some(last)) = (stream.first_event_ms, stream.last_event) {
        described["firstEventTimestamp"] = first.into();
        described["lastEventTimestamp"] = last.timestamp_ms.into();
        described["lastIngestionTime"] = last.ingested_ms.into();
    }
    described
}
