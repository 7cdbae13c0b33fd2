//! Log groups.

use serde_json::{Value, json};

use super::{Existing, Failure, Provisioned, Request, properties};

/// Source: the CloudWatch Logs API's limit for names.
const NAME_LENGTH_MAX: usize = 512;

const PROPERTIES: &[&str] = &["KmsKeyId", "LogGroupClass", "LogGroupName", "RetentionInDays", "Tags"];

pub(super) async fn create(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(PROPERTIES)?;
    let name = request.name("LogGroupName", NAME_LENGTH_MAX);
    let wanted = properties::pick(request.properties, &["KmsKeyId", "LogGroupClass"]);
    let mut input = properties::camel_case(&wanted, &[]);
    properties::set(&mut input, "logGroupName", name.as_str());
    if !request.tags.is_empty() {
        properties::set(&mut input, "tags", json!(request.tags));
    }
    request.call("logs", "CreateLogGroup", input).await?;
    (request.identify)(&name);
    retain(request, &name, &json!({})).await?;
    let arn = request.context.identity.arn("logs", &format!("log-group:{name}:*"));
    Ok(Provisioned::new(name, [("Arn", json!(arn))]))
}

pub(super) async fn update(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(PROPERTIES)?;
    for fixed in ["KmsKeyId", "LogGroupClass"] {
        if request.changes(existing, fixed) {
            return Err(Failure::NotStable(format!("localcloud cannot change {fixed} of a log group")));
        }
    }
    retain(request, existing.physical_id, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn delete(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    request.call("logs", "DeleteLogGroup", json!({ "logGroupName": name })).await.map(|_| ())
}

async fn retain(request: &Request<'_>, name: &str, before: &Value) -> Result<(), Failure> {
    let days = |properties| properties::integer(properties, "RetentionInDays");
    let wanted = days(request.properties);
    if wanted == days(before) {
        return Ok(());
    }
    let (operation, input) = match wanted {
        Some(days) => ("PutRetentionPolicy", json!({ "logGroupName": name, "retentionInDays": days })),
        None => ("DeleteRetentionPolicy", json!({ "logGroupName": name })),
    };
    request.call("logs", operation, input).await.map(|_| ())
}
