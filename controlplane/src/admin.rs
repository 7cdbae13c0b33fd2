//! `/healthz`, `/readyz` and `/metrics` on the admin port, which is never public.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{record::Lead, telemetry::Telemetry};

/// A leader whose last good turn is older than this many ticks, and this long, is not ready.
const TICKS_MISSED_MAX: u32 = 4;
const SILENCE_MIN: Duration = Duration::from_secs(30);

/// Clients at once: an orchestrator's probe, a scraper, and a person. More wait in the listen queue.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may take for a request's headers, the wait for a further request included: longer than the minute
/// between two scrapes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// The pause after `accept` failed, which it does when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the admin port until `stopping`. Each answer is made at once and from memory, so nobody is waited for then.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, stopping: CancellationToken) {
    let router = admin.router();
    let mut clients = JoinSet::new();
    let serving = async {
        loop {
            while clients.len() >= CONNECTIONS_MAX {
                clients.join_next().await;
            }
            match listener.accept().await {
                Ok((stream, _)) => _ = clients.spawn(connection(stream, router.clone())),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while clients.try_join_next().is_some() {}
        }
    };
    stopping.run_until_cancelled(serving).await;
}

async fn connection(stream: TcpStream, router: Router) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a client of the admin port left early");
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
    admin.telemetry.leads(admin.leads.borrow().as_ref());
    admin.telemetry.exposition().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, leads) = watch::channel(None);
        let telemetry = Arc::new(Telemetry::new());
        let admin = Admin { telemetry, leads, tick: Duration::from_secs(15), started: Instant::now() };
        let stopping = CancellationToken::new();
        (address, stopping.clone(), tokio::spawn(serve(listener, admin, stopping)))
    }

    async fn stalled(address: SocketAddr) -> TcpStream {
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"GET /healthz").await.unwrap();
        stalled
    }

    async fn answer(address: SocketAddr) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_does_not_hold_up_the_end() {
        let (address, stopping, serving) = start().await;
        let _stalled = stalled(address).await;
        // Connections are accepted in their order: when this one is answered, the other is open too.
        assert!(answer(address).await.starts_with("HTTP/1.1 200"));
        stopping.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_stall_make_room_for_the_others_after_a_while() {
        let (address, stopping, serving) = start().await;
        let started = Instant::now();
        let stalled = futures::future::join_all((0..CONNECTIONS_MAX).map(|_| stalled(address))).await;
        assert!(answer(address).await.starts_with("HTTP/1.1 200"));
        assert!(Instant::now() - started >= HEADER_TIMEOUT, "the last seat was taken until then");
        drop(stalled);
        stopping.cancel();
        serving.await.unwrap();
    }
}
