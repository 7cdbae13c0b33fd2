//! One request on its way through: choose a target, send, pass the answer on.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio::time::Instant;

use super::{
    Settings,
    body::{Download, Progress, Upload},
    group::{Group, Hold},
    headers::{self, Origin, TraceIds},
    pool::{self, Sender},
};
use crate::clock::Clock;

/// How often one request is tried. Only connections that failed before they took a byte are followed by another try.
const ATTEMPTS_MAX: usize = 3;

/// An answer's body: a target's, or a sentence of the balancer's own.
pub(super) type Body = Either<Download, Full<Bytes>>;

/// Where the requests of a listener go.
pub(super) struct Route {
    group: RwLock<Arc<Group>>,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) traces: TraceIds,
}

impl Route {
    pub(super) fn new(group: Arc<Group>, settings: Settings, clock: Clock, traces: TraceIds) -> Arc<Self> {
        Arc::new(Self { group: RwLock::new(group), settings, clock, traces })
    }

    /// Sends further requests to another group.
    pub(super) fn lead_to(&self, group: Arc<Group>) {
        *self.group.write().unwrap_or_else(PoisonError::into_inner) = group;
    }

    fn group(&self) -> Arc<Group> {
        self.group.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers one request of a client: as a target does, or with 502, 503 or 504 when none can.
pub(super) async fn forward(route: &Route, origin: &Origin, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    let progress = Progress::default();
    let mut request = prepare(route, origin, request, &progress);
    let group = route.group();
    let (mut failed, mut status) = (None, StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..ATTEMPTS_MAX {
        let Some(hold) = group.choose(failed) else { break };
        match exchange(route, &group, hold, request, &progress).await {
            Ok(response) => return response,
            Err(Failure::Unsent { message, target, reachable }) => {
                request = *message;
                failed = (!reachable).then_some(target);
                status = StatusCode::BAD_GATEWAY;
            }
            Err(Failure::Lost(why)) => {
                status = why;
                break;
            }
        }
    }
    group.traffic.refused();
    refuse(status)
}

fn prepare(route: &Route, origin: &Origin, request: Request<Incoming>, progress: &Progress) -> Request<Upload> {
    let (mut parts, body) = request.into_parts();
    headers::remove_hop_by_hop(&mut parts.headers);
    origin.state(&mut parts.headers);
    route.traces.state(&mut parts.headers, route.clock.now());
    parts.version = Version::HTTP_11;
    // A client may send the whole URL; a target gets the path.
    if parts.uri.authority().is_some() {
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    }
    Request::from_parts(parts, Upload { inner: body, progress: progress.clone() })
}

enum Failure {
    /// No byte left for the target.
    Unsent { message: Box<Request<Upload>>, target: SocketAddr, reachable: bool },
    /// The target may have seen the request.
    Lost(StatusCode),
}

async fn exchange(
    route: &Route,
    group: &Group,
    hold: Hold,
    request: Request<Upload>,
    progress: &Progress,
) -> Result<Response<Body>, Failure> {
    let target = hold.0.address;
    let mut sender = match connection(route, &hold).await {
        Ok(sender) => sender,
        Err(error) => {
            tracing::debug!(%target, %error, "cannot connect to a target");
            return Err(Failure::Unsent { message: Box::new(request), target, reachable: false });
        }
    };
    let began = Instant::now();
    let answer = sender.try_send_request(request);
    tokio::pin!(answer);
    let answer = loop {
        let seen = progress.load(Ordering::Relaxed);
        match tokio::time::timeout(route.settings.idle_timeout, answer.as_mut()).await {
            Ok(answer) => break answer,
            // Silence means that neither the client sent nor the target answered.
            Err(_) if progress.load(Ordering::Relaxed) == seen => {
                return Err(Failure::Lost(StatusCode::GATEWAY_TIMEOUT));
            }
            Err(_) => {}
        }
    };
    match answer {
        Ok(response) => {
            group.traffic.answered(response.status(), Instant::now().duration_since(began));
            let (mut parts, body) = response.into_parts();
            headers::remove_hop_by_hop(&mut parts.headers);
            parts.version = Version::HTTP_11;
            let body = Download::new(body, sender, hold, route.settings.idle_timeout);
            Ok(Response::from_parts(parts, Either::Left(body)))
        }
        Err(mut error) => match error.take_message() {
            Some(message) => Err(Failure::Unsent { message: Box::new(message), target, reachable: true }),
            None => {
                tracing::debug!(%target, error = %error.into_error(), "a target failed during a request");
                Err(Failure::Lost(StatusCode::BAD_GATEWAY))
            }
        },
    }
}

async fn connection(route: &Route, hold: &Hold) -> std::io::Result<Sender> {
    match hold.0.pool.take().await {
        Some(sender) => Ok(sender),
        None => pool::connect(hold.0.address, route.settings.connect_timeout).await,
    }
}

fn refuse(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(status.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
