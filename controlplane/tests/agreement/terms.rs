//! What holds on both sides.

use std::time::Duration;

use controlplane::{limits::SHARD_BYTES, simulate::Physics};

/// The policy of both: the windows against going down are short enough for a fall to show within 20 minutes.
pub(crate) const POLICY: &str = r#"
version = 1
[guard]
shards_stabilization = "3m"
shards_down_cooldown = "2m"
tasks_stabilization = "2m"
tasks_down_cooldown = "1m"
"#;

/// What Kinesis counts of a record: its data and its partition key.
pub(crate) const RECORD_BYTES: f64 = 2.0;

/// Records that a shard takes in a second (Kinesis quotas), by which such records fill it.
pub(crate) const SHARD_RECORDS: f64 = 1_000.0;

/// Shards that a consumer task processes, and that a producer task takes, at all of its time.
pub(crate) const CONSUMER_SHARDS: f64 = 2.0;
pub(crate) const PRODUCER_SHARDS: f64 = 8.0;

pub(crate) const SHARDS_AT_START: u32 = 2;

/// How long Kinesis takes for any change of the shards.
pub(crate) const RESHARD: Duration = Duration::from_secs(60);

/// The world of the simulator, which differs from its defaults where localcloud does.
pub(crate) fn physics() -> Physics {
    let shard_mib = SHARD_RECORDS * RECORD_BYTES / SHARD_BYTES.0;
    let reshard_s = RESHARD.as_secs_f64();
    Physics {
        bursts: false,
        user_record_bytes: RECORD_BYTES,
        kinesis_record_bytes: RECORD_BYTES,
        consumer_task_mib: CONSUMER_SHARDS * shard_mib,
        lease_mib: CONSUMER_SHARDS * shard_mib,
        producer_task_mib: PRODUCER_SHARDS * shard_mib,
        shards_at_start: SHARDS_AT_START,
        reshard_base_s: reshard_s,
        reshard_round_s: 0.0,
        reshard_operation_s: [0.0, 0.0],
        single_reshard_s: reshard_s,
        // A process starts and ends at once.
        task_start_s: [1, 1],
        task_stop_s: 1,
        ..Physics::default()
    }
}
