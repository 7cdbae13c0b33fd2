//! HTTP to the producers, through the load balancer.

use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    header::{self, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::failure::Failure;

/// One request. A producer gives a record up after 30 s (`WEIR_RECORD_TTL`).
const REQUEST: Duration = Duration::from_secs(40);
const CONNECT: Duration = Duration::from_secs(3);
/// An answer is one short line for every record.
const IDLE: Duration = Duration::from_secs(20);

/// A client of one ingestion URL.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    /// `Authorization`, where the producers ask who sends.
    authorization: Option<HeaderValue>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// When to try again, where the server says so.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

impl Client {
    /// A client that posts below `url`.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let parsed: Uri = url.parse().map_err(|_| Failure::usage(format!("{url} is not a URL")))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            let problem = format!("cannot post to {url}: it must begin with http:// or https:// and name a host");
            return Err(Failure::usage(problem).into());
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .context("cannot read the system's root certificates")?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(connector);
        let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), authorization: None })
    }

    /// The same client with a bearer token, which is never shown.
    pub(crate) fn with_token(mut self, token: &str) -> Result<Self> {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| Failure::usage("a token has visible ASCII characters only"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// Posts one body and reads the answer.
    pub(crate) async fn post(&self, path: &str, content_type: &'static str, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.header(header::CONTENT_TYPE, content_type).body(Full::new(body));
        self.send(request.map_err(|error| error.to_string())?).await
    }

    /// True when a producer behind the load balancer takes records.
    pub(crate) async fn is_healthy(&self) -> bool {
        let request = Request::builder().uri(format!("{}/healthcheck", self.base)).body(Full::default());
        let Ok(request) = request else { return false };
        self.send(request).await.is_ok_and(|answer| answer.status == StatusCode::OK)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| crate::output::chain(&error))?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            let seconds = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(Answer { status: parts.status, retry_after: seconds.map(Duration::from_secs), body })
        };
        tokio::time::timeout(REQUEST, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", REQUEST.as_secs())))
    }
}
