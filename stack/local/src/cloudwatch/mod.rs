//! CloudWatch metrics, alarms and dashboards.

use std::sync::Arc;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

/// Quotas and delays.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// CloudWatch metrics, alarms and dashboards.
pub struct CloudWatch {
    context: Context,
    settings: Settings,
}

impl CloudWatch {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        Arc::new(Self { context, settings })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let _ = (&self.context, &self.settings);
        Err(AwsError::not_implemented("monitoring", &call.operation))
    }

    /// Takes a data point from inside the process: how the other services publish their `AWS/*` metrics.
    pub(crate) fn put(&self, datum: Datum) {
        let _ = datum;
    }
}

/// The members of answers that hold timestamps: rpc-v2-cbor writes them with a tag of their own.
pub(crate) const TIMESTAMP_MEMBERS: &[&str] = &["Timestamp", "Timestamps"];

/// A data point: the statistics of the samples of one period.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    /// Names and values, in any order.
    pub(crate) dimensions: Vec<(&'static str, String)>,
    /// CloudWatch's name of the unit, for example `Bytes`.
    pub(crate) unit: &'static str,
    /// When the period began, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) sum: f64,
    pub(crate) count: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
}
