//! Errors in the words of the service, as far as they are known.

use super::{
    engine::{
        consumer::Consumer,
        hash::HashKey,
        sequence::SequenceNumber,
        shard::{Shard, ShardId},
        stream::Stream,
    },
    moment::Moment,
    settings::Settings,
};
use crate::service::AwsError;

fn not_found(message: String) -> AwsError {
    AwsError::new("ResourceNotFoundException", message)
}

fn in_use(message: String) -> AwsError {
    AwsError::new("ResourceInUseException", message)
}

pub(crate) fn limit(message: impl Into<String>) -> AwsError {
    AwsError::new("LimitExceededException", message)
}

pub(crate) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidArgumentException", message)
}

/// One member that breaks a constraint of the API's model.
pub(crate) fn constraint(member: &str, value: impl std::fmt::Display, rule: &str) -> AwsError {
    AwsError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {rule}"
    ))
}

pub(crate) fn no_stream(name: &str, account: &str) -> AwsError {
    not_found(format!("Stream {name} under account {account} not found."))
}

pub(crate) fn stream_exists(name: &str, account: &str) -> AwsError {
    in_use(format!("Stream {name} under account {account} already exists."))
}

pub(crate) fn not_active(stream: &Stream) -> AwsError {
    in_use(format!(
        "Stream {} under account {} not ACTIVE, instead in state {}",
        stream.name,
        stream.account,
        stream.status()
    ))
}

pub(crate) fn has_consumers(stream: &Stream) -> AwsError {
    in_use(format!(
        "Stream {} under account {} has registered consumers: deregister them, or set EnforceConsumerDeletion",
        stream.name, stream.account
    ))
}

pub(crate) fn on_demand(stream: &Stream, operation: &str) -> AwsError {
    AwsError::validation(format!(
        "Request is invalid. Stream {} under account {} is in On-Demand mode, which {operation} does not support.",
        stream.name, stream.account
    ))
}

pub(crate) fn not_on_demand(stream: &Stream) -> AwsError {
    AwsError::validation(format!(
        "Stream {} under account {} is not in On-Demand mode, which UpdateStreamWarmThroughput needs.",
        stream.name, stream.account
    ))
}

pub(crate) fn not_committed(account: &str) -> AwsError {
    AwsError::validation(format!(
        "Account {account} has no MinimumThroughputBillingCommitment, which UpdateStreamWarmThroughput needs."
    ))
}

pub(crate) fn no_shard(stream: &Stream, id: &str) -> AwsError {
    not_found(format!("Could not find shard {id} in stream {} under account {}.", stream.name, stream.account))
}

pub(crate) fn no_such_shard(stream: &Stream, id: &str) -> AwsError {
    not_found(format!("Shard {id} in stream {} under account {} does not exist", stream.name, stream.account))
}

pub(crate) fn shard_closed(stream: &Stream, id: &str) -> AwsError {
    invalid(format!("Shard {id} in stream {} under account {} is closed.", stream.name, stream.account))
}

pub(crate) fn not_adjacent(stream: &Stream, id: &str, other: &str) -> AwsError {
    invalid(format!(
        "Shards {id} and {other} in stream {} under account {} are not an adjacent pair of shards eligible for merging",
        stream.name, stream.account
    ))
}

pub(crate) fn not_a_hash_key(member: &str, key: &str) -> AwsError {
    invalid(format!("Invalid {member}. {member} must be in the range: [0, 2^128-1]. Specified value was {key}"))
}

pub(crate) fn not_in_range(stream: &Stream, shard: &Shard, key: HashKey) -> AwsError {
    invalid(format!(
        "NewStartingHashKey {key} used in SplitShard() on shard {} in stream {} under account {} is not both greater \
         than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
        shard.id, stream.name, stream.account, shard.range.start, shard.range.end
    ))
}

/// Checks the target of `UpdateShardCount` against the open shards: half to double, and the quota of a stream.
pub(crate) fn check_target(open: usize, target: u32, settings: &Settings) -> Result<(), AwsError> {
    let wanted = usize::try_from(target).unwrap_or(usize::MAX);
    let counts = format!("Current open shard count: {open}, Target shard count: {target}");
    if target > settings.stream_shards_max {
        return Err(limit(format!(
            "UpdateShardCount cannot scale a stream above {} shards. {counts}",
            settings.stream_shards_max
        )));
    }
    if wanted > 2 * open {
        return Err(limit(format!(
            "UpdateShardCount cannot scale up over double your current open shard count. {counts}"
        )));
    }
    if wanted < open.div_ceil(2) {
        return Err(limit(format!(
            "UpdateShardCount cannot scale down below half your current open shard count. {counts}"
        )));
    }
    if wanted == open {
        return Err(invalid(format!("UpdateShardCount needs a target other than the current count. {counts}")));
    }
    Ok(())
}

pub(crate) fn too_many_updates(stream: &Stream, operation: &str, per_day: usize) -> AwsError {
    limit(format!(
        "Stream {} under account {} has had the {per_day} {operation} calls it may have in a rolling 24-hour period.",
        stream.name, stream.account
    ))
}

pub(crate) fn shard_limit(account: &str, region: &str, open: usize, limit_: u32, more: usize) -> AwsError {
    limit(format!(
        "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the \
         account: {open}. Limit: {limit_}. Number of additional shards that would have resulted from this request: \
         {more}. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) \
         for current limits and how to request higher limits."
    ))
}

/// The text of `ProvisionedThroughputExceededException`, of a call or of one entry of `PutRecords`.
pub(crate) fn rate_exceeded(stream: &Stream, shard: ShardId) -> String {
    format!("Rate exceeded for shard {shard} in stream {} under account {}.", stream.name, stream.account)
}

pub(crate) fn throttled(stream: &Stream, shard: ShardId) -> AwsError {
    AwsError::new("ProvisionedThroughputExceededException", rate_exceeded(stream, shard))
}

pub(crate) fn foreign_number(stream: &Stream, shard: ShardId, number: &str) -> AwsError {
    invalid(format!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard {shard} in stream {} under account {} is \
         invalid because it did not come from this stream.",
        stream.name, stream.account
    ))
}

pub(crate) fn foreign_position(number: SequenceNumber) -> AwsError {
    invalid(format!("Invalid StartingSequenceNumber {number}: it did not come from this shard."))
}

pub(crate) fn in_the_future(timestamp: Moment, now: Moment) -> AwsError {
    invalid(format!(
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {}, \
         currentTimestampInMillis: {}",
        timestamp.millis(),
        now.millis()
    ))
}

pub(crate) fn iterator_expired(issued: Moment, now: Moment, settings: &Settings) -> AwsError {
    AwsError::new(
        "ExpiredIteratorException",
        format!(
            "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the \
             future than the tolerated delay of {} milliseconds.",
            issued.millis(),
            now.millis(),
            settings.iterator_lifetime.as_millis()
        ),
    )
}

pub(crate) fn consumer_exists(stream: &Stream, name: &str) -> AwsError {
    in_use(format!("Consumer {name} under stream {} already exists.", stream.name))
}

pub(crate) fn no_consumer(stream: &str, consumer: &str) -> AwsError {
    not_found(format!("Consumer {consumer} under stream {stream} not found."))
}

pub(crate) fn consumer_not_active(stream: &str, account: &str, consumer: &Consumer) -> AwsError {
    in_use(format!(
        "Consumer {} with creation timestamp {} under stream: {stream} , account {account} is not in ACTIVE status.",
        consumer.name,
        consumer.created.seconds()
    ))
}

pub(crate) fn subscribed(stream: &str, account: &str, shard: ShardId, consumer: &str) -> AwsError {
    in_use(format!("Another active subscription exists for this consumer: {account}:{stream}:{shard}:{consumer}"))
}
