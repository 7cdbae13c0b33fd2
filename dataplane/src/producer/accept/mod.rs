//! The HTTP side of the producer.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` `{"data": "...", "partitionKey"?, "explicitHashKey"?}` | 200 once Kinesis has the record, with its sequence number |
//! | `POST /` with `Content-Type: application/octet-stream`, keys in the query | the same; the body is the data |
//! | `POST /records`, the same objects as NDJSON or as a JSON array | 200 all stored; 207 some were; 503 none was; one result a record, in order |
//! | `GET /healthcheck` | 200, or 503 while the task drains |
//!
//! Bytes that are not UTF-8 come as `dataBase64` in place of `data`. Nothing is stored of a request with a mistake in
//! it. Any other content type than `application/octet-stream` means JSON: clients send what their HTTP library happens
//! to set.

mod body;
mod parse;
mod rejection;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    parse::{Keys, Posted},
    rejection::Rejection,
};
use super::{
    pipeline::Pipeline,
    receipt::{Outcome, Receipt},
};

/// When a client that was told 503 should come back, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The version of the answers.
const VERSION: u32 = 1;

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) pipeline: Arc<Pipeline>,
    /// Cancelled when the load balancer should look for another task.
    pub(crate) draining: CancellationToken,
}

pub(crate) fn router(front: Front) -> Router {
    Router::new()
        .route("/", post(store_one))
        .route("/records", post(store_many))
        .route("/healthcheck", get(healthcheck))
        .fallback(async || Rejection::NoSuchPath)
        .method_not_allowed_fallback(async || Rejection::NoSuchMethod)
        .with_state(front)
}

async fn healthcheck(State(front): State<Front>) -> (StatusCode, &'static str) {
    if front.draining.is_cancelled() { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ok") }
}

async fn store_one(State(front): State<Front>, request: Request) -> Result<Response, Rejection> {
    let keys = raw_keys(&request)?;
    let receipt = {
        let body = body::read(&front.pipeline, request).await?;
        front.accept(&[keys.map_or_else(|| parse::one(&body), |keys| parse::raw(&body, keys))?])?
    };
    match receipt.outcomes().await.pop() {
        Some(Ok(stored)) => {
            let answer = One { version: VERSION, sequence_number: &stored.sequence_number, shard_id: &stored.shard_id };
            Ok(json(StatusCode::OK, &answer))
        }
        Some(Err(refusal)) => Err(Rejection::NotStored(refusal.to_string())),
        None => Err(Rejection::NotStored(String::new())),
    }
}

async fn store_many(State(front): State<Front>, request: Request) -> Result<Response, Rejection> {
    let receipt = {
        let body = body::read(&front.pipeline, request).await?;
        front.accept(&parse::many(&body)?)?
    };
    let outcomes = receipt.outcomes().await;
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let status = match stored {
        0 => StatusCode::SERVICE_UNAVAILABLE,
        all if all == outcomes.len() => StatusCode::OK,
        _ => StatusCode::MULTI_STATUS,
    };
    let mut response = json(status, &Many { version: VERSION, results: outcomes.iter().map(Each::from).collect() });
    if stored < outcomes.len() {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    Ok(response)
}

/// The keys in the query of a request whose body is the data of its record. `None` for one whose body is JSON.
fn raw_keys(request: &Request) -> Result<Option<Keys>, Rejection> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/octet-stream") {
        return Ok(None);
    }
    let query = Query::try_from_uri(request.uri());
    query.map(|Query(keys)| Some(keys)).map_err(|_| Rejection::Malformed("the query is not understood".to_owned()))
}

impl Front {
    fn accept(&self, records: &[Posted<'_>]) -> Result<Receipt, Rejection> {
        let records: Vec<_> = records.iter().map(Posted::incoming).collect();
        self.pipeline.accept(&records, Instant::now()).map_err(|_| Rejection::BufferFull)
    }
}

#[derive(Serialize)]
struct One<'a> {
    version: u32,
    sequence_number: &'a str,
    shard_id: &'a str,
}

#[derive(Serialize)]
struct Many<'a> {
    version: u32,
    results: Vec<Each<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Each<'a> {
    Stored { sequence_number: &'a str, shard_id: &'a str },
    Refused { error: String },
}

impl<'a> From<&'a Outcome> for Each<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        match outcome {
            Ok(stored) => Self::Stored { sequence_number: &stored.sequence_number, shard_id: &stored.shard_id },
            Err(refusal) => Self::Refused { error: refusal.to_string() },
        }
    }
}

fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
