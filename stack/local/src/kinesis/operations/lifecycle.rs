//! Creating, deleting and listing streams.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::tags;
use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::stream::{Becoming, Mode, NewStream},
        fault,
    },
    service::{AwsError, Call, Reply},
};

/// Longest name of a stream (API reference).
const NAME_LENGTH_MAX: usize = 128;

/// Record size of a new stream, which is the least there is (`UpdateMaxRecordSize`).
const RECORD_KIB: u32 = 1024;

/// Streams of one `ListStreams` answer unless the call says otherwise.
const LIST_LIMIT: usize = 100;

/// The streams' mode, as calls give it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModeDetails {
    pub(super) stream_mode: Mode,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateInput {
    stream_name: String,
    shard_count: Option<u32>,
    stream_mode_details: Option<ModeDetails>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    record_kib_max: Option<u32>,
}

pub(super) fn create(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: CreateInput = call.input()?;
    check_name(&input.stream_name)?;
    tags::check(&input.tags)?;
    let mode = input.stream_mode_details.map_or(Mode::Provisioned, |details| details.stream_mode);
    let shards = match (mode, input.shard_count) {
        (Mode::OnDemand, None) => account.settings.on_demand_shards,
        (Mode::OnDemand, Some(_)) => {
            return Err(AwsError::validation("ShardCount must not be given for a stream in On-Demand mode."));
        }
        (Mode::Provisioned, Some(count)) if count > 0 => count,
        (Mode::Provisioned, Some(count)) => {
            return Err(fault::constraint("shardCount", count, "have value greater than or equal to 1"));
        }
        (Mode::Provisioned, None) => {
            return Err(AwsError::validation("ShardCount is required for a stream in Provisioned mode."));
        }
    };
    let record_kib_max = input.record_kib_max.unwrap_or(RECORD_KIB);
    super::update::check_record_size(record_kib_max)?;
    account.create(NewStream {
        arn: account.identity.arn("kinesis", &format!("stream/{}", input.stream_name)),
        name: input.stream_name,
        account: account.identity.account.clone(),
        mode,
        shards,
        record_kib_max,
        tags: input.tags,
    })?;
    Ok(Reply::empty())
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(allowed) {
        return Err(fault::constraint("streamName", name, "satisfy regular expression pattern: [a-zA-Z0-9_.-]{1,128}"));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteInput {
    #[serde(flatten)]
    stream: StreamRef,
    enforce_consumer_deletion: Option<bool>,
}

pub(super) fn delete(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: DeleteInput = call.input()?;
    let now = account.now();
    account.find(&input.stream)?.change(now, |stream| {
        if matches!(stream.becoming, Some(Becoming::Active(_) | Becoming::Gone(_))) {
            return Err(fault::not_active(stream));
        }
        if !stream.consumers.is_empty() && !input.enforce_consumer_deletion.unwrap_or_default() {
            return Err(fault::has_consumers(stream));
        }
        stream.consumers.clear();
        stream.becoming = Some(Becoming::Gone(now.plus(account.settings.delete_delay)));
        Ok(())
    })?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListInput {
    limit: Option<usize>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

/// A `NextToken` is the name of the last stream shown.
pub(super) fn list(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ListInput = call.input()?;
    let now = account.now();
    let after = input.next_token.or(input.exclusive_start_stream_name);
    let limit = input.limit.unwrap_or(LIST_LIMIT).max(1);
    let mut cells = account.cells();
    cells.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let more = cells.len() > limit;
    cells.truncate(limit);
    let summaries = cells.iter().map(|(_, cell)| {
        cell.look(now, |stream| {
            json!({
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": stream.status(),
                "StreamModeDetails": { "StreamMode": stream.mode.name() },
                "StreamCreationTimestamp": stream.created.fractional_seconds(),
            })
        })
    });
    let mut answer = json!({ "StreamSummaries": summaries.collect::<Vec<_>>(), "HasMoreStreams": more });
    let names: Vec<_> = cells.into_iter().map(|(name, _)| name).collect();
    if more {
        answer["NextToken"] = names.last().cloned().into();
    }
    answer["StreamNames"] = names.into();
    Reply::json(&answer)
}
