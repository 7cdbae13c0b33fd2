//! Why a request is not carried out.

use std::time::Duration;

use axum::http::StatusCode;

use crate::http::{HEADER_BYTES_MAX, HEADERS_MAX};

/// Why a request was not carried out. The text never holds a part of the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("there is no such path; records go to POST / or POST /records")]
    NoSuchPath,
    #[error("this path has another method; records are sent with POST")]
    NoSuchMethod,
    #[error("the head has more than {HEADER_BYTES_MAX} bytes or {HEADERS_MAX} headers")]
    HeadersTooLarge,
    #[error("a valid bearer token is needed: Authorization: Bearer <token>")]
    NotAllowed,
    #[error("more than {rate} records a second came from this client")]
    TooManyFromClient { rate: u32, retry_after: u64 },
    #[error("the content encoding is not known; gzip is")]
    UnknownEncoding,
    #[error("the body is not gzip, or ends early")]
    NotGzip,
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body expands to more than {0} bytes")]
    ExpandsTooFar(usize),
    #[error("the body did not come within {} ms", .0.as_millis())]
    BodyTooSlow(Duration),
    #[error("the body ended early")]
    BodyBroken,
    #[error("{0}")]
    Malformed(String),
    #[error("the JSON is nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("record {index}: {what} exceeds {limit}")]
    RecordTooLarge { index: usize, what: &'static str, limit: usize },
    #[error("the request has more than {0} records")]
    TooManyRecords(usize),
    #[error("this Idempotency-Key came with another body before")]
    OtherBody,
    #[error("the request with this Idempotency-Key is still being carried out")]
    StillUnderWay,
    #[error("Idempotency-Keys cannot be looked up: {0}")]
    KeysUnavailable(String),
    #[error("the buffer is full: Kinesis takes records more slowly than they come")]
    BufferFull,
    #[error("{0}")]
    NotStored(String),
}

impl Rejection {
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "no_such_method"),
            Self::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large"),
            Self::NotAllowed => (StatusCode::UNAUTHORIZED, "not_allowed"),
            Self::TooManyFromClient { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_from_client"),
            Self::UnknownEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_encoding"),
            Self::NotGzip => (StatusCode::BAD_REQUEST, "not_gzip"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::ExpandsTooFar(_) => (StatusCode::PAYLOAD_TOO_LARGE, "expands_too_far"),
            Self::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::TooDeep(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too_deep"),
            Self::RecordTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "record_too_large"),
            Self::TooManyRecords(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_records"),
            Self::OtherBody => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::StillUnderWay => (StatusCode::CONFLICT, "still_under_way"),
            Self::KeysUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "idempotency_unavailable"),
            Self::BufferFull => (StatusCode::SERVICE_UNAVAILABLE, "buffer_full"),
            Self::NotStored(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_stored"),
        }
    }

    /// The limit that was exceeded, in the unit that the text names.
    pub(super) fn limit(&self) -> Option<u64> {
        match self {
            Self::HeadersTooLarge => Some(HEADER_BYTES_MAX as u64),
            Self::TooManyFromClient { rate, .. } => Some(u64::from(*rate)),
            Self::BodyTooSlow(limit) => u64::try_from(limit.as_millis()).ok(),
            Self::BodyTooLarge(limit)
            | Self::ExpandsTooFar(limit)
            | Self::TooDeep(limit)
            | Self::RecordTooLarge { limit, .. }
            | Self::TooManyRecords(limit) => Some(*limit as u64),
            _ => None,
        }
    }

    /// Seconds after which to try again, where that helps. `usual` where nothing better is known.
    pub(super) fn retry_after(&self, usual: u64) -> Option<u64> {
        match self {
            Self::TooManyFromClient { retry_after, .. } => Some(*retry_after),
            Self::StillUnderWay => Some(usual),
            other => (other.status().0 == StatusCode::SERVICE_UNAVAILABLE).then_some(usual),
        }
    }
}
