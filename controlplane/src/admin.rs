//! `/healthz`, `/readyz` and `/metrics` on the admin port, which is never public.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{record::Lead, telemetry::Telemetry};

/// A leader whose last good turn is older than this many ticks, and this long, is not ready.
const TICKS_MISSED_MAX: u32 = 4;
const SILENCE_MIN: Duration = Duration::from_secs(30);

/// How long open requests may finish at the end. Each is answered at once, so only a client that stalls takes longer,
/// and nobody waits for that one.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves the admin port until `stopping`.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, stopping: CancellationToken) -> io::Result<()> {
    let serving = axum::serve(listener, admin.router()).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let out_of_time = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        served = serving => served,
        () = out_of_time => Ok(()),
    }
}

/// What the admin port knows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) leads: watch::Receiver<Option<Lead>>,
    pub(crate) tick: Duration,
    pub(crate) started: Instant,
}

impl Admin {
    fn router(self) -> Router {
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_does_not_hold_up_the_end() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_announce, leads) = watch::channel(None);
        let telemetry = Arc::new(Telemetry::new());
        let admin = Admin { telemetry, leads, tick: Duration::from_secs(15), started: Instant::now() };
        let stopping = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, admin, stopping.clone()));
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"GET /healthz").await.unwrap();
        // Connections are accepted in their order: when this one is answered, the other is open too.
        let mut answered = TcpStream::connect(address).await.unwrap();
        answered.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        answered.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stopping.cancel();
        let ended = tokio::time::timeout(DRAIN_TIMEOUT * 2, serving).await;
        ended.expect("it ends without the client").unwrap().unwrap();
    }
}
