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

/// How often a call that only reads, or that is on condition, is tried. A turn is about ten calls: with half of all
/// attempts throttled, one in two turns ends well.
pub const ATTEMPTS: u32 = 4;

/// The longest pause before the second attempt; each further one is at most twice as long.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(150);

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

/// How long a leader's silence lasts before another takes over: a takeover then takes at most 14 s. All other times of
/// the lease follow from it (`record::Lease`).
pub const LEASE_EXPIRY: Duration = Duration::from_secs(12);

/// The shortest lease. A leader acts only while its lease lasts longer than [`ATTEMPT_TIMEOUT`], and up to a third of this
/// passes between two renewals.
pub const LEASE_EXPIRY_MIN: Duration = Duration::from_secs(6);

/// The longest lease: nobody acts for as long when a leader dies.
pub const LEASE_EXPIRY_MAX: Duration = Duration::from_secs(120);

/// CloudWatch's finest period of the metrics that AWS publishes.
pub const METRIC_PERIOD: Duration = Duration::from_secs(60);

/// The newest finished minute is often incomplete: AWS publishes one to three minutes late.
pub const METRIC_DELAY: Duration = Duration::from_secs(60);

/// A metric that is older than this says nothing about now.
pub const METRIC_AGE_MAX: Duration = Duration::from_secs(20 * 60);

/// A metric that is older than this may still say that there was too little, never that there is too much.
pub const METRIC_AGE_FRESH: Millis = Millis(6 * 60_000);

/// Series that GetMetricData takes in one call (CloudWatch API reference).
pub const SERIES_PER_CALL: usize = 500;

/// Services that DescribeServices takes in one call (Amazon ECS API reference).
pub const SERVICES_PER_DESCRIBE: usize = 10;

/// Calls of DescribeStreamSummary in a second, of the account's 20 (Kinesis quotas). The rest is for `ctl`, producers and
/// consumers. 15 a second are 225 streams in a tick of 15 s; with more, each stream's tick becomes longer.
pub const STREAM_SUMMARY_RATE: u32 = 15;

/// Calls of ListTagsForStream in a second, of the account's 5 (Kinesis quotas).
pub const LIST_TAGS_RATE: u32 = 2;

/// Calls of DescribeLimits in a second: all that the account has (Kinesis quotas).
pub const DESCRIBE_LIMITS_RATE: u32 = 1;

/// Reads of ECS in a second, of the 20 that a region's bucket of cluster and service reads is refilled with (Amazon ECS:
/// request throttling).
pub const ECS_READ_RATE: u32 = 15;

/// Calls of GetMetricData in a second, of the account's 50 (CloudWatch quotas).
pub const GET_METRIC_DATA_RATE: u32 = 10;

/// How old the account's shard limit and its scalable targets may be: they change by people's hands.
pub const ACCOUNT_AGE: Duration = Duration::from_secs(60);

/// How old a stream's tags may be.
pub const TAGS_AGE: Duration = Duration::from_secs(10 * 60);

/// How old a service's list of tasks may be while its counts do not move and all of them answer.
pub const TASKS_AGE: Duration = Duration::from_secs(60);

/// The tag that says which deployment a resource belongs to.
pub const DEPLOYMENT_TAG: &str = "weir:deployment";

/// Turns of pipelines that run at once. A turn is about ten calls of some tens of milliseconds each.
pub const TURNS_AT_ONCE: usize = 16;

/// Turns that begin together: the services of so many pipelines fit into one DescribeServices.
pub const TURNS_TOGETHER: usize = 5;
