//! Members that several calls share, and the rules for them.

use serde::{Deserialize, Serialize};

use crate::service::AwsError;

use super::store::MetricId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

/// A metric as requests name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricName {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
}

impl MetricName {
    pub(super) fn id(&self) -> MetricId {
        let dimensions = self.dimensions.iter().map(|d| (d.name.clone(), d.value.clone())).collect();
        MetricId::new(self.namespace.clone(), self.metric_name.clone(), dimensions)
    }
}

impl From<&MetricId> for MetricName {
    fn from(id: &MetricId) -> Self {
        let dimension = |(name, value): &(String, String)| Dimension { name: name.clone(), value: value.clone() };
        Self {
            namespace: id.namespace.clone(),
            metric_name: id.name.clone(),
            dimensions: id.dimensions.iter().map(dimension).collect(),
        }
    }
}

/// Seconds since the Unix epoch as requests carry them.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
pub(super) struct Timestamp(f64);

impl Timestamp {
    /// Whole seconds; times before 1970 are 1970.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
    pub(super) fn seconds(self) -> u64 {
        self.0 as u64
    }
}

/// A period in seconds: 1, 5, 10, 20, 30 or a multiple of 60 (API reference of `MetricStat`).
pub(super) fn check_period(period: u64) -> Result<u64, AwsError> {
    if matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period.is_multiple_of(60)) {
        return Ok(period);
    }
    Err(invalid(format!("The period {period} is not 1, 5, 10, 20, 30 or a multiple of 60")))
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

/// `GetMetricData` and `PutMetricAlarm` report mistakes in queries with this code.
pub(super) fn malformed(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}
