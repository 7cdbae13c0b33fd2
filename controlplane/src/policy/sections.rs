//! The tables of the policy with their defaults. This is the reference: `ctl policy show` prints these descriptions.

use super::section::section;
use crate::units::{BytesPerSecond, Fraction, Millis, RecordsPerSecond, ShardCount, TaskCount};

/// A stream has at most 10,000 shards (Kinesis quotas, UpdateShardCount).
pub(super) const SHARDS_MAX: ShardCount = ShardCount(10_000);
/// A service has at most 5,000 tasks (Amazon ECS service quotas).
pub(super) const TASKS_MAX: TaskCount = TaskCount(5_000);
/// Calls of UpdateShardCount that AWS allows in a rolling 24 hours (Kinesis quotas).
const DAILY_RESHARDS_MAX: u32 = 10;

/// The highest warm throughput of an on-demand stream (Kinesis API reference, UpdateStreamWarmThroughput).
const WARM_MAX: BytesPerSecond = BytesPerSecond(10.0 * 1024.0 * MIB);
const MIB: f64 = 1024.0 * 1024.0;

const ZERO: Millis = Millis(0);
const SECOND: Millis = Millis(1_000);
const HOUR: Millis = Millis(3_600_000);
const DAY: Millis = Millis(24 * 3_600_000);

section! {
    /// `[stream]`: how many shards.
    StreamPolicy "stream" {
        /// Never fewer shards than this.
        min_shards: ShardCount = ShardCount(1), ShardCount(1) => SHARDS_MAX;
        /// Never more shards than this.
        max_shards: ShardCount = ShardCount(16), ShardCount(1) => SHARDS_MAX;
        /// How full a shard should be, by bytes (1 MiB/s) or records (1,000/s), whichever is more.
        target_utilization: Fraction = Fraction(0.8), Fraction(0.05) => Fraction(0.95);
        /// From this use on, one shard counts as hot while the stream as a whole is below its target.
        hot_shard_utilization: Fraction = Fraction(0.8), Fraction(0.05) => Fraction(1.0);
        /// Whether shards are added before a time at which both of the last two days needed them, and go sooner where both
        /// say that little comes.
        follow_time_of_day: bool = true;
        /// What an on-demand stream should always take without growing first: never less than this, or "off".
        min_warm_throughput: Option<BytesPerSecond> = None, Some(BytesPerSecond(MIB)) => Some(WARM_MAX);
        /// Never more than this, or "off" to leave the warm throughput of an on-demand stream alone.
        max_warm_throughput: Option<BytesPerSecond> = None, Some(BytesPerSecond(MIB)) => Some(WARM_MAX);
    }
}

section! {
    /// `[producer]`: how many producer tasks.
    ProducerPolicy "producer" {
        /// Never fewer producer tasks than this.
        min_tasks: TaskCount = TaskCount(1), TaskCount(1) => TASKS_MAX;
        /// Never more producer tasks than this.
        max_tasks: TaskCount = TaskCount(16), TaskCount(1) => TASKS_MAX;
        /// How much of its CPU a producer task should use.
        target_cpu: Fraction = Fraction(0.6), Fraction(0.05) => Fraction(0.95);
        /// How many records clients should offer to one producer task, or "off".
        target_records: Option<RecordsPerSecond> = None, Some(RecordsPerSecond(1.0)) => Some(RecordsPerSecond(1e9));
        /// How many bytes clients should offer to one producer task, or "off".
        target_bytes: Option<BytesPerSecond> = None, Some(BytesPerSecond(1.0)) => Some(BytesPerSecond(1024.0 * MIB));
    }
}

section! {
    /// `[consumer]`: how many consumer tasks.
    ConsumerPolicy "consumer" {
        /// Never fewer consumer tasks than this.
        min_tasks: TaskCount = TaskCount(1), TaskCount(1) => TASKS_MAX;
        /// Never more consumer tasks than this.
        max_tasks: TaskCount = TaskCount(16), TaskCount(1) => TASKS_MAX;
        /// How far the slowest shard may be behind.
        lag_objective: Millis = Millis(30_000), SECOND => DAY;
        /// In what time a backlog should be gone.
        drain_time: Millis = Millis(600_000), SECOND => DAY;
        /// Which share of the time a consumer's processor should be at work.
        target_busy: Fraction = Fraction(0.9), Fraction(0.05) => Fraction(0.95);
        /// How much of its CPU a consumer task should use.
        target_cpu: Fraction = Fraction(0.85), Fraction(0.05) => Fraction(0.95);
        /// How many leases one consumer task may be left with: what it must hold in memory, and what its loss interrupts.
        max_leases_per_task: u32 = 8, 1 => 1_000;
    }
}

section! {
    /// `[guard]`: what keeps the control plane from doing harm.
    GuardPolicy "guard" {
        /// For how long a need for more shards must last before it counts, unless more is offered than they can take. Tasks
        /// follow at once: they may go again.
        confirm_up: Millis = Millis(15_000), ZERO => HOUR;
        /// Shards go down only to the highest count that was asked for within this time.
        shards_stabilization: Millis = HOUR, ZERO => DAY;
        /// Tasks go down only to the highest count that was asked for within this time.
        tasks_stabilization: Millis = Millis(600_000), ZERO => DAY;
        /// How long after the end of a change of the shard count the next step up waits: reports average over ten seconds.
        shards_up_cooldown: Millis = Millis(15_000), ZERO => DAY;
        /// How long after the end of a change of the shard count the next step down waits.
        shards_down_cooldown: Millis = Millis(1_800_000), ZERO => DAY;
        /// How long after a change of a task count the next step up waits.
        tasks_up_cooldown: Millis = Millis(15_000), ZERO => DAY;
        /// How long after a change of a task count the next step down waits.
        tasks_down_cooldown: Millis = Millis(300_000), ZERO => DAY;
        /// Whether counts may go down at all.
        allow_scale_down: bool = true;
        /// Decide and record, but change nothing.
        dry_run: bool = false;
        /// Changes of the shard count in a rolling 24 hours, whatever happens. AWS allows 10: the others are left to people.
        daily_reshards: u32 = 8, 0 => DAILY_RESHARDS_MAX;
        /// At most so many of these are kept for going up: as many as double the stream to what it may soon need.
        reserved_for_up: u32 = 4, 0 => DAILY_RESHARDS_MAX;
    }
}
