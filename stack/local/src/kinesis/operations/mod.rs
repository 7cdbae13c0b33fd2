//! The API calls. Each reads its input, uses one stream or the account, and writes its answer.

mod consumers;
mod describe;
mod lifecycle;
mod limits;
mod monitoring;
mod put;
mod put_metrics;
mod read;
mod reshard;
mod shards;
mod tags;
mod update;

use std::sync::Arc;

use serde::Deserialize;

use super::{account::Account, subscribe};
use crate::service::{AwsError, Call, Reply};
pub(super) use read::parse_start;

/// Answers one call.
pub(super) fn answer(account: &Arc<Account>, call: &Call) -> Result<Reply, AwsError> {
    match call.operation.as_str() {
        "AddTagsToStream" => tags::add_to_stream(account, call),
        "CreateStream" => lifecycle::create(account, call),
        "DecreaseStreamRetentionPeriod" => update::decrease_retention(account, call),
        "DeleteStream" => lifecycle::delete(account, call),
        "DeregisterStreamConsumer" => consumers::deregister(account, call),
        "DescribeAccountSettings" => limits::describe_account_settings(account),
        "DescribeLimits" => limits::describe(account),
        "DescribeStream" => describe::describe(account, call),
        "DescribeStreamConsumer" => consumers::describe(account, call),
        "DescribeStreamSummary" => describe::summarize(account, call),
        "DisableEnhancedMonitoring" => monitoring::disable(account, call),
        "EnableEnhancedMonitoring" => monitoring::enable(account, call),
        "GetRecords" => read::get_records(account, call),
        "GetShardIterator" => read::get_shard_iterator(account, call),
        "IncreaseStreamRetentionPeriod" => update::increase_retention(account, call),
        "ListShards" => shards::list(account, call),
        "ListStreamConsumers" => consumers::list(account, call),
        "ListStreams" => lifecycle::list(account, call),
        "ListTagsForResource" => tags::list_for_resource(account, call),
        "ListTagsForStream" => tags::list_for_stream(account, call),
        "MergeShards" => reshard::merge(account, call),
        "PutRecord" => put::put_record(account, call),
        "PutRecords" => put::put_records(account, call),
        "RegisterStreamConsumer" => consumers::register(account, call),
        "RemoveTagsFromStream" => tags::remove_from_stream(account, call),
        "SplitShard" => reshard::split(account, call),
        "StartStreamEncryption" => update::start_encryption(account, call),
        "StopStreamEncryption" => update::stop_encryption(account, call),
        "SubscribeToShard" => subscribe::subscribe(account, call),
        "TagResource" => tags::tag_resource(account, call),
        "UntagResource" => tags::untag_resource(account, call),
        "UpdateAccountSettings" => limits::update_account_settings(account, call),
        "UpdateMaxRecordSize" => update::max_record_size(account, call),
        "UpdateShardCount" => reshard::update_shard_count(account, call),
        "UpdateStreamMode" => update::mode(account, call),
        "UpdateStreamWarmThroughput" => reshard::warm(account, call),
        other => Err(AwsError::not_implemented("kinesis", other)),
    }
}

/// Reads an input that borrows from the call's body.
fn borrowed<'a, T: Deserialize<'a>>(call: &'a Call) -> Result<T, AwsError> {
    serde_json::from_slice(&call.body).map_err(|error| AwsError::new("SerializationException", error.to_string()))
}
