//! Reads a request's body within its limits.

use std::{ops::Deref, time::Duration};

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout};

use super::{gzip, rejection::Rejection, terms::Terms};
use crate::producer::{budget::Reservation, pipeline::Pipeline};

/// The largest body where records may have 1 MiB: such a record takes up to 6 MiB when every character of it is escaped.
const BODY_BYTES_MAX: usize = 8 << 20;

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

/// Reads the body of `request`, within `time`, and expands it. Every byte is reserved in the budget before it is kept.
pub(super) async fn read(
    pipeline: &Pipeline,
    request: Request,
    terms: &Terms,
    time: Duration,
) -> Result<Body, Rejection> {
    // Twice the size leaves room for base64.
    let limit = BODY_BYTES_MAX.max(2 * pipeline.record_bytes_max());
    let mut body = request.into_body();
    let declared = body.size_hint().lower();
    let read = if declared > limit as u64 {
        Err(Rejection::BodyTooLarge(limit))
    } else {
        timeout(time, collect(pipeline, limit, &mut body)).await.unwrap_or(Err(Rejection::BodyTooSlow(time)))
    };
    if let Err(rejection) = &read {
        if *rejection == Rejection::BufferFull {
            // How many records there were was not read.
            pipeline.turn_away(1, declared, Instant::now());
        }
        if !matches!(rejection, Rejection::BodyTooSlow(_)) {
            let _ = timeout(DISCARD_TIMEOUT.min(time), discard(&mut body)).await;
        }
    }
    let (mut bytes, mut reservation) = read?;
    if terms.gzip {
        bytes = gzip::expand(&bytes, limit, &mut reservation).await?;
    }
    Ok(Body { bytes, _reservation: reservation })
}

async fn discard(body: &mut axum::body::Body) {
    let mut left = DISCARD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

async fn collect(
    pipeline: &Pipeline,
    limit: usize,
    body: &mut axum::body::Body,
) -> Result<(Bytes, Reservation), Rejection> {
    let mut reservation = pipeline.budget.reserve(0).ok_or(Rejection::BufferFull)?;
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Rejection::BodyBroken)?.into_data() else { continue };
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(Rejection::BodyTooLarge(limit));
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
    Ok((bytes, reservation))
}
