//! CloudWatch metrics, alarms and dashboards.
//!
//! Metrics of AWS's own namespaces come from the other services through `CloudWatch::put` and are published late, as on
//! AWS; an application's own are visible at once. A period without samples has no data point, never a zero.

mod alarm;
mod alarms;
mod dashboards;
mod expression;
mod input;
mod list_metrics;
mod metric_data;
mod metric_statistics;
mod put_metric_data;
mod query;
mod samples;
mod store;
mod tags;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

use alarms::Alarm;
use dashboards::Dashboard;
use samples::Samples;
use store::{MetricId, Publication, Sample, Store};

/// Quotas and delays.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long after its last sample a period of an `AWS/*` metric is published. On AWS those of Kinesis come one to
    /// three minutes late.
    pub publication_delay: Duration,
    /// How many metrics are kept; then the one that nobody fed for longest is forgotten. CloudWatch keeps all.
    pub metrics_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { publication_delay: Duration::from_secs(60), metrics_max: 10_000 }
    }
}

/// CloudWatch metrics, alarms and dashboards.
pub struct CloudWatch {
    context: Context,
    settings: Settings,
    store: Mutex<Store>,
    alarms: Mutex<BTreeMap<String, Alarm>>,
    dashboards: Mutex<BTreeMap<String, Dashboard>>,
}

impl CloudWatch {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        let store = Mutex::new(Store::new(settings.metrics_max));
        Arc::new(Self { context, settings, store, alarms: Mutex::default(), dashboards: Mutex::default() })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "PutMetricData" => self.put_metric_data(&call),
            "GetMetricData" => self.get_metric_data(&call),
            "GetMetricStatistics" => self.get_metric_statistics(&call),
            "ListMetrics" => self.list_metrics(&call),
            "PutMetricAlarm" => self.put_metric_alarm(&call),
            "DescribeAlarms" => self.describe_alarms(&call),
            "SetAlarmState" => self.set_alarm_state(&call),
            "DeleteAlarms" => self.delete_alarms(&call),
            "PutDashboard" => self.put_dashboard(&call),
            "GetDashboard" => self.get_dashboard(&call),
            "ListDashboards" => self.list_dashboards(&call),
            "DeleteDashboards" => self.delete_dashboards(&call),
            "TagResource" => self.tag_resource(&call),
            "UntagResource" => self.untag_resource(&call),
            "ListTagsForResource" => self.list_tags_for_resource(&call),
            other => Err(AwsError::not_implemented("monitoring", other)),
        }
    }

    /// Takes a data point from inside the process: how the other services publish their `AWS/*` metrics, and how a test
    /// makes minutes that it need not wait for.
    pub fn put(&self, datum: Datum) {
        let now_ms = self.now_ms();
        let delay_ms = u64::try_from(self.settings.publication_delay.as_millis()).unwrap_or(u64::MAX);
        let dimensions = datum.dimensions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let id = MetricId::new(datum.namespace.to_owned(), datum.name.to_owned(), dimensions);
        let sample = Sample {
            at_s: datum.at_ms / 1_000,
            samples: Samples::of_statistics(datum.sum, datum.count, datum.minimum, datum.maximum),
            is_high_resolution: false,
        };
        let publication = Publication { now_ms, visible_at_ms: now_ms.saturating_add(delay_ms) };
        self.store().put(id, datum.unit, &sample, publication);
    }

    fn now_ms(&self) -> u64 {
        self.context.clock.now_ms()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }
}

/// Locks. No code here panics between two halves of a change, so a poisoned lock still guards a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The members of answers that hold timestamps: rpc-v2-cbor and awsQuery write them in a way of their own.
pub(crate) const TIMESTAMP_MEMBERS: &[&str] = &[
    "Timestamp",
    "Timestamps",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
    "AlarmConfigurationUpdatedTimestamp",
    "LastModified",
];

/// A data point: the statistics of the samples of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    pub namespace: &'static str,
    pub name: &'static str,
    /// Names and values, in any order.
    pub dimensions: Vec<(&'static str, String)>,
    /// CloudWatch's name of the unit, for example `Bytes`.
    pub unit: &'static str,
    /// When the period began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    pub sum: f64,
    pub count: f64,
    pub minimum: f64,
    pub maximum: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalCloud, Settings as CloudSettings};
    use serde_json::{Value, json};

    async fn call(cloudwatch: &CloudWatch, operation: &str, input: &Value) -> Value {
        let call = Call::new(operation, input.to_string());
        match cloudwatch.call(call).await.unwrap() {
            Reply::Json(body) => serde_json::from_slice(&body).unwrap(),
            Reply::EventStream(_) => panic!("{operation} does not stream"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_of_aws_are_published_late_and_are_never_zero() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = CloudSettings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let cloudwatch = cloud.services().cloudwatch.clone();
        let at_ms = cloudwatch.now_ms() / 60_000 * 60_000;
        cloudwatch.put(Datum {
            namespace: "AWS/Kinesis",
            name: "IncomingBytes",
            dimensions: vec![("StreamName", "s".to_owned())],
            unit: "Bytes",
            at_ms,
            sum: 30.0,
            count: 3.0,
            minimum: 5.0,
            maximum: 15.0,
        });
        let at = at_ms / 1_000;
        let query = json!({
            "MetricDataQueries": [{ "Id": "a", "MetricStat": { "Period": 60, "Stat": "Sum", "Metric": {
                "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes",
                "Dimensions": [{ "Name": "StreamName", "Value": "s" }] }}}],
            "StartTime": at - 600, "EndTime": at + 600,
        });
        tokio::time::advance(Duration::from_secs(59)).await;
        let early = call(&cloudwatch, "GetMetricData", &query).await;
        assert_eq!(early["MetricDataResults"][0]["Values"], json!([]));
        assert_eq!(call(&cloudwatch, "ListMetrics", &json!({})).await["Metrics"], json!([]));
        tokio::time::advance(Duration::from_secs(2)).await;
        let late = call(&cloudwatch, "GetMetricData", &query).await;
        assert_eq!(late["MetricDataResults"][0]["Values"], json!([30.0]), "one point, and none where nothing was");
        assert_eq!(call(&cloudwatch, "ListMetrics", &json!({})).await["Metrics"][0]["MetricName"], "IncomingBytes");
        cloud.stop().await;
    }
}
