//! The `webhook` processor: records as lines of JSON, POSTed in batches.

#[cfg(test)]
mod tests;
mod tls;

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_rustls::HttpsConnector;
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
    #[error("nobody who is trusted here vouches for the webhook's certificate; WEIR_WEBHOOK_CA would add an authority")]
    UnknownAuthority(#[source] hyper_util::client::legacy::Error),
}

impl Webhook {
    /// POSTs to `url`, for whose https the authorities in the PEM file `ca` are trusted beside the system's.
    ///
    /// # Errors
    /// When `url` is no absolute http or https URL, or certificates cannot be read: the setting to blame, and why.
    pub(crate) fn new(
        url: &str,
        ca: Option<&Path>,
        timeout: Duration,
        records_max: usize,
        concurrency: usize,
    ) -> Result<Self, (&'static str, String)> {
        let wrong = |problem| ("WEIR_WEBHOOK_URL", problem);
        let url: Uri = url.parse().map_err(|error| wrong(format!("`{url}` is no URL: {error}")))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(wrong(format!("`{url}` must begin with http:// or https:// and name a host")));
        }
        let connector = tls::connector(ca).map_err(|problem| ("WEIR_WEBHOOK_CA", problem))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { url, client, timeout, records_max, concurrency })
    }

    async fn post(&self, records: &[Record]) -> Result<(), Failure> {
        let body = lines(records);
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
            Ok(Err(error)) if tls::is_unknown_authority(&error) => {
                Err(Failure::unavailable(WebhookError::UnknownAuthority(error)))
            }
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
