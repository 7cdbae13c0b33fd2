//! The constants of the simulated world, each with where it comes from.

use serde::{Deserialize, Serialize};

use super::trace::Bursts;
use crate::limits::{SHARD_BYTES, SHARD_RECORDS};

/// How the world behaves. A full shard is the unit of load: 1 MiB/s, or 1,000 Kinesis records/s where these are small.
///
/// What AWS states is marked "AWS", what was measured on Weir "measured", and what nobody states "assumed".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Physics {
    /// Seconds between two looks of a contender that has no period of its own (`WEIR_TICK`).
    pub tick_s: u32,

    /// Size of a user record in bytes (assumed: a log line or an event).
    pub user_record_bytes: f64,
    /// Size of a Kinesis record that our producers make of them, in bytes (measured: 46 a MiB in the README's load).
    pub kinesis_record_bytes: f64,
    /// Whether the load varies within a minute, as [`super::trace::BURST_QUANTILES`] says (measured on a public trace).
    pub bursts: bool,
    /// Seconds' worth of its quota that an idle shard takes at once: one request may hold a whole second's quota (AWS).
    pub shard_burst_s: f64,

    /// What clients do with refused records: `true` is our producer's way, `false` drops them at once.
    pub producers_retry: bool,
    /// How long a record waits in a producer (`WEIR_RECORD_TTL`).
    pub record_ttl_s: u32,
    /// How long a client repeats a request that a producer refused (default of the OpenTelemetry Collector's exporters).
    pub client_patience_s: u32,
    /// Mean time between two attempts of such a client (the same exporters: 5 s, growing to 30 s).
    pub client_retry_s: f64,
    /// What a producer task holds (`WEIR_BUFFER_MIB`).
    pub producer_buffer_mib: f64,
    /// What a producer task takes at all of its CPU, in MiB/s (assumed; half a vCPU signs and packs more).
    pub producer_task_mib: f64,
    /// Share of what a shard takes that the pacing of retries has refused besides (measured in the README's load).
    pub retry_refusals: f64,

    /// What a consumer task processes at all of its time, in MiB/s (assumed: two shards).
    pub consumer_task_mib: f64,
    /// What one lease's processor reads at most, in MiB/s: a shard gives 2 MiB/s to shared readers (AWS).
    pub lease_mib: f64,
    /// CPU that a consumer task uses while it processes, as a share of its limit (assumed: work that is bound by CPU).
    pub busy_cpu: f64,
    /// How far an idle consumer is behind: linger, one poll a quarter of a second, one batch (measured).
    pub idle_lag_s: f64,
    /// From a change of the consumer tasks until the leases that moved are read again (measured: graceful hand-over).
    pub lease_handover_s: u32,
    /// From the end of the parents until their children are read (measured: sync at the end of a shard).
    pub shard_sync_s: u32,
    /// Whether consumers poll, so that `GetRecords.*` exist. With fan-out they do not (AWS).
    pub consumers_poll: bool,

    /// From UpdateService until new tasks run: image, start, health check (Fargate, commonly 30 to 60 s; drawn between).
    pub task_start_s: [u32; 2],
    /// From UpdateService until surplus tasks are gone.
    pub task_stop_s: u32,
    /// vCPU and GiB of memory of a consumer task (the template's default).
    pub consumer_task_size: [f64; 2],
    /// vCPU and GiB of memory of a producer task (the template's default).
    pub producer_task_size: [f64; 2],
    /// Tasks of each service at the start.
    pub tasks_at_start: u32,

    /// Fixed part of a change of the shard count (assumed; AWS says "a few minutes", scaling-utils observed 30 s a step).
    pub reshard_base_s: f64,
    /// Each round of splits or merges: one for exactly double or half, two for quarters, three otherwise (as above).
    pub reshard_round_s: f64,
    /// Each single split or merge within it, drawn between these.
    pub reshard_operation_s: [f64; 2],
    /// SplitShard and MergeShards, one at a time (as observed by scaling-utils).
    pub single_reshard_s: f64,
    /// UpdateShardCount calls in a rolling 24 hours (AWS).
    pub daily_reshards: u32,
    /// Shards that the account may have in all (AWS: 1,000 to 20,000 by region).
    pub account_shards: u32,
    /// Shards at the start.
    pub shards_at_start: u32,

    /// Task reports are means over this time (`dataplane::rate`).
    pub report_window_s: u32,
    /// Age of the newest second in a task report.
    pub report_delay_s: u32,
    /// From a minute's end until CloudWatch has it, drawn between these (one to three minutes as observed; AWS: no promise).
    pub metric_delay_s: [u32; 2],
    /// Share of minutes that CloudWatch never publishes.
    pub metric_loss: f64,

    /// What an on-demand stream takes from its first second, in MiB/s (AWS).
    pub on_demand_start_mib: f64,
    /// How much more than its highest minute an on-demand stream takes (AWS: twice the peak of 30 days).
    pub on_demand_factor: f64,
    /// How old a peak must be to count (AWS: more than double within 15 minutes is throttled).
    pub on_demand_minutes: u32,
}

impl Default for Physics {
    fn default() -> Self {
        Self {
            tick_s: 15,
            user_record_bytes: 500.0,
            kinesis_record_bytes: 22_795.0,
            bursts: true,
            shard_burst_s: 1.0,
            producers_retry: true,
            record_ttl_s: 30,
            client_patience_s: 300,
            client_retry_s: 15.0,
            producer_buffer_mib: 64.0,
            producer_task_mib: 8.0,
            retry_refusals: 0.1,
            consumer_task_mib: 2.0,
            lease_mib: 2.0,
            busy_cpu: 0.9,
            idle_lag_s: 0.4,
            lease_handover_s: 3,
            shard_sync_s: 2,
            consumers_poll: true,
            task_start_s: [30, 60],
            task_stop_s: 10,
            consumer_task_size: [0.5, 1.0],
            producer_task_size: [0.5, 1.0],
            tasks_at_start: 1,
            reshard_base_s: 30.0,
            reshard_round_s: 30.0,
            reshard_operation_s: [0.1, 0.5],
            single_reshard_s: 30.0,
            daily_reshards: crate::limits::DAILY_RESHARDS,
            account_shards: 1_000,
            shards_at_start: 2,
            report_window_s: 10,
            report_delay_s: 2,
            metric_delay_s: [60, 180],
            metric_loss: 0.0,
            on_demand_start_mib: 4.0,
            on_demand_factor: 2.0,
            on_demand_minutes: 15,
        }
    }
}

impl Physics {
    /// Reads the constants that differ from the defaults from TOML.
    ///
    /// # Errors
    /// An unknown name or a value that no world can have.
    pub fn parse(text: &str) -> Result<Self, PhysicsError> {
        let physics: Self = toml::from_str(text)?;
        physics.check()?;
        Ok(physics)
    }

    /// The constants as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// Bytes per second of a full shard.
    #[must_use]
    pub fn shard_bytes(&self) -> f64 {
        SHARD_BYTES.0.min(SHARD_RECORDS.0 * self.kinesis_record_bytes)
    }

    /// User records per second of a full shard.
    #[must_use]
    pub fn user_records(&self) -> f64 {
        self.shard_bytes() / self.user_record_bytes
    }

    /// Kinesis records per second of a full shard.
    #[must_use]
    pub fn kinesis_records(&self) -> f64 {
        self.shard_bytes() / self.kinesis_record_bytes
    }

    /// MiB/s as full shards.
    pub(crate) fn in_shards(&self, mib: f64) -> f64 {
        mib * SHARD_BYTES.0 / self.shard_bytes()
    }

    /// The load of each second of a minute with this mean.
    pub(super) fn seconds(&self, seed: u64, minute: u32, mean: f64) -> [f64; 60] {
        if self.bursts { Bursts::new(seed).expand(minute as usize, mean) } else { [mean; 60] }
    }

    fn check(&self) -> Result<(), PhysicsError> {
        let positive = [
            ("tick_s", f64::from(self.tick_s)),
            ("user_record_bytes", self.user_record_bytes),
            ("kinesis_record_bytes", self.kinesis_record_bytes),
            ("client_retry_s", self.client_retry_s),
            ("producer_task_mib", self.producer_task_mib),
            ("consumer_task_mib", self.consumer_task_mib),
            ("lease_mib", self.lease_mib),
            ("tasks_at_start", f64::from(self.tasks_at_start)),
            ("shards_at_start", f64::from(self.shards_at_start)),
            ("report_window_s", f64::from(self.report_window_s)),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| !value.is_finite() || *value <= 0.0) {
            return Err(PhysicsError::Value { name, allowed: "more than 0" });
        }
        if self.report_window_s + self.report_delay_s > RECENT_MAX {
            return Err(PhysicsError::Value { name: "report_window_s", allowed: "up to 60 with report_delay_s" });
        }
        let ranges = [
            ("task_start_s", self.task_start_s.map(f64::from)),
            ("reshard_operation_s", self.reshard_operation_s),
            ("metric_delay_s", self.metric_delay_s.map(f64::from)),
        ];
        if let Some((name, _)) = ranges.into_iter().find(|(_, [low, high])| !(0.0 <= *low && low <= high)) {
            return Err(PhysicsError::Value { name, allowed: "two numbers, the lower first" });
        }
        Ok(())
    }
}

/// The seconds of which reports can tell.
pub(crate) const RECENT_MAX: u32 = 60;

/// Why constants cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PhysicsError {
    #[error("cannot read the constants: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("`{name}` must be {allowed}")]
    Value { name: &'static str, allowed: &'static str },
}
