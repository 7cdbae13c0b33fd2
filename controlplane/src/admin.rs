//! `/healthz`, `/readyz` and `/metrics` on the admin port, which is never public.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::{sync::watch, time::Instant};

use crate::{record::Lead, telemetry::Telemetry};

/// A leader whose last good turn is older than this many ticks, and this long, is not ready.
const TICKS_MISSED_MAX: u32 = 4;
const SILENCE_MIN: Duration = Duration::from_secs(30);

/// What the admin port knows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) leads: watch::Receiver<Option<Lead>>,
    pub(crate) tick: Duration,
    pub(crate) started: Instant,
}

impl Admin {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    /// Whoever waits to lead is ready; whoever leads must also turn.
    fn is_ready(&self, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.telemetry.last_turn().unwrap_or(self.started));
        self.leads.borrow().is_none() || silence < SILENCE_MIN.max(self.tick * TICKS_MISSED_MAX)
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    match admin.is_ready(Instant::now()) {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "leads, but no turn ended well for a while: see the log\n"),
    }
}

async fn metrics(State(admin): State<Admin>) -> Result<String, StatusCode> {
    admin.telemetry.leads(admin.leads.borrow().is_some());
    admin.telemetry.exposition().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
