//! Publishes metrics to CloudWatch once a minute. What cannot be published is lost: the data path never waits for it.

use std::time::Duration;

use aws_sdk_cloudwatch::{
    Client,
    types::{Dimension, MetricDatum},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::aws;

/// CloudWatch's standard resolution.
const INTERVAL: Duration = Duration::from_secs(60);

/// The most data of one `PutMetricData` (CloudWatch, "Service quotas").
const DATA_MAX: usize = 1000;

/// Publishes what `data` returns, every minute.
pub(crate) async fn publish(client: Client, namespace: impl Into<String>, mut data: impl FnMut() -> Vec<MetricDatum>) {
    let namespace = namespace.into();
    let mut minutes = interval_at(Instant::now() + INTERVAL, INTERVAL);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        for data in data().chunks(DATA_MAX) {
            let put = client.put_metric_data().namespace(&namespace).set_metric_data(Some(data.to_vec())).send().await;
            if let Err(error) = put {
                tracing::warn!(error = aws::describe(&error), namespace, "cannot publish metrics");
            }
        }
    }
}

pub(crate) fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}
