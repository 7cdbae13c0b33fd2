//! The `webhook` processor: records as lines of JSON, POSTed in batches.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use super::{Failure, Processor, lines};
use crate::consumer::unpack::Record;

/// The form of `log`'s lines.
const CONTENT_TYPE: &str = "application/x-ndjson";

/// Where the records of a request come from: with these two, a receiver can tell a repetition.
const SHARD_HEADER: &str = "weir-shard-id";
const SEQUENCE_HEADER: &str = "weir-first-sequence-number";

/// An answer is read so far, to keep its connection in use. Longer ones cost the connection.
const ANSWER_BYTES_MAX: usize = 64 << 10;

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// POSTs records to a URL and is done with them when it answers 2xx.
pub(crate) struct Webhook {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    records_max: usize,
    concurrency: usize,
}

/// Why a request did not do.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("the webhook answered {0}")]
    Status(StatusCode),
    #[error("the webhook did not answer within {0:?} (WEIR_WEBHOOK_TIMEOUT)")]
    Silent(Duration),
    #[error("the webhook cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
}

impl Webhook {
    /// # Errors
    /// When `url` is no absolute http or https URL, or the system has no root certificates for https.
    pub(crate) fn new(url: &str, timeout: Duration, records_max: usize, concurrency: usize) -> Result<Self, String> {
        let url: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(format!("`{url}` must begin with http:// or https:// and name a host"));
        }
        // The TLS of the AWS SDK.
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| format!("cannot read the system's root certificates: {error}"))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { url, client, timeout, records_max, concurrency })
    }

    async fn post(&self, records: &[Record]) -> Result<(), Failure> {
        let body = lines(records).map_err(Failure::rejected)?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(CONTENT_TYPE));
        if let Some(first) = records.first() {
            for (name, value) in [(SHARD_HEADER, &first.shard_id), (SEQUENCE_HEADER, &first.sequence_number)] {
                headers.insert(name, value.parse().map_err(Failure::rejected)?);
            }
        }
        match timeout(self.timeout, self.answer(request)).await {
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(status)) => Err(judge(status)),
            Ok(Err(error)) => Err(Failure::unavailable(WebhookError::Unreachable(error))),
            Err(_) => Err(Failure::unavailable(WebhookError::Silent(self.timeout))),
        }
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<StatusCode, hyper_util::client::legacy::Error> {
        let answer = self.client.request(request).await?;
        let status = answer.status();
        // What it says is nobody's business; that it has said it, frees the connection.
        let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(status)
    }
}

/// Whether a refusal is the records' fault. A receiver that is busy or away is nobody's; one that breaks (500) may do
/// so because of a record.
fn judge(status: StatusCode) -> Failure {
    let away = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
    );
    let error = WebhookError::Status(status);
    if away { Failure::unavailable(error) } else { Failure::rejected(error) }
}

impl Processor for Webhook {
    fn process<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<(), Failure>> {
        self.post(records).boxed()
    }

    fn records_max(&self) -> usize {
        self.records_max
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_scheme_or_host_is_refused() {
        let refusal = |url| Webhook::new(url, IDLE_TIMEOUT, 1, 1).err();
        assert_eq!(refusal("http://127.0.0.1:1/records"), None);
        assert_eq!(refusal("https://example.com"), None);
        for url in ["", "example.com", "ftp://example.com", "/records", "http://"] {
            assert!(refusal(url).is_some(), "{url}");
        }
    }

    #[test]
    fn a_receiver_that_is_away_is_waited_for_and_one_that_refuses_is_believed() {
        let is_away =
            |status| matches!(judge(StatusCode::from_u16(status).expect("a status")), Failure::Unavailable(_));
        assert!([401, 403, 404, 408, 429, 502, 503, 504].into_iter().all(is_away));
        assert!(![400, 409, 413, 422, 500, 501].into_iter().any(is_away));
    }
}
