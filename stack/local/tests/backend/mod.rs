//! A small HTTP server to be a balancer's target.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

/// A target. It answers `/health` with a status that can be set, `/slow` when it is let go, `/echo` with the request's
/// body, `/break` by closing the connection, and anything else with its address and the request's headers.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    running: CancellationToken,
}

pub(crate) struct Shared {
    address: SocketAddr,
    pub(crate) health: AtomicU16,
    /// Requests other than health checks.
    pub(crate) requests: AtomicUsize,
    pub(crate) let_go: Notify,
}

type Body = Either<Incoming, Full<Bytes>>;

impl Backend {
    pub(crate) async fn start() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = AtomicU16::new(200);
        let shared = Arc::new(Shared { address, health, requests: AtomicUsize::new(0), let_go: Notify::new() });
        let running = CancellationToken::new();
        tokio::spawn(running.clone().run_until_cancelled_owned(accept(listener, shared.clone(), running.clone())));
        Self { address, shared, running }
    }

    /// Closes the listener and every connection.
    pub(crate) fn stop(&self) {
        self.running.cancel();
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, running: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| answer(shared.clone(), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(running.clone().run_until_cancelled_owned(connection));
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/health" {
        let mut response = Response::new(Either::Right(Full::default()));
        *response.status_mut() = StatusCode::from_u16(shared.health.load(Ordering::SeqCst)).unwrap();
        return Ok(response);
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    match request.uri().path() {
        "/slow" => shared.let_go.notified().await,
        "/echo" => return Ok(Response::new(Either::Left(request.into_body()))),
        "/break" => {
            // The connection's task ends here, and with it the connection.
            let _ = request.into_body().collect().await;
            panic!("the target breaks, as it was asked to");
        }
        _ => {}
    }
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let headers: std::collections::BTreeMap<_, _> = headers.collect();
    let body = json!({ "target": shared.address.to_string(), "headers": headers });
    Ok(Response::new(Either::Right(Full::from(body.to_string()))))
}
