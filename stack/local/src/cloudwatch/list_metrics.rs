//! `ListMetrics`.

use serde::Deserialize;
use serde_json::json;

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{CloudWatch, input::MetricName, input::invalid, store::MetricId};

/// The page of `ListMetrics` (API reference).
const PAGE_METRICS: usize = 500;

/// What `RecentlyActive: PT3H` means.
const RECENTLY_MS: u64 = 3 * 3_600 * 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

impl ListMetrics {
    fn wants(&self, id: &MetricId) -> bool {
        let has = |filter: &DimensionFilter| {
            id.dimensions
                .iter()
                .any(|(name, value)| *name == filter.name && filter.value.as_ref().is_none_or(|wanted| wanted == value))
        };
        self.namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace)
            && self.metric_name.as_ref().is_none_or(|name| *name == id.name)
            && self.dimensions.iter().all(has)
    }
}

impl CloudWatch {
    pub(super) fn list_metrics(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: ListMetrics = call.input()?;
        let since_ms = match input.recently_active.as_deref() {
            None => 0,
            Some("PT3H") => self.now_ms().saturating_sub(RECENTLY_MS),
            Some(other) => return Err(invalid(format!("The value {other} for RecentlyActive is not PT3H."))),
        };
        let store = self.store();
        let wanted = store
            .iter()
            .filter(|(id, metric)| {
                input.wants(id) && metric.last_put_ms >= since_ms && metric.is_published(self.now_ms())
            })
            .map(|(id, _)| id)
            .collect();
        let key = |id: &&MetricId| json!(id).to_string();
        let (wanted, next) = page(wanted, key, input.next_token.as_deref(), PAGE_METRICS);
        let metrics: Vec<MetricName> = wanted.into_iter().map(MetricName::from).collect();
        Reply::json(&json!({ "Metrics": metrics, "NextToken": next }))
    }
}
