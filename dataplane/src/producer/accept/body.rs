//! Reads a request's body within its limits.

use std::{ops::Deref, time::Duration};

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout};

use super::rejection::Rejection;
use crate::producer::{budget::Reservation, pipeline::Pipeline};

/// The largest body. A record of 1 MiB takes up to 6 MiB when every character of it is escaped.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// How long a body may take, whatever its size.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a body that is refused is still read, and for how long. A connection that is closed with something
/// unread in it is reset, and then the client never sees the answer.
const DISCARD_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// A whole body, with its part of the budget.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Bytes,
    _reservation: Reservation,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of `request`. Every byte is reserved in the budget before it is kept.
pub(super) async fn read(pipeline: &Pipeline, request: Request) -> Result<Body, Rejection> {
    let mut body = request.into_body();
    let declared = body.size_hint().lower();
    let read = if declared > BODY_BYTES_MAX as u64 {
        Err(Rejection::BodyTooLarge)
    } else {
        let read = timeout(BODY_TIMEOUT, collect(pipeline, &mut body)).await;
        read.unwrap_or(Err(Rejection::BodyTooSlow(BODY_TIMEOUT.as_secs())))
    };
    if let Err(rejection) = &read {
        if *rejection == Rejection::BufferFull {
            // How many records there were was not read.
            pipeline.turn_away(1, declared, Instant::now());
        }
        let _ = timeout(DISCARD_TIMEOUT, discard(&mut body)).await;
    }
    read
}

async fn discard(body: &mut axum::body::Body) {
    let mut left = DISCARD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

async fn collect(pipeline: &Pipeline, body: &mut axum::body::Body) -> Result<Body, Rejection> {
    let mut reservation = pipeline.budget.reserve(0).ok_or(Rejection::BufferFull)?;
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Rejection::BodyBroken)?.into_data() else { continue };
        if first.len() + rest.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Rejection::BodyTooLarge);
        }
        if !reservation.grow(chunk.len()) {
            return Err(Rejection::BufferFull);
        }
        // Most bodies come in one piece, which is used as it is.
        if first.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Body { bytes, _reservation: reservation })
}
