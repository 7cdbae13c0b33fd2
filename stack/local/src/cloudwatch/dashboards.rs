//! The calls about dashboards: kept as they are, drawn by nobody.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{
    CloudWatch,
    input::invalid,
    lock,
    tags::{Tag, by_key},
};

/// The page of `ListDashboards` (API reference).
const PAGE_DASHBOARDS: usize = 1_000;

pub(super) struct Dashboard {
    body: String,
    modified_ms: u64,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutDashboard {
    dashboard_name: String,
    dashboard_body: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetDashboard {
    dashboard_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListDashboards {
    #[serde(default)]
    dashboard_name_prefix: String,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteDashboards {
    dashboard_names: Vec<String>,
}

impl CloudWatch {
    /// Dashboards belong to no region.
    pub(super) fn dashboard_arn(&self, name: &str) -> String {
        format!("arn:aws:cloudwatch::{}:dashboard/{name}", self.context.identity.account)
    }

    pub(super) fn put_dashboard(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: PutDashboard = call.input()?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if input.dashboard_name.is_empty() || !input.dashboard_name.chars().all(is_allowed) {
            return Err(invalid(format!("The value {:?} for DashboardName is invalid.", input.dashboard_name)));
        }
        if let Err(error) = serde_json::from_str::<Map<String, Value>>(&input.dashboard_body) {
            let message = format!("The field DashboardBody must be a valid JSON object: {error}");
            return Err(AwsError::new("InvalidParameterInput", message));
        }
        let mut dashboards = lock(&self.dashboards);
        let dashboard = dashboards.entry(input.dashboard_name).or_insert_with(|| Dashboard {
            body: String::new(),
            modified_ms: 0,
            tags: by_key(input.tags),
        });
        (dashboard.body, dashboard.modified_ms) = (input.dashboard_body, self.now_ms());
        Reply::json(&json!({ "DashboardValidationMessages": [] }))
    }

    pub(super) fn get_dashboard(&self, call: &Call) -> Result<Reply, AwsError> {
        let GetDashboard { dashboard_name } = call.input()?;
        let dashboards = lock(&self.dashboards);
        let dashboard = dashboards.get(&dashboard_name).ok_or_else(|| no_dashboard(&dashboard_name))?;
        Reply::json(&json!({
            "DashboardName": dashboard_name,
            "DashboardArn": self.dashboard_arn(&dashboard_name),
            "DashboardBody": dashboard.body,
        }))
    }

    pub(super) fn list_dashboards(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: ListDashboards = call.input()?;
        let dashboards = lock(&self.dashboards);
        let wanted = dashboards.iter().filter(|(name, _)| name.starts_with(&input.dashboard_name_prefix)).collect();
        let (wanted, next) = page(wanted, |(name, _)| (*name).clone(), input.next_token.as_deref(), PAGE_DASHBOARDS);
        let entry = |(name, dashboard): &(&String, &Dashboard)| {
            json!({
                "DashboardName": name,
                "DashboardArn": self.dashboard_arn(name),
                "LastModified": dashboard.modified_ms / 1_000,
                "Size": dashboard.body.len(),
            })
        };
        let entries: Vec<Value> = wanted.iter().map(entry).collect();
        Reply::json(&json!({ "DashboardEntries": entries, "NextToken": next }))
    }

    pub(super) fn delete_dashboards(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DeleteDashboards = call.input()?;
        let mut dashboards = lock(&self.dashboards);
        if let Some(missing) = input.dashboard_names.iter().find(|name| !dashboards.contains_key(*name)) {
            return Err(no_dashboard(missing));
        }
        dashboards.retain(|name, _| !input.dashboard_names.contains(name));
        Ok(Reply::empty())
    }
}

fn no_dashboard(name: &str) -> AwsError {
    AwsError { status: 404, ..AwsError::new("ResourceNotFound", format!("Dashboard {name} does not exist")) }
}
