//! What AWS allows, and what we allow ourselves.

use std::time::Duration;

use crate::units::{BytesPerSecond, Millis, RecordsPerSecond};

/// What one shard takes (Kinesis quotas: "1 MB/s", in practice 1,048,576 bytes).
pub const SHARD_BYTES: BytesPerSecond = BytesPerSecond(1024.0 * 1024.0);

/// What one shard takes (Kinesis quotas).
pub const SHARD_RECORDS: RecordsPerSecond = RecordsPerSecond(1_000.0);

/// Calls of UpdateShardCount that AWS allows for a stream in a rolling 24 hours (Kinesis quotas).
pub const DAILY_RESHARDS: u32 = 10;

/// The window of [`DAILY_RESHARDS`].
pub const RESHARD_WINDOW: Millis = Millis(24 * 3_600_000);

/// How long a call that AWS refused is not tried again. `ResourceInUseException` is normal and short.
pub const REFUSAL_BACKOFF: Millis = Millis(15_000);

/// The same where a limit was reached, which only time or a ticket moves.
pub const LIMIT_BACKOFF: Millis = Millis(15 * 60_000);

/// How far back a new leader looks for changes of task counts: longer than the longest sensible cool-down of tasks.
pub const RECALL_WINDOW: Millis = Millis(3_600_000);

/// How many decisions a new leader reads for that.
pub const RECALL_DECISIONS: usize = 200;

/// How long a decision is kept: long enough to look into last month's incident.
pub const DECISION_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest time that one answer of AWS is waited for, retries included. Two of these fit into the default tick.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(6);

/// The longest time that one attempt may take, so that a retry fits into [`CALL_TIMEOUT`].
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest time that a connection to AWS may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The longest time that a task's report is waited for: it is one request inside one network.
pub const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest report that is read. A report of 1,000 leases is about 200 KiB.
pub const REPORT_BYTES: usize = 1 << 20;

/// How many reports are read at the same time.
pub const REPORTS_AT_ONCE: usize = 64;

/// Tasks that DescribeTasks takes in one call (Amazon ECS API reference).
pub const TASKS_PER_DESCRIBE: usize = 100;

/// How often the leader renews its lease, and how often others look at it.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(2);

/// After this long without a successful renewal a leader stops acting: before anybody else may take over.
pub const LEASE_DEADLINE: Duration = Duration::from_secs(10);

/// After this long without a move of the counter others take over. With one look each [`LEASE_RENEWAL`] a takeover
/// takes at most 14 s; the gap to [`LEASE_DEADLINE`] bears clocks whose rates differ by 20 %.
pub const LEASE_EXPIRY: Duration = Duration::from_secs(12);

/// CloudWatch's finest period of the metrics that AWS publishes.
pub const METRIC_PERIOD: Duration = Duration::from_secs(60);

/// The newest finished minute is often incomplete: AWS publishes one to three minutes late.
pub const METRIC_DELAY: Duration = Duration::from_secs(60);

/// A metric that is older than this says nothing about now.
pub const METRIC_AGE_MAX: Duration = Duration::from_secs(5 * 60);
