//! Alarms and dashboards. Creating and changing one is the same call.

use serde_json::json;

use super::{
    Failure, Provisioned, Request,
    properties::{self, Shape},
};

/// Source: the CloudWatch API's limit for names.
const NAME_LENGTH_MAX: usize = 255;

const SHAPE: Shape = Shape {
    numbers: &["DatapointsToAlarm", "EvaluationPeriods", "Period", "Threshold"],
    flags: &["ActionsEnabled", "ReturnData"],
};

pub(super) async fn put_alarm(request: &Request<'_>, existing: Option<&str>) -> Result<Provisioned, Failure> {
    let name = existing.map_or_else(|| request.name("AlarmName", NAME_LENGTH_MAX), str::to_owned);
    let mut input = properties::typed(request.properties, &SHAPE);
    properties::set(&mut input, "AlarmName", name.as_str());
    properties::set(&mut input, "Tags", request.tag_pairs());
    request.call("monitoring", "PutMetricAlarm", input).await?;
    (request.identify)(&name);
    let arn = request.context.identity.arn("cloudwatch", &format!("alarm:{name}"));
    Ok(Provisioned::new(name, [("Arn", json!(arn))]))
}

pub(super) async fn delete_alarm(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    request.call("monitoring", "DeleteAlarms", json!({ "AlarmNames": [name] })).await.map(|_| ())
}

pub(super) async fn put_dashboard(request: &Request<'_>, existing: Option<&str>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(&["DashboardBody", "DashboardName"])?;
    let name = existing.map_or_else(|| request.name("DashboardName", NAME_LENGTH_MAX), str::to_owned);
    let input = json!({ "DashboardName": name, "DashboardBody": request.text("DashboardBody") });
    request.call("monitoring", "PutDashboard", input).await?;
    (request.identify)(&name);
    Ok(Provisioned::new(name, []))
}

pub(super) async fn delete_dashboard(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    request.call("monitoring", "DeleteDashboards", json!({ "DashboardNames": [name] })).await.map(|_| ())
}
