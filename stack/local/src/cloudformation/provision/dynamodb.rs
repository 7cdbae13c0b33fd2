//! Tables.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Existing, Failure, Provisioned, Request,
    properties::{self, Shape},
};

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Source: the DynamoDB API's limit for names.
const NAME_LENGTH_MAX: usize = 255;

const SHAPE: Shape = Shape {
    numbers: &[
        "MaxReadRequestUnits",
        "MaxWriteRequestUnits",
        "ReadCapacityUnits",
        "RecoveryPeriodInDays",
        "WriteCapacityUnits",
    ],
    flags: &["DeletionProtectionEnabled", "Enabled", "PointInTimeRecoveryEnabled", "SSEEnabled", "StreamEnabled"],
};

/// Properties that `CreateTable` takes as they are.
const CREATED: &[&str] = &[
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "OnDemandThroughput",
    "ProvisionedThroughput",
    "TableClass",
];

/// Properties that take a call or a shape of their own.
const SEPARATE: &[&str] = &[
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "StreamSpecification",
    "TableName",
    "Tags",
    "TimeToLiveSpecification",
];

/// Properties that `UpdateTable` takes as they are.
const UPDATED: &[&str] =
    &["BillingMode", "DeletionProtectionEnabled", "OnDemandThroughput", "ProvisionedThroughput", "TableClass"];

pub(super) async fn create(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[CREATED, SEPARATE].concat())?;
    let name = request.name("TableName", NAME_LENGTH_MAX);
    let wanted = properties::typed(request.properties, &SHAPE);
    let mut input = properties::pick(&wanted, CREATED);
    properties::set(&mut input, "TableName", name.as_str());
    properties::set(&mut input, "Tags", request.tag_pairs());
    if let Some(specification) = encryption(&wanted) {
        properties::set(&mut input, "SSESpecification", specification);
    }
    if let Some(view) = properties::text(&wanted["StreamSpecification"], "StreamViewType") {
        let specification = json!({ "StreamEnabled": true, "StreamViewType": view });
        properties::set(&mut input, "StreamSpecification", specification);
    }
    request.call("dynamodb", "CreateTable", input).await?;
    (request.identify)(&name);
    let table = settle(request, &name).await?;
    configure(request, &name, &wanted, &json!({})).await?;
    Ok(Provisioned::new(name, [("Arn", table["TableArn"].clone())]))
}

pub(super) async fn update(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&[CREATED, SEPARATE].concat())?;
    for fixed in ["AttributeDefinitions", "GlobalSecondaryIndexes", "SSESpecification", "StreamSpecification"] {
        if request.changes(existing, fixed) {
            return Err(Failure::NotStable(format!("localcloud cannot change {fixed} of a table")));
        }
    }
    let name = existing.physical_id;
    let wanted = properties::typed(request.properties, &SHAPE);
    let changed: Vec<_> = UPDATED.iter().copied().filter(|property| request.changes(existing, property)).collect();
    if !changed.is_empty() {
        let mut input = properties::pick(&wanted, &changed);
        properties::set(&mut input, "TableName", name);
        request.call("dynamodb", "UpdateTable", input).await?;
        settle(request, name).await?;
    }
    configure(request, name, &wanted, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn delete(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    request.call("dynamodb", "DeleteTable", json!({ "TableName": name })).await?;
    request.wait_until_gone("the table to be deleted", READY_TIMEOUT, || describe(request, name)).await
}

/// CloudFormation names the members of the encryption differently from the API.
fn encryption(wanted: &Value) -> Option<Value> {
    let given = &wanted["SSESpecification"];
    if given["SSEEnabled"] != true {
        return None;
    }
    let mut specification = properties::pick(given, &["KMSMasterKeyId", "SSEType"]);
    properties::set(&mut specification, "Enabled", true);
    Some(specification)
}

/// What has calls of its own: the time to live and point-in-time recovery.
async fn configure(request: &Request<'_>, name: &str, wanted: &Value, before: &Value) -> Result<(), Failure> {
    let calls = [
        ("UpdateTimeToLive", "TimeToLiveSpecification"),
        ("UpdateContinuousBackups", "PointInTimeRecoverySpecification"),
    ];
    for (operation, property) in calls {
        if !wanted[property].is_null() && !properties::same(&wanted[property], &before[property]) {
            let input = json!({ "TableName": name, property: wanted[property] });
            request.call("dynamodb", operation, input).await?;
        }
    }
    Ok(())
}

/// Waits until the table is ACTIVE; returns its description.
async fn settle(request: &Request<'_>, name: &str) -> Result<Value, Failure> {
    request
        .wait("the table to become ACTIVE", READY_TIMEOUT, || async {
            let table = describe(request, name).await?["Table"].take();
            Ok((table["TableStatus"] == "ACTIVE").then_some(table))
        })
        .await
}

async fn describe(request: &Request<'_>, name: &str) -> Result<Value, Failure> {
    request.call("dynamodb", "DescribeTable", json!({ "TableName": name })).await
}
