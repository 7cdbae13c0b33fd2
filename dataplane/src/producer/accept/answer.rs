//! What clients are told.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Ack, Shape, rejection::Rejection};
use crate::producer::receipt::Outcome;

/// When a client that was told 503 should come back, in seconds.
const RETRY_AFTER: u64 = 1;

/// The version of the answers.
const VERSION: u32 = 1;

/// Tells an answer that was given before.
const REPEATED: &str = "idempotent-replayed";

#[derive(Serialize)]
struct Accepted {
    version: u32,
    accepted: usize,
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

#[derive(Serialize)]
struct Refused<'a> {
    version: u32,
    /// A fixed word for programs.
    code: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// So many records are in memory.
pub(super) fn accepted(records: usize) -> Response {
    json(StatusCode::ACCEPTED, &Accepted { version: VERSION, accepted: records })
}

/// What became of the records.
pub(super) fn stored(shape: Shape, outcomes: &[Outcome]) -> Response {
    match (shape, outcomes) {
        (Shape::One, [Ok(stored)]) => {
            let answer = One { version: VERSION, sequence_number: &stored.sequence_number, shard_id: &stored.shard_id };
            json(StatusCode::OK, &answer)
        }
        (Shape::One, [Err(refusal)]) => rejection(&Rejection::NotStored(refusal.to_string())),
        (Shape::One, _) => rejection(&Rejection::NotStored("the producer stopped".to_owned())),
        (Shape::Many, outcomes) => results(outcomes),
    }
}

/// The answer to a request whose key and body came before.
pub(super) fn repeated(shape: Shape, ack: Ack, outcomes: &[Outcome]) -> Response {
    let mut response = match ack {
        Ack::Accepted => accepted(outcomes.len()),
        Ack::Stored => stored(shape, outcomes),
    };
    response.headers_mut().insert(REPEATED, HeaderValue::from_static("true"));
    response
}

pub(super) fn rejection(rejection: &Rejection) -> Response {
    let (status, code) = rejection.status();
    let body = Refused { version: VERSION, code, error: &rejection.to_string(), limit: rejection.limit() };
    let mut response = json(status, &body);
    let headers = response.headers_mut();
    if let Some(seconds) = rejection.retry_after(RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn results(outcomes: &[Outcome]) -> Response {
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let status = match stored {
        0 => StatusCode::SERVICE_UNAVAILABLE,
        all if all == outcomes.len() => StatusCode::OK,
        _ => StatusCode::MULTI_STATUS,
    };
    let mut response = json(status, &Many { version: VERSION, results: outcomes.iter().map(Each::from).collect() });
    if stored < outcomes.len() {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    response
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
