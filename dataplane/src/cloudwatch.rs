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

/// Publishes what `data` returns, every minute.
pub(crate) async fn publish(client: Client, namespace: &'static str, mut data: impl FnMut() -> Vec<MetricDatum>) {
    let mut minutes = interval_at(Instant::now() + INTERVAL, INTERVAL);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        let data = data();
        if data.is_empty() {
            continue;
        }
        let put = client.put_metric_data().namespace(namespace).set_metric_data(Some(data)).send().await;
        if let Err(error) = put {
            tracing::warn!(error = aws::describe(&error), namespace, "cannot publish metrics");
        }
    }
}

pub(crate) fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}
