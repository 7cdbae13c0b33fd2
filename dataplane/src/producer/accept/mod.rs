//! The HTTP side of the producer.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` `{"data": "...", "partitionKey"?, "explicitHashKey"?}` | 200 once Kinesis has the record, with its sequence number |
//! | `POST /` with `Content-Type: application/octet-stream`, keys in the query | the same; the body is the data |
//! | `POST /records`, the same objects as NDJSON or as a JSON array | 200 all stored; 207 some were; 503 none was; one result a record, in order |
//! | `GET /healthcheck` | 200, or 503 while the task drains |
//!
//! Bytes that are not UTF-8 come as `dataBase64` in place of `data`. Bodies may be compressed (`Content-Encoding: gzip`).
//! Any content type other than `application/octet-stream` means JSON: clients send what their HTTP library happens to
//! set. Nothing is stored of a request with a mistake in it.
//!
//! | asked for | effect |
//! |---|---|
//! | `?ack=accepted`, or the header `Weir-Ack: accepted` | 202 once the records are in memory: a task that is killed loses them |
//! | `Idempotency-Key: <text>` | the same key and body again, within `WEIR_IDEMPOTENCY_TIME`: the first answer again, and no second copy |
//! | `X-Request-Id: <text>` | sent back, and in the log |

mod answer;
mod body;
mod client;
mod gzip;
mod parse;
mod rejection;
mod scan;
mod terms;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{parse::Posted, terms::Terms};
use super::{
    idempotency::{Begun, Claim, Idempotency},
    pipeline::Pipeline,
    receipt::{Outcome, Receipt},
};

pub(crate) use client::Clients;
pub use terms::Ack;

pub(crate) use rejection::Rejection;

const REQUEST_ID: &str = "x-request-id";

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) idempotency: Arc<Idempotency>,
    /// Requests whose outcome is noted even if their client has gone.
    pub(crate) notes: TaskTracker,
    pub(crate) ack: Ack,
    pub(crate) body_time: std::time::Duration,
    /// Cancelled when the load balancer should look for another task.
    pub(crate) draining: CancellationToken,
}

pub(crate) fn router(front: Front) -> Router {
    Router::new()
        .route("/", post(async |State(front): State<Front>, request| store(front, request, Shape::One).await))
        .route("/records", post(async |State(front): State<Front>, request| store(front, request, Shape::Many).await))
        .route("/healthcheck", get(healthcheck))
        .fallback(async || Rejection::NoSuchPath)
        .method_not_allowed_fallback(async || Rejection::NoSuchMethod)
        .layer(middleware::from_fn(identify))
        .with_state(front)
}

/// Whether a request has one record or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    Many,
}

async fn healthcheck(State(front): State<Front>) -> (StatusCode, &'static str) {
    if front.draining.is_cancelled() { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ok") }
}

/// Sends the request's id back, and gives one to what is answered with an error.
async fn identify(request: Request, next: Next) -> Response {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let given = request.headers().get(REQUEST_ID).filter(|id| id.len() <= 128 && id.to_str().is_ok()).cloned();
    let mut response = next.run(request).await;
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let id = given.or_else(|| {
        let number = failed.then(|| NUMBER.fetch_add(1, Ordering::Relaxed))?;
        HeaderValue::try_from(format!("{:x}-{number:x}", std::process::id())).ok()
    });
    if let Some(id) = id {
        if failed {
            let shown = id.to_str().unwrap_or_default();
            tracing::debug!(request_id = shown, status = response.status().as_u16(), "answered with an error");
        }
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The records of a request, on their way or stored before.
enum Taken {
    New(Receipt),
    /// With an idempotency key.
    Noted(JoinHandle<Arc<[Outcome]>>),
    Known(Arc<[Outcome]>),
}

async fn store(front: Front, request: Request, shape: Shape) -> Result<Response, Rejection> {
    let terms = Terms::of(&request, front.ack)?;
    let (count, taken) = front.take(request, shape, &terms).await?;
    if let Taken::Known(outcomes) = &taken {
        return Ok(answer::repeated(shape, terms.ack, outcomes));
    }
    if terms.ack == Ack::Accepted {
        return Ok(answer::accepted(count));
    }
    Ok(match taken {
        Taken::New(receipt) => answer::stored(shape, &receipt.outcomes().await),
        Taken::Noted(settling) => answer::stored(shape, &settling.await.unwrap_or_default()),
        Taken::Known(outcomes) => answer::stored(shape, &outcomes),
    })
}

impl Front {
    /// Reads a request and takes its records. The body is gone when it returns: it is not needed while they are stored.
    async fn take(&self, request: Request, shape: Shape, terms: &Terms) -> Result<(usize, Taken), Rejection> {
        let client = self.clients.identify(&request)?;
        let raw = if shape == Shape::One { parse::raw_keys(&request)? } else { None };
        let body = body::read(&self.pipeline, request, terms, self.body_time).await?;
        let limit = self.pipeline.record_bytes_max();
        let records = match (shape, raw) {
            (Shape::One, Some(keys)) => vec![parse::raw(&body, keys, limit)?],
            (Shape::One, None) => vec![parse::one(&body, limit)?],
            (Shape::Many, _) => parse::many(&body, limit)?,
        };
        self.clients.charge(&client, records.len(), Instant::now())?;
        let taken = match &terms.idempotency_key {
            None => Taken::New(self.accept(&records)?),
            Some(key) => match self.idempotency.begin(self.clients.scope(&client), key, &body).await? {
                Begun::Known(outcomes) => Taken::Known(outcomes),
                Begun::New(claim) => Taken::Noted(self.accept_claimed(&records, claim)?),
            },
        };
        Ok((records.len(), taken))
    }

    fn accept(&self, records: &[Posted<'_>]) -> Result<Receipt, Rejection> {
        let records: Vec<_> = records.iter().map(Posted::incoming).collect();
        self.pipeline.accept(&records, Instant::now()).map_err(|_| Rejection::BufferFull)
    }

    /// Takes the records that an earlier try has not stored, and notes what becomes of them whether or not the client
    /// waits for it.
    fn accept_claimed(&self, records: &[Posted<'_>], claim: Claim) -> Result<JoinHandle<Arc<[Outcome]>>, Rejection> {
        let missing = records.iter().enumerate().filter(|(index, _)| !claim.is_stored(*index));
        let missing: Vec<_> = missing.map(|(_, record)| record.incoming()).collect();
        let receipt = self.pipeline.accept(&missing, Instant::now());
        let full = receipt.is_err();
        let (idempotency, count) = (self.idempotency.clone(), records.len());
        let settling = self.notes.spawn(async move {
            let missing = match receipt {
                Ok(receipt) => receipt.outcomes().await,
                Err(_) => Vec::new(),
            };
            let outcomes = claim.merge(missing, count);
            idempotency.settle(&claim, outcomes).await
        });
        if full { Err(Rejection::BufferFull) } else { Ok(settling) }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        answer::rejection(&self)
    }
}
