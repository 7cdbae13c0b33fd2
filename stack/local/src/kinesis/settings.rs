//! Quotas and delays.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Quotas are those of AWS ("Quotas and limits" of the Kinesis developer guide, and the API reference of each call)
/// unless a field says otherwise; delays are short enough to watch.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Open shards of the account. AWS: 20,000 in the largest regions, 1,000 or 6,000 elsewhere.
    pub shard_limit: u32,
    /// Open shards of one stream that `UpdateShardCount` may ask for.
    pub stream_shards_max: u32,
    /// On-demand streams of the account.
    pub on_demand_streams_max: u32,
    /// Shards that an on-demand stream starts with (4 MiB/s of writes).
    pub on_demand_shards: u32,
    /// Streams that may be `CREATING` at once (`CreateStream`).
    pub creating_streams_max: usize,
    /// Writes to one shard, data and partition keys.
    pub write_bytes_per_second: u64,
    /// Writes to one shard.
    pub write_records_per_second: u64,
    /// Shared reads of one shard. A larger answer is given once and paid for by refusing the next calls.
    pub read_bytes_per_second: u64,
    /// `GetRecords` calls for one shard.
    pub read_calls_per_second: u64,
    /// Reads of one shard by one registered consumer.
    pub fan_out_bytes_per_second: u64,
    /// Records of one `PutRecords` call.
    pub put_records_max: usize,
    /// Data and partition keys of one `PutRecords` call.
    pub put_bytes_max: u64,
    /// Records of one `GetRecords` answer or fan-out event.
    pub get_records_max: usize,
    /// Data and partition keys of one `GetRecords` answer.
    pub get_bytes_max: u64,
    /// Data and partition keys of one fan-out event (ours: AWS states none, and small events keep memory flat).
    pub event_bytes_max: u64,
    /// Registered consumers of one stream (`RegisterStreamConsumer`).
    pub consumers_max: usize,
    /// Consumers of one stream that may be `CREATING` at once (`RegisterStreamConsumer`).
    pub creating_consumers_max: usize,
    /// `UpdateShardCount` calls of one stream in a rolling 24 hours.
    pub shard_count_updates_per_day: usize,
    /// `UpdateStreamMode` calls of one stream in a rolling 24 hours.
    pub mode_updates_per_day: usize,
    /// How long an iterator may be used (`GetShardIterator`).
    pub iterator_lifetime: Duration,
    /// How long a `NextToken` may be used (`ListShards`).
    pub token_lifetime: Duration,
    /// How long a subscription lasts (`SubscribeToShard`).
    pub subscription_lifetime: Duration,
    /// How long a subscription cannot be taken over by another call (`SubscribeToShard`).
    pub subscription_hold: Duration,
    /// Longest silence of a subscription: an event without records is pushed then.
    pub subscription_heartbeat: Duration,
    /// Shortest time between two looks of a subscription at its shard, so that many small puts become few events.
    pub subscription_pace: Duration,
    /// How long a stream is `CREATING`. AWS: tens of seconds.
    pub create_delay: Duration,
    /// How long a stream is `DELETING`. AWS: tens of seconds.
    pub delete_delay: Duration,
    /// How long a change other than resharding keeps a stream `UPDATING`.
    pub update_delay: Duration,
    /// How long a consumer is `CREATING` or `DELETING`.
    pub consumer_delay: Duration,
    /// How long a reshard takes before its first split or merge. AWS: about 30 s (the constant of
    /// `amazon-kinesis-scaling-utils`).
    pub reshard_delay: Duration,
    /// How long each split or merge of a reshard takes, one after the other.
    pub reshard_step: Duration,
    /// Data and partition keys kept by all streams together; past it, the oldest records are dropped whatever their
    /// retention. Not a quota of AWS: it keeps a forgotten load from filling the machine's memory.
    pub retained_bytes_max: u64,
    /// Keeps every stream in an append-only file below the endpoint's directory, which survives the process.
    pub durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shard_limit: 1_000,
            stream_shards_max: 10_000,
            on_demand_streams_max: 50,
            on_demand_shards: 4,
            creating_streams_max: 5,
            write_bytes_per_second: MIB,
            write_records_per_second: 1_000,
            read_bytes_per_second: 2 * MIB,
            read_calls_per_second: 5,
            fan_out_bytes_per_second: 2 * MIB,
            put_records_max: 500,
            put_bytes_max: 10 * MIB,
            get_records_max: 10_000,
            get_bytes_max: 10 * MIB,
            event_bytes_max: MIB,
            consumers_max: 20,
            creating_consumers_max: 5,
            shard_count_updates_per_day: 10,
            mode_updates_per_day: 2,
            iterator_lifetime: Duration::from_secs(300),
            token_lifetime: Duration::from_secs(300),
            subscription_lifetime: Duration::from_secs(300),
            subscription_hold: Duration::from_secs(5),
            subscription_heartbeat: Duration::from_secs(5),
            subscription_pace: Duration::from_millis(20),
            create_delay: Duration::from_millis(300),
            delete_delay: Duration::from_millis(300),
            update_delay: Duration::from_millis(300),
            consumer_delay: Duration::from_millis(300),
            reshard_delay: Duration::from_millis(2_500),
            reshard_step: Duration::from_millis(250),
            retained_bytes_max: 1 << 30,
            durable: false,
        }
    }
}
