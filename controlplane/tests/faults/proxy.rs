//! What stands between one control plane and AWS: it counts every call and breaks those that a test names.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, time::Instant};

/// The calls that change what AWS runs.
const WRITES: [&str; 5] =
    ["UpdateShardCount", "SplitShard", "MergeShards", "UpdateStreamWarmThroughput", "UpdateService"];

/// One call of a control plane.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    pub(crate) operation: String,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        WRITES.contains(&self.operation.as_str())
    }

    /// Whether this writes the status, and no ledger with it.
    pub(crate) fn is_status(&self) -> bool {
        self.operation == "TransactWriteItems" && self.body.contains(r#"{"S":"status"}"#)
    }

    /// Whether this writes an intent into the ledger.
    pub(crate) fn is_intent(&self) -> bool {
        self.operation == "TransactWriteItems" && self.body.contains(r#"{"S":"reshard#"#)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// Refused by AWS with this status and code.
    Refuse(u16, &'static str),
    /// Carried out, and the answer is lost.
    LoseAnswer,
    /// The caller is killed before AWS hears of the call.
    KillBefore,
    /// The caller is killed when AWS has carried the call out.
    KillAfter,
}

type Rule = Box<dyn FnMut(&Call) -> Fate + Send>;
type Kill = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    cloud: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Arc<Mutex<Rule>>,
    calls: Arc<Mutex<Vec<Call>>>,
    kill: Arc<Mutex<Option<Kill>>>,
}

impl Proxy {
    /// Passes everything on to `cloud`, until told otherwise.
    pub(crate) async fn start(cloud: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            cloud: cloud.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            rule: Arc::new(Mutex::new(Box::new(|_| Fate::Pass))),
            calls: Arc::default(),
            kill: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        proxy
    }

    /// From now on `rule` says what becomes of each call.
    pub(crate) fn rule(&self, rule: impl FnMut(&Call) -> Fate + Send + 'static) {
        *lock(&self.rule) = Box::new(rule);
    }

    /// What [`Fate::KillBefore`] and [`Fate::KillAfter`] do.
    pub(crate) fn on_kill(&self, kill: impl FnOnce() + Send + 'static) {
        *lock(&self.kill) = Some(Box::new(kill));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    /// The calls that changed or tried to change something.
    pub(crate) fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::is_write).collect()
    }

    async fn forward(&self, parts: axum::http::request::Parts, body: Bytes) -> Response {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = parts.method;
        *request.uri_mut() = format!("{}{path}", self.cloud).parse().unwrap();
        *request.headers_mut() = parts.headers;
        request.headers_mut().remove(header::HOST);
        let answer = self.client.request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::from_parts(parts, Body::from(body))
    }

    fn kill(&self) {
        if let Some(kill) = lock(&self.kill).take() {
            kill();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 22).await.unwrap();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    // rpc-v2-cbor names the operation at the end of the path.
    let operation = target.map_or_else(|| parts.uri.path().rsplit('/').next(), |target| target.rsplit('.').next());
    let call = Call {
        at: Instant::now(),
        operation: operation.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let fate = (lock(&proxy.rule))(&call);
    lock(&proxy.calls).push(call);
    match fate {
        Fate::Pass => proxy.forward(parts, body).await,
        Fate::Refuse(status, code) => refuse(status, code),
        Fate::LoseAnswer => {
            proxy.forward(parts, body).await;
            std::future::pending().await
        }
        Fate::KillBefore => {
            proxy.kill();
            std::future::pending().await
        }
        Fate::KillAfter => {
            proxy.forward(parts, body).await;
            proxy.kill();
            std::future::pending().await
        }
    }
}

fn refuse(status: u16, code: &str) -> Response {
    let body = format!(r#"{{"__type":"{code}","message":"a test refuses this"}}"#);
    let content = (header::CONTENT_TYPE, "application/x-amz-json-1.1");
    (StatusCode::from_u16(status).unwrap(), [content], body).into_response()
}
