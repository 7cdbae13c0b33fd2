//! What a request asks for beside storing its records.

use axum::{
    extract::{Query, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use serde::Deserialize;

use super::rejection::Rejection;
use crate::http::{HEADER_BYTES_MAX, HEADERS_MAX};

const ACK: HeaderName = HeaderName::from_static("weir-ack");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest idempotency key, as with most services that take one.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// When a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// Once Kinesis has confirmed every record.
    Stored,
    /// Once the records are in the task's memory: a task that is killed loses them.
    Accepted,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) ack: Ack,
    pub(super) idempotency_key: Option<String>,
    pub(super) gzip: bool,
}

#[derive(Deserialize)]
struct Asked {
    ack: Option<Ack>,
}

impl Terms {
    /// Reads the query and the headers. What a request does not say is as `ack` says.
    pub(super) fn of(request: &Request, ack: Ack) -> Result<Self, Rejection> {
        let headers = request.headers();
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
        if bytes + request.uri().path().len() > HEADER_BYTES_MAX || headers.len() > HEADERS_MAX {
            return Err(Rejection::HeadersTooLarge);
        }
        let unknown_ack = || Rejection::Malformed("ack is neither `stored` nor `accepted`".to_owned());
        let in_query = match request.uri().query() {
            Some(_) => Query::<Asked>::try_from_uri(request.uri()).map_err(|_| unknown_ack())?.ack,
            None => None,
        };
        let in_header = match headers.get(ACK).map(HeaderValue::as_bytes) {
            None => None,
            Some(b"stored") => Some(Ack::Stored),
            Some(b"accepted") => Some(Ack::Accepted),
            Some(_) => return Err(unknown_ack()),
        };
        Ok(Self {
            ack: in_query.or(in_header).unwrap_or(ack),
            idempotency_key: idempotency_key(headers)?,
            gzip: is_gzip(headers)?,
        })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Rejection::Malformed("Idempotency-Key is not 1 to 255 characters of ASCII".to_owned())),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Rejection> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    match (encodings.next().map(|value| value.as_bytes().to_ascii_lowercase()).as_deref(), encodings.next()) {
        (None | Some(b"identity"), None) => Ok(false),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(true),
        _ => Err(Rejection::UnknownEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(uri: &str, headers: &[(&str, &str)]) -> Result<Terms, Rejection> {
        let request = headers.iter().fold(Request::post(uri), |request, (name, value)| request.header(*name, *value));
        Terms::of(&request.body(axum::body::Body::empty()).expect("a request"), Ack::Stored)
    }

    #[test]
    fn a_request_is_answered_when_it_asks_for_it() {
        assert_eq!(terms("/", &[]).map(|terms| terms.ack), Ok(Ack::Stored));
        assert_eq!(terms("/?partitionKey=a&ack=accepted", &[]).map(|terms| terms.ack), Ok(Ack::Accepted));
        assert_eq!(terms("/", &[("weir-ack", "accepted")]).map(|terms| terms.ack), Ok(Ack::Accepted));
        assert_eq!(terms("/?ack=stored", &[("weir-ack", "accepted")]).map(|terms| terms.ack), Ok(Ack::Stored));
        for wrong in [terms("/?ack=never", &[]), terms("/", &[("weir-ack", "no")])] {
            assert!(matches!(wrong, Err(Rejection::Malformed(_))), "{wrong:?}");
        }
    }

    #[test]
    fn gzip_is_the_only_encoding() {
        assert_eq!(terms("/", &[("content-encoding", "GZIP")]).map(|terms| terms.gzip), Ok(true));
        assert_eq!(terms("/", &[("content-encoding", "identity")]).map(|terms| terms.gzip), Ok(false));
        for wrong in [&[("content-encoding", "br")][..], &[("content-encoding", "gzip"), ("content-encoding", "gzip")]]
        {
            assert_eq!(terms("/", wrong), Err(Rejection::UnknownEncoding));
        }
    }

    #[test]
    fn large_heads_and_long_idempotency_keys_are_refused() {
        let long = "x".repeat(HEADER_BYTES_MAX);
        assert_eq!(terms("/", &[("cookie", &long)]), Err(Rejection::HeadersTooLarge));
        assert_eq!(terms("/", &[("a", "b"); HEADERS_MAX + 1]), Err(Rejection::HeadersTooLarge));
        assert!(terms("/", &[("idempotency-key", "order 17")]).is_ok_and(|terms| terms.idempotency_key.is_some()));
        for wrong in ["", &long[..256]] {
            assert!(matches!(terms("/", &[("idempotency-key", wrong)]), Err(Rejection::Malformed(_))));
        }
    }
}
