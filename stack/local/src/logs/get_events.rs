//! `GetLogEvents` and `FilterLogEvents`.

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::service::{AwsError, Call, Reply};

use super::{
    Logs,
    event::Event,
    group::lock,
    groups::with_token,
    invalid,
    pattern::Pattern,
    read::{self, OneStream, PAGE_EVENTS_MAX, Selection},
    stream::Window,
    streams::no_stream,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetLogEvents {
    #[serde(alias = "logGroupIdentifier")]
    log_group_name: String,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterLogEvents {
    #[serde(alias = "logGroupIdentifier")]
    log_group_name: String,
    #[serde(default)]
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    #[serde(default)]
    filter_pattern: String,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// Where a page of one stream begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The events with this sequence and later.
    Forward(u64),
    /// The events before this sequence.
    Backward(u64),
}

impl Position {
    fn parse(token: &str) -> Result<Self, AwsError> {
        let position = token.split_once('/').and_then(|(direction, sequence)| {
            let sequence = sequence.parse().ok()?;
            match direction {
                "f" => Some(Self::Forward(sequence)),
                "b" => Some(Self::Backward(sequence)),
                _ => None,
            }
        });
        position.ok_or_else(|| invalid("The specified nextToken is invalid."))
    }

    fn token(self) -> String {
        match self {
            Self::Forward(sequence) => format!("f/{sequence:056}"),
            Self::Backward(sequence) => format!("b/{sequence:056}"),
        }
    }
}

impl Logs {
    pub(super) async fn get_log_events(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: GetLogEvents = call.input()?;
        let limit = limit(input.limit)?;
        let group = self.group(&input.log_group_name)?;
        let end = {
            let mut group = lock(&group);
            group.streams.get_mut(&input.log_stream_name).ok_or_else(no_stream)?.flush();
            group.end
        };
        let position = match &input.next_token {
            Some(token) => Position::parse(token)?,
            None if input.start_from_head => Position::Forward(0),
            None => Position::Backward(end),
        };
        // `endTime` itself is not included here, while `FilterLogEvents` includes it (API reference of both).
        let until_ms = input.end_time.map_or(u64::MAX, |end| end.saturating_sub(1));
        let window = Window { from_ms: input.start_time.unwrap_or(0), until_ms };
        let stream = OneStream { group, name: input.log_stream_name, window, limit };
        let events = blocking(move || match position {
            Position::Forward(from) => stream.forward(from),
            Position::Backward(before) => stream.backward(before),
        })
        .await?;
        let (Position::Forward(at) | Position::Backward(at)) = position;
        let after = events.last().map_or(at, |event| event.sequence + 1);
        let before = events.first().map_or(at, |event| event.sequence);
        let events: Vec<Value> = events
            .iter()
            .map(|event| {
                json!({
                    "timestamp": event.timestamp_ms, "message": event.text(), "ingestionTime": event.ingested_ms,
                })
            })
            .collect();
        Reply::json(&json!({
            "events": events,
            "nextForwardToken": Position::Forward(after).token(),
            "nextBackwardToken": Position::Backward(before).token(),
        }))
    }

    pub(super) async fn filter_log_events(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: FilterLogEvents = call.input()?;
        let limit = limit(input.limit)?;
        let group = self.group(&input.log_group_name)?;
        let pattern = Pattern::parse(&input.filter_pattern)?;
        if input.log_stream_name_prefix.is_some() && !input.log_stream_names.is_empty() {
            return Err(invalid("logStreamNames and logStreamNamePrefix cannot both be given."));
        }
        let from = match &input.next_token {
            None => 0,
            Some(token) => token.parse().map_err(|_| invalid("The specified nextToken is invalid."))?,
        };
        if let Some(missing) = input.log_stream_names.iter().find(|name| !lock(&group).streams.contains_key(*name)) {
            tracing::debug!(stream = %missing, "asked for a stream that is not there");
            return Err(no_stream());
        }
        let window = Window { from_ms: input.start_time.unwrap_or(0), until_ms: input.end_time.unwrap_or(u64::MAX) };
        let page = blocking(move || {
            let (names, prefix) = (&input.log_stream_names, input.log_stream_name_prefix.as_deref().unwrap_or(""));
            let wants_stream =
                |name: &str| name.starts_with(prefix) && (names.is_empty() || names.iter().any(|n| n == name));
            let wants_event = |event: &Event| pattern.matches(&String::from_utf8_lossy(&event.message));
            let selection = Selection { from, window, limit, wants_stream: &wants_stream, wants_event: &wants_event };
            read::merged(&group, &selection)
        })
        .await?;
        let mut events = page.events;
        // Arrival is time for what tasks print; `PutLogEvents` may name other times.
        events.sort_by_key(|(_, event)| event.timestamp_ms);
        let events: Vec<Value> = events
            .iter()
            .map(|(stream, event)| {
                json!({
                    "logStreamName": stream, "timestamp": event.timestamp_ms, "message": event.text(),
                    "ingestionTime": event.ingested_ms, "eventId": format!("{:056}", event.sequence),
                })
            })
            .collect();
        let next = page.next.map(|sequence| sequence.to_string());
        Reply::json(&with_token(json!({ "events": events, "searchedLogStreams": [] }), next))
    }
}

fn limit(limit: Option<usize>) -> Result<usize, AwsError> {
    let limit = limit.unwrap_or(PAGE_EVENTS_MAX);
    if (1..=PAGE_EVENTS_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(invalid(format!("limit {limit} is not between 1 and {PAGE_EVENTS_MAX}")))
    }
}

/// Reads files off the runtime's workers.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, AwsError> {
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| AwsError::internal(error.to_string()))?;
    read.map_err(|error| AwsError::internal(format!("cannot read a log segment: {error}")))
}
