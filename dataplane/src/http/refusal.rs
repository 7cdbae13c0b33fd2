//! Answers to what never becomes a request: in JSON, like all others.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{HEADER_BYTES_MAX, HEADERS_MAX};

/// How long a connection that is turned away may take to read why.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// A whole response that closes its connection.
pub(super) fn response(status: &str, code: &str, error: &str, limit: Option<u64>) -> Vec<u8> {
    let limit = limit.map(|limit| format!(r#","limit":{limit}"#)).unwrap_or_default();
    let body = format!(r#"{{"version":1,"code":"{code}","error":"{error}"{limit}}}"#);
    let retry = if status.starts_with("503") { "retry-after: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n{retry}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What to say in place of the parser's own answer, which has no body.
pub(super) fn in_place_of(answer: &[u8]) -> Option<Vec<u8>> {
    // Ours all have a content type.
    if !answer.starts_with(b"HTTP/1.1 4") || answer.windows(12).any(|part| part == b"content-type") {
        return None;
    }
    match &answer[9..12] {
        b"400" => Some(response("400 Bad Request", "not_http", "this is not an HTTP/1.1 request", None)),
        b"414" => {
            Some(response("414 URI Too Long", "uri_too_long", "the URI is longer than 65534 bytes", Some(65_534)))
        }
        b"431" => {
            let error = format!("the head has more than {HEADER_BYTES_MAX} bytes or {HEADERS_MAX} headers");
            let limit = Some(HEADER_BYTES_MAX as u64);
            Some(response("431 Request Header Fields Too Large", "headers_too_large", &error, limit))
        }
        _ => None,
    }
}

/// What a client is told whose request does not come.
pub(super) fn too_slow(limit: Duration) -> Vec<u8> {
    let error = format!("the head of the request did not come within {} ms", limit.as_millis());
    response("408 Request Timeout", "headers_too_slow", &error, u64::try_from(limit.as_millis()).ok())
}

/// Tells a client that there are too many.
pub(super) async fn turn_away(mut stream: TcpStream, connections: u32) {
    let error = format!("the task has {connections} connections and takes no more");
    let answer = response("503 Service Unavailable", "too_many_connections", &error, Some(connections.into()));
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // A connection that is closed with something unread in it is reset, and its client never sees the answer.
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // A client that is gone is told nothing.
    let _ = timeout(FAREWELL_TIMEOUT, telling).await;
}
