//! Changing the number of shards.

use serde::Deserialize;
use serde_json::json;

use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::stream::Mode,
        fault, wire,
    },
    service::{AwsError, Call, Reply},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SplitInput {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_split: String,
    new_starting_hash_key: String,
}

pub(super) fn split(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: SplitInput = call.input()?;
    let (cell, room, now) = (account.find(&input.stream)?, account.room(), account.now());
    cell.change(now, |stream| {
        stream.split(&input.shard_to_split, &input.new_starting_hash_key, room, &account.settings, now)
    })?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MergeInput {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

pub(super) fn merge(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: MergeInput = call.input()?;
    let now = account.now();
    account.find(&input.stream)?.change(now, |stream| {
        stream.merge(&input.shard_to_merge, &input.adjacent_shard_to_merge, &account.settings, now)
    })?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateInput {
    #[serde(flatten)]
    stream: StreamRef,
    target_shard_count: u32,
    scaling_type: String,
}

pub(super) fn update_shard_count(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: UpdateInput = call.input()?;
    if input.scaling_type != "UNIFORM_SCALING" {
        let rule = "satisfy enum value set: [UNIFORM_SCALING]";
        return Err(fault::constraint("scalingType", input.scaling_type, rule));
    }
    let target = input.target_shard_count;
    if target == 0 {
        return Err(fault::constraint("targetShardCount", target, "have value greater than or equal to 1"));
    }
    let (cell, room, now) = (account.find(&input.stream)?, account.room(), account.now());
    let answer = cell.change(now, |stream| {
        let current = stream.open_shards().len();
        stream.update_shard_count(target, room, &account.settings, now)?;
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardCount": current,
            "TargetShardCount": target,
        }))
    })?;
    Reply::json(&answer)
}

#[derive(Deserialize)]
struct WarmInput {
    #[serde(flatten)]
    stream: StreamRef,
    #[serde(rename = "WarmThroughputMiBps")]
    mib: u32,
}

pub(super) fn warm(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: WarmInput = call.input()?;
    if !account.is_committed() {
        return Err(fault::not_committed(&account.identity.account));
    }
    let (cell, room, now) = (account.find(&input.stream)?, account.room(), account.now());
    let answer = cell.change(now, |stream| {
        if stream.mode != Mode::OnDemand {
            return Err(fault::not_on_demand(stream));
        }
        stream.warm(input.mib, room, &account.settings, now)?;
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "WarmThroughput": wire::warm_throughput(stream),
        }))
    })?;
    Reply::json(&answer)
}
