//! The admin port: `/report`, `/metrics`, `/healthz` and `/readyz`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    ambient,
    http::Bounds,
    report::{Report, Role, VERSION},
    task::Task,
};

/// The control plane, a scraper and a person: few, even when each holds on to its connection.
pub(crate) const BOUNDS: Bounds = Bounds { connections: 64, header_time: Duration::from_secs(10) };

/// What the admin port shows: the producer or the consumer.
pub(crate) trait Subject: Send + Sync + 'static {
    /// The role's part of the report, now.
    fn role(&self) -> Role;

    /// Whether the task does its work, as far as it knows.
    fn is_ready(&self) -> bool;

    /// Adds the role's metrics with their values now.
    fn register(&self, registry: &mut Registry);
}

struct Shown<S> {
    task: Arc<Task>,
    subject: Arc<S>,
}

pub(crate) fn router<S: Subject>(task: Arc<Task>, subject: Arc<S>) -> Router {
    Router::new()
        .route("/report", get(report::<S>))
        .route("/metrics", get(metrics::<S>))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready::<S>))
        .with_state(Arc::new(Shown { task, subject }))
}

async fn report<S: Subject>(State(shown): State<Arc<Shown<S>>>) -> Json<Report> {
    Json(Report {
        version: VERSION,
        at_ms: ambient::now_ms(),
        task_id: shown.task.id.clone(),
        resources: shown.task.resources(),
        role: shown.subject.role(),
    })
}

async fn ready<S: Subject>(State(shown): State<Arc<Shown<S>>>) -> (StatusCode, &'static str) {
    if shown.subject.is_ready() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") }
}

async fn metrics<S: Subject>(State(shown): State<Arc<Shown<S>>>) -> Response {
    let mut registry = Registry::with_prefix("weir");
    let resources = shown.task.resources();
    if let Some(fraction) = resources.cpu_fraction {
        gauge(&mut registry, "task_cpu_fraction", "CPU used, of the task's limit", fraction);
    }
    if let Some(bytes) = resources.memory_bytes {
        gauge(&mut registry, "task_memory_bytes", "Resident memory", bytes as f64);
    }
    shown.subject.register(&mut registry);
    let mut page = String::new();
    match text::encode(&mut page, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// OpenMetrics, which is what the encoder writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a metric: names are fixed, values are shard ids.
pub(crate) type Labels = Vec<(&'static str, String)>;

pub(crate) fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

pub(crate) fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// One counter per shard.
pub(crate) fn shard_counters<'a>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a str, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    for (shard_id, value) in values {
        family.get_or_create(&vec![("shard", shard_id.to_owned())]).inc_by(value);
    }
    registry.register(name, help, family);
}

/// One gauge per shard.
pub(crate) fn shard_gauges<'a>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a str, f64)>,
) {
    let family = Family::<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
    for (shard_id, value) in values {
        family.get_or_create(&vec![("shard", shard_id.to_owned())]).set(value);
    }
    registry.register(name, help, family);
}
