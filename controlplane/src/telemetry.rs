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
    observe::{Observation, Reading},
    record::{ConditionKind, Lead, Status, TableError},
    units::TaskCount,
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
    epoch: Gauge,
    pipelines: Gauges,
    /// The calls to AWS.
    pub(crate) calls: Calls,
    last_turn: Mutex<Option<Instant>>,
    unpublished: AtomicU64,
}

/// What each pipeline was last seen to be.
#[derive(Default)]
struct Gauges {
    counts: Family<CountLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
    heartbeat: Family<PipelineLabel, Gauge>,
}

/// Counts every attempt of a call to AWS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Family<CallLabels, Counter>);

impl Calls {
    pub(crate) fn count(&self, service: &str, operation: &str) {
        let labels = CallLabels { service: service.to_owned(), operation: operation.to_owned() };
        self.0.get_or_create(&labels).inc();
    }
}

/// Both are names from the SDK's models.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: String,
    operation: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PipelineLabel {
    pipeline: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    pipeline: String,
    of: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    pipeline: String,
    condition: &'static str,
}

/// What [`CountLabels::of`] counts.
const SHARDS: &str = "open_shards";
const PRODUCERS_DESIRED: &str = "producer_tasks_desired";
const PRODUCERS_RUNNING: &str = "producer_tasks_running";
const CONSUMERS_DESIRED: &str = "consumer_tasks_desired";
const CONSUMERS_RUNNING: &str = "consumer_tasks_running";
const COUNTS: [&str; 5] = [SHARDS, PRODUCERS_DESIRED, PRODUCERS_RUNNING, CONSUMERS_DESIRED, CONSUMERS_RUNNING];

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
            epoch: Gauge::default(),
            pipelines: Gauges::default(),
            calls: Calls::default(),
            last_turn: Mutex::default(),
            unpublished: AtomicU64::default(),
            registry: Registry::default(),
        };
        registry.register("turns", "Turns of the loop that ended well", telemetry.turns.clone());
        registry.register("failed_turns", "Turns of the loop that failed", telemetry.failed_turns.clone());
        registry.register("turn_seconds", "How long a turn took", telemetry.turn_seconds.clone());
        registry.register("actions", "Calls that change something", telemetry.actions.clone());
        registry.register("leading", "1 while this process leads", telemetry.leading.clone());
        registry.register("epoch", "The epoch of this process's last lead", telemetry.epoch.clone());
        registry.register("aws_calls", "Attempts of calls to AWS", telemetry.calls.0.clone());
        let Gauges { counts, conditions, heartbeat } = &telemetry.pipelines;
        registry.register("count", "Shards and tasks of a pipeline as last seen", counts.clone());
        registry.register("condition", "1 while a condition of a pipeline holds", conditions.clone());
        registry.register(
            "heartbeat_seconds",
            "When a pipeline's status was last written, since 1970",
            heartbeat.clone(),
        );
        Self { registry, ..telemetry }
    }

    /// Counts a turn of a pipeline that began at `started`.
    pub(crate) fn turned(&self, pipeline: &str, started: Instant, result: Result<(), TableError>) {
        let now = Instant::now();
        self.turn_seconds.observe(now.saturating_duration_since(started).as_secs_f64());
        match result {
            Ok(()) => {
                self.turns.inc();
                self.unpublished.fetch_add(1, Ordering::Relaxed);
                *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            }
            Err(error) => {
                self.failed();
                tracing::warn!(pipeline, error = chain(&error), "a turn failed: the next one looks again");
            }
        }
    }

    /// Counts a turn that could not even begin.
    pub(crate) fn failed(&self) {
        self.failed_turns.inc();
    }

    /// Shows what was just written of a pipeline.
    pub(crate) fn saw(&self, status: &Status) {
        let Gauges { counts, conditions, heartbeat } = &self.pipelines;
        let name = || status.pipeline.clone();
        let Observation { stream, producer, consumer, .. } = &status.observation;
        let tasks = |count: &Option<Reading<TaskCount>>| count.map(|count| count.value.0);
        let values = [
            stream.open_shards.map(|open| open.value.0),
            tasks(&producer.desired),
            tasks(&producer.running),
            tasks(&consumer.desired),
            tasks(&consumer.running),
        ];
        for (of, value) in COUNTS.into_iter().zip(values) {
            let labels = CountLabels { pipeline: name(), of };
            // What is not known is not shown: an old number would look like a new one.
            match value {
                Some(value) => _ = counts.get_or_create(&labels).set(value.into()),
                None => _ = counts.remove(&labels),
            }
        }
        for condition in &status.conditions {
            let labels = ConditionLabels { pipeline: name(), condition: condition.kind.name() };
            conditions.get_or_create(&labels).set(condition.status.into());
        }
        heartbeat.get_or_create(&PipelineLabel { pipeline: name() }).set(status.heartbeat_at.as_second());
    }

    /// Stops showing a pipeline.
    pub(crate) fn forget(&self, pipeline: &str) {
        let Gauges { counts, conditions, heartbeat } = &self.pipelines;
        let name = || pipeline.to_owned();
        for of in COUNTS {
            counts.remove(&CountLabels { pipeline: name(), of });
        }
        for kind in ConditionKind::ALL {
            conditions.remove(&ConditionLabels { pipeline: name(), condition: kind.name() });
        }
        heartbeat.remove(&PipelineLabel { pipeline: name() });
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

    pub(crate) fn leads(&self, lead: Option<&Lead>) {
        self.leading.set(lead.is_some().into());
        if let Some(lead) = lead {
            self.epoch.set(lead.epoch.cast_signed());
        }
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
