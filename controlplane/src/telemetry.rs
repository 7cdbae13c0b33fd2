//! What the control plane says about itself: metrics, liveness, and the heartbeat that an alarm watches.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    chain::chain,
    decide::{Action, ActionResult, Outcome, Service},
    record::TableError,
};

/// How often the heartbeat is published: the period of the alarm that watches it.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Upper bounds of a turn's duration, in seconds.
const TURN_BUCKETS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// Counters and the time of the last good turn.
pub(crate) struct Telemetry {
    registry: Registry,
    turns: Counter,
    failed_turns: Counter,
    turn_seconds: Histogram,
    actions: Family<ActionLabels, Counter>,
    leading: Gauge,
    last_turn: Mutex<Option<Instant>>,
    unpublished: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    result: &'static str,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("weir_controlplane");
        let telemetry = Self {
            turns: Counter::default(),
            failed_turns: Counter::default(),
            turn_seconds: Histogram::new(TURN_BUCKETS),
            actions: Family::default(),
            leading: Gauge::default(),
            last_turn: Mutex::default(),
            unpublished: AtomicU64::default(),
            registry: Registry::default(),
        };
        registry.register("turns", "Turns of the loop that ended well", telemetry.turns.clone());
        registry.register("failed_turns", "Turns of the loop that failed", telemetry.failed_turns.clone());
        registry.register("turn_seconds", "How long a turn took", telemetry.turn_seconds.clone());
        registry.register("actions", "Calls that change something", telemetry.actions.clone());
        registry.register("leading", "1 while this process leads", telemetry.leading.clone());
        Self { registry, ..telemetry }
    }

    /// Counts a turn that began at `started`.
    pub(crate) fn turned(&self, started: Instant, result: Result<(), TableError>) {
        let now = Instant::now();
        self.turn_seconds.observe(now.saturating_duration_since(started).as_secs_f64());
        match result {
            Ok(()) => {
                self.turns.inc();
                self.unpublished.fetch_add(1, Ordering::Relaxed);
                *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            }
            Err(error) => {
                self.failed_turns.inc();
                tracing::warn!(error = chain(&error), "a turn failed: the next one looks again");
            }
        }
    }

    pub(crate) fn acted(&self, outcomes: &[Outcome]) {
        for Outcome { action, result, .. } in outcomes {
            let action = match action {
                Action::UpdateShardCount { .. } => "update_shard_count",
                Action::UpdateService { service: Service::Producer, .. } => "update_producer_service",
                Action::UpdateService { service: Service::Consumer, .. } => "update_consumer_service",
                Action::SplitShard { .. } => "split_shard",
                Action::MergeShards { .. } => "merge_shards",
                Action::UpdateStreamWarmThroughput { .. } => "update_stream_warm_throughput",
            };
            let result = match result {
                ActionResult::Done => "done",
                ActionResult::Refused { .. } => "refused",
                ActionResult::Unknown { .. } => "unknown",
                ActionResult::Skipped { .. } => "skipped",
            };
            self.actions.get_or_create(&ActionLabels { action, result }).inc();
        }
    }

    pub(crate) fn leads(&self, leading: bool) {
        self.leading.set(leading.into());
    }

    /// The metrics in Prometheus's text format.
    pub(crate) fn exposition(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// When the last turn ended well.
    pub(crate) fn last_turn(&self) -> Option<Instant> {
        *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes the number of turns each minute, until `stopping`.
pub(crate) async fn publish(
    telemetry: Arc<Telemetry>,
    client: aws_sdk_cloudwatch::Client,
    deployment: String,
    stopping: CancellationToken,
) {
    while stopping.run_until_cancelled(tokio::time::sleep(HEARTBEAT)).await.is_some() {
        let turns = telemetry.unpublished.swap(0, Ordering::Relaxed);
        if turns == 0 {
            continue;
        }
        let datum = MetricDatum::builder()
            .metric_name("ReconcileLoops")
            .dimensions(Dimension::builder().name("Deployment").value(&deployment).build())
            .unit(StandardUnit::Count)
            .value(turns as f64)
            .build();
        if let Err(error) = client.put_metric_data().namespace("Weir").metric_data(datum).send().await {
            tracing::warn!(error = chain(&error), "cannot publish the heartbeat");
        }
    }
}
