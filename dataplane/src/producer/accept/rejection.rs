//! What a client is told when its request is not carried out.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{RETRY_AFTER, VERSION, body::BODY_BYTES_MAX, json};

/// Why a request was not carried out. The text never holds a part of the payload.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("there is no such path; records go to POST / or POST /records")]
    NoSuchPath,
    #[error("this path has another method; records are sent with POST")]
    NoSuchMethod,
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    BodyTooLarge,
    #[error("the body did not come within {0} seconds")]
    BodyTooSlow(u64),
    #[error("the body ended early")]
    BodyBroken,
    #[error("{0}")]
    Malformed(String),
    #[error("record {index}: {what} exceeds {limit}")]
    RecordTooLarge { index: usize, what: &'static str, limit: usize },
    #[error("the request has more than {0} records")]
    TooManyRecords(usize),
    #[error("the buffer is full: Kinesis takes records more slowly than they come")]
    BufferFull,
    #[error("{0}")]
    NotStored(String),
}

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    /// A fixed word for programs.
    code: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

impl Rejection {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "no_such_method"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::RecordTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "record_too_large"),
            Self::TooManyRecords(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_records"),
            Self::BufferFull => (StatusCode::SERVICE_UNAVAILABLE, "buffer_full"),
            Self::NotStored(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_stored"),
        }
    }

    fn limit(&self) -> Option<usize> {
        match self {
            Self::BodyTooLarge => Some(BODY_BYTES_MAX),
            Self::RecordTooLarge { limit, .. } | Self::TooManyRecords(limit) => Some(*limit),
            _ => None,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let body = Body { version: VERSION, code, error: &self.to_string(), limit: self.limit() };
        let mut response = json(status, &body);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
