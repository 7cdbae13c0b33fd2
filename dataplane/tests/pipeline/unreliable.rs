//! An endpoint in front of another that loses, delays and refuses some of what passes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, uri::Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use dataplane::aggregation::decode;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Bodies are those of PutRecords at most.
const BODY_BYTES_MAX: usize = 32 << 20;

/// What goes wrong, of 100.
const THROTTLED: u32 = 25;
const LOST: u32 = 5;

#[derive(Clone)]
pub(crate) struct Proxy(Arc<State_>);

struct State_ {
    upstream: String,
    http: Client<HttpConnector, Full<Bytes>>,
    random: Mutex<StdRng>,
    is_away: AtomicBool,
    lost: Mutex<BTreeSet<Vec<u8>>>,
    throttled: AtomicUsize,
}

impl Proxy {
    /// Listens in front of `upstream` and says where.
    pub(crate) async fn start(upstream: &str) -> (Self, SocketAddr) {
        let proxy = Self(Arc::new(State_ {
            upstream: upstream.to_owned(),
            http: Client::builder(TokioExecutor::new()).build_http(),
            random: Mutex::new(StdRng::seed_from_u64(1)),
            is_away: AtomicBool::new(false),
            lost: Mutex::default(),
            throttled: AtomicUsize::new(0),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, address)
    }

    /// Answers nothing but 503 from now on, or answers again.
    pub(crate) fn set_away(&self, away: bool) {
        self.0.is_away.store(away, Ordering::Relaxed);
    }

    /// The data of every user record that was stored by a request whose answer was lost.
    pub(crate) fn lost(&self) -> BTreeSet<Vec<u8>> {
        self.0.lost.lock().unwrap().clone()
    }

    /// How many entries were refused.
    pub(crate) fn throttled(&self) -> usize {
        self.0.throttled.load(Ordering::Relaxed)
    }

    fn happens(&self, percent: u32) -> bool {
        self.0.random.lock().unwrap().random_range(0..100) < percent
    }

    async fn forward(&self, parts: &axum::http::request::Parts, body: Bytes) -> (StatusCode, Bytes) {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = format!("{}{path}", self.0.upstream).parse::<Uri>().unwrap();
        request.headers_mut().extend(parts.headers.clone());
        request.headers_mut().remove("content-length");
        let (parts, body) = self.0.http.request(request).await.unwrap().into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes())
    }

    /// Stores the entries that are not throttled.
    async fn put(&self, parts: &axum::http::request::Parts, body: Bytes) -> Response {
        let mut put: Value = serde_json::from_slice(&body).unwrap();
        let entries = put["Records"].as_array().unwrap().clone();
        let passes: Vec<_> = entries.iter().map(|_| !self.happens(THROTTLED)).collect();
        let passing: Vec<_> =
            entries.iter().zip(&passes).filter(|(_, passes)| **passes).map(|(entry, _)| entry).collect();
        self.0.throttled.fetch_add(entries.len() - passing.len(), Ordering::Relaxed);
        let mut stored = Vec::new();
        if !passing.is_empty() {
            let lost = self.happens(LOST);
            if lost {
                self.0.lost.lock().unwrap().extend(passing.iter().flat_map(|entry| user_data(entry)));
            }
            let forwarded = json!(passing);
            put["Records"] = forwarded;
            let (status, answer) = self.forward(parts, put.to_string().into()).await;
            if lost {
                return (StatusCode::INTERNAL_SERVER_ERROR, r#"{"__type":"InternalFailure"}"#).into_response();
            }
            if status != StatusCode::OK {
                return (status, answer).into_response();
            }
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            stored = answer["Records"].as_array().unwrap().clone();
        }
        let mut stored = stored.into_iter();
        let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "by chance"});
        let results: Vec<_> =
            passes.into_iter().map(|passes| if passes { stored.next().unwrap() } else { refused.clone() }).collect();
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        axum::Json(json!({"FailedRecordCount": failed, "Records": results})).into_response()
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let target =
        parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned()).unwrap_or_default();
    if proxy.0.is_away.load(Ordering::Relaxed) && target.starts_with("Kinesis") {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if target.ends_with(".PutRecords") {
        return proxy.put(&parts, body).await;
    }
    let (status, answer) = proxy.forward(&parts, body).await;
    (status, [("content-type", "application/x-amz-json-1.1")], Body::from(answer)).into_response()
}

/// The data of the user records in an entry of PutRecords.
fn user_data(entry: &Value) -> Vec<Vec<u8>> {
    let data = Bytes::from(BASE64_STANDARD.decode(entry["Data"].as_str().unwrap()).unwrap());
    match decode(&data) {
        Some(users) => users.into_iter().map(|user| user.data.to_vec()).collect(),
        None => vec![data.to_vec()],
    }
}
