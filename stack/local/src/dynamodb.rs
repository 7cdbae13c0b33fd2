//! DynamoDB: `dynoxide`, in this process.
//!
//! dynoxide's own server keeps AWS's wire behaviour, so calls are handed to it over a private loopback listener rather
//! than rebuilt here. What this module adds is the deployment's account and region in ARNs, the sweep of expired items,
//! and the point-in-time-recovery calls, which dynoxide lacks.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
    settings::Identity,
};

/// How often expired items are removed. AWS promises "within a few days"; a laptop's user wants to see it.
const TTL_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The largest answer of DynamoDB is 16 MB (`BatchGetItem`); twice that bounds what is buffered here.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The ARN prefix that dynoxide writes.
const FOREIGN_ARN: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// DynamoDB.
pub struct DynamoDb {
    identity: Identity,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Tables with point-in-time recovery switched on.
    recoverable: Mutex<HashSet<String>>,
}

impl DynamoDb {
    /// Opens an in-memory database and starts its private listener and the sweep.
    pub(crate) async fn start(context: &Context) -> Result<Arc<Self>, String> {
        let Context { identity, stopping, tasks, .. } = context.clone();
        let database = Database::memory().map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tasks.spawn(dynoxide::server::serve_with_shutdown(
            listener,
            database.clone(),
            stopping.clone().cancelled_owned(),
        ));
        tasks.spawn(sweep(database, stopping));
        Ok(Arc::new(Self {
            identity,
            url: format!("http://{address}/"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            recoverable: Mutex::default(),
        }))
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "UpdateContinuousBackups" | "DescribeContinuousBackups" => self.continuous_backups(&call).await,
            _ => self.forward(&call.operation, call.body).await.map(Reply::Json),
        }
    }

    async fn forward(&self, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            // dynoxide checks the form of the signature, not the signature.
            .header(
                header::AUTHORIZATION,
                "AWS4-HMAC-SHA256 Credential=x/20260101/x/dynamodb/aws4_request, SignedHeaders=host, Signature=x",
            )
            .header("x-amz-date", "20260101T000000Z")
            .body(Full::new(replace(body, &self.own_arn(), FOREIGN_ARN)))
            .map_err(|error| AwsError::internal(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| AwsError::internal(error.to_string()))?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| AwsError::internal(error.to_string()))?
            .to_bytes();
        if status.is_success() {
            Ok(replace(body, FOREIGN_ARN, &self.own_arn()))
        } else {
            Err(error(operation, status.as_u16(), &body))
        }
    }

    fn own_arn(&self) -> String {
        self.identity.arn("dynamodb", "")
    }

    async fn continuous_backups(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: Value = call.input()?;
        let name = input["TableName"].as_str().unwrap_or_default().to_owned();
        let table = json!({ "TableName": name });
        self.forward("DescribeTable", table.to_string().into()).await?;
        let enabled = &input["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        let mut recoverable = self.recoverable.lock().map_err(|error| AwsError::internal(error.to_string()))?;
        if enabled == &Value::Bool(true) {
            recoverable.insert(name.clone());
        } else if enabled == &Value::Bool(false) {
            recoverable.remove(&name);
        }
        let status = if recoverable.contains(&name) { "ENABLED" } else { "DISABLED" };
        Reply::json(&json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status },
        }}))
    }
}

/// Removes expired items until the process stops.
async fn sweep(database: Database, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(TTL_SWEEP_INTERVAL);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        if let Err(error) = database.sweep_ttl() {
            tracing::warn!(%error, "cannot remove expired items");
        }
    }
}

fn error(operation: &str, status: u16, body: &[u8]) -> AwsError {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else {
        return AwsError::internal("the DynamoDB engine answered with something else than JSON");
    };
    let kind = members.remove("__type");
    let code =
        kind.as_ref().and_then(Value::as_str).and_then(|text| text.rsplit('#').next()).unwrap_or("InternalFailure");
    if code == "UnknownOperationException" {
        return AwsError::not_implemented("dynamodb", operation);
    }
    let message = ["message", "Message"].iter().find_map(|name| members.remove(*name));
    let message = message.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    AwsError { code: code.to_owned(), message, status, members }
}

fn replace(body: Bytes, from: &str, to: &str) -> Bytes {
    if from == to || !contains(&body, from.as_bytes()) {
        return body;
    }
    std::str::from_utf8(&body).map_or(body.clone(), |text| text.replace(from, to).into())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
