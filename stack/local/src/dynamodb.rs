//! DynamoDB: `dynoxide`, in this process.
//!
//! dynoxide's own server keeps AWS's wire behaviour, so calls are handed to it over a private loopback listener rather
//! than rebuilt here. What this module adds is the deployment's account and region in ARNs, the sweep of expired items,
//! and the point-in-time-recovery calls, which dynoxide lacks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use serde::{Deserialize, de::DeserializeOwned};
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

/// How far back a table can be recovered where nobody says (API reference of `PointInTimeRecoverySpecification`).
const RECOVERY_DAYS: u64 = 35;

/// The ARN prefix that dynoxide writes.
const FOREIGN_ARN: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// DynamoDB.
pub struct DynamoDb {
    identity: Identity,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Days for which tables with point-in-time recovery switched on could be recovered.
    recovery_days: Mutex<BTreeMap<String, u64>>,
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
            recovery_days: Mutex::default(),
        }))
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "UpdateContinuousBackups" | "DescribeContinuousBackups" => self.continuous_backups(&call).await,
            "DeleteTable" => self.delete_table(call).await,
            _ => self.forward(&call.operation, call.body).await.map(Reply::Json),
        }
    }

    async fn forward(&self, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let own_arn = self.own_arn();
        let body = name_table(body, &format!("{own_arn}table/"));
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            // dynoxide checks the form of the signature, not the signature.
            .header(
                header::AUTHORIZATION,
                "AWS4-HMAC-SHA256 Credential=x/20260101/x/dynamodb/aws4_request, SignedHeaders=host, Signature=x",
            )
            .header("x-amz-date", "20260101T000000Z")
            .body(Full::new(replace(body, &own_arn, FOREIGN_ARN)))
            .map_err(|error| AwsError::internal(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| AwsError::internal(error.to_string()))?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| AwsError::internal(error.to_string()))?
            .to_bytes();
        if status.is_success() {
            Ok(replace(body, FOREIGN_ARN, &own_arn))
        } else {
            Err(error(operation, status.as_u16(), &body))
        }
    }

    fn own_arn(&self) -> String {
        self.identity.arn("dynamodb", "")
    }

    async fn delete_table(&self, call: Call) -> Result<Reply, AwsError> {
        let input: OneTable = call.input()?;
        let deleted = self.forward(&call.operation, call.body).await?;
        self.recovery_days().remove(input.name());
        Ok(Reply::Json(deleted))
    }

    async fn continuous_backups(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: OneTable = call.input()?;
        let table = json!({ "TableName": input.name() });
        let described = self.forward("DescribeTable", table.to_string().into()).await;
        described.map_err(|error| match error.code.as_str() {
            "ResourceNotFoundException" => AwsError { code: "TableNotFoundException".to_owned(), ..error },
            _ => error,
        })?;
        let mut recovery_days = self.recovery_days();
        match input.point_in_time_recovery_specification {
            Some(Recovery { point_in_time_recovery_enabled: true, recovery_period_in_days }) => {
                let days = recovery_period_in_days.unwrap_or(RECOVERY_DAYS);
                recovery_days.insert(input.name().to_owned(), days);
            }
            Some(_) => drop(recovery_days.remove(input.name())),
            None => {}
        }
        let description = match recovery_days.get(input.name()) {
            Some(days) => json!({ "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": days }),
            None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
        };
        Reply::json(&json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": description,
        }}))
    }

    fn recovery_days(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.recovery_days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// ARN and tags of every table.
    pub(crate) async fn tagged_resources(&self) -> Result<Vec<(String, BTreeMap<String, String>)>, AwsError> {
        let mut resources = Vec::new();
        for table in self.list_tables().await? {
            let arn = self.identity.arn("dynamodb", &format!("table/{table}"));
            let of_table = json!({ "ResourceArn": arn }).to_string();
            let tags: Tags = match self.forward("ListTagsOfResource", of_table.into()).await {
                Ok(body) => read(&body)?,
                // Deleted since it was listed.
                Err(error) if error.code == "ResourceNotFoundException" => continue,
                Err(error) => return Err(error),
            };
            resources.push((arn, tags.tags.into_iter().map(|Tag { key, value }| (key, value)).collect()));
        }
        Ok(resources)
    }

    async fn list_tables(&self) -> Result<Vec<String>, AwsError> {
        let mut names = Vec::new();
        let mut from = json!({});
        loop {
            let page: Tables = read(&self.forward("ListTables", from.to_string().into()).await?)?;
            names.extend(page.table_names);
            match page.last_evaluated_table_name {
                Some(last) => from = json!({ "ExclusiveStartTableName": last }),
                None => return Ok(names),
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneTable {
    /// A name or an ARN.
    table_name: String,
    point_in_time_recovery_specification: Option<Recovery>,
}

impl OneTable {
    fn name(&self) -> &str {
        self.table_name.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recovery {
    point_in_time_recovery_enabled: bool,
    recovery_period_in_days: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tables {
    table_names: Vec<String>,
    last_evaluated_table_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| AwsError::internal(error.to_string()))
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
    let text = std::str::from_utf8(&body).unwrap_or_default();
    if from == to || !text.contains(from) {
        return body;
    }
    text.replace(from, to).into()
}

/// Puts the name of a table where the input has its ARN, which dynoxide does not take.
fn name_table(body: Bytes, arn_of_table: &str) -> Bytes {
    let is_named_by_arn = std::str::from_utf8(&body).is_ok_and(|text| text.contains(arn_of_table));
    let Some(Value::Object(mut input)) = is_named_by_arn.then(|| serde_json::from_slice(&body).ok()).flatten() else {
        return body;
    };
    match input.get_mut("TableName") {
        Some(Value::String(name)) if name.starts_with(arn_of_table) => drop(name.drain(..arn_of_table.len())),
        _ => return body,
    }
    Value::Object(input).to_string().into()
}
