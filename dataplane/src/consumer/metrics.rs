//! The consumer's figures for others: its report, Prometheus and CloudWatch.

use std::sync::Arc;

use aws_sdk_cloudwatch::types::{MetricDatum, StandardUnit};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stats::Stats;
use crate::{
    admin::{Subject, counter, gauge, shard_gauges},
    cloudwatch::dimension,
    report::{ConsumerReport, Role},
};

/// What the admin port shows of the consumer.
pub(crate) struct Status {
    pub(crate) stream: String,
    pub(crate) application: String,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stopping: CancellationToken,
}

impl Status {
    fn report(&self) -> ConsumerReport {
        self.stats.report(&self.stream, &self.application, Instant::now())
    }
}

impl Subject for Status {
    fn role(&self) -> Role {
        Role::Consumer(self.report())
    }

    fn is_ready(&self) -> bool {
        !self.stopping.is_cancelled() && self.stats.is_ready()
    }

    fn register(&self, registry: &mut Registry) {
        let (report, (records, bytes)) = (self.report(), self.stats.totals());
        counter(registry, "processed_records", "User records that the processor finished", records);
        counter(registry, "processed_bytes", "Bytes of user records that the processor finished", bytes);
        for (name, help, value) in self.stats.counts().named() {
            counter(registry, name, help, value);
        }
        if let Some((leases, workers)) = self.stats.fleet() {
            gauge(registry, "application_leases", "Unfinished leases of the application", leases as f64);
            gauge(registry, "application_workers", "Workers that hold leases of the application", workers as f64);
        }
        if let Some(behind) = report.behind_ms {
            gauge(registry, "lag_seconds", "How far the reader that is most behind is", behind as f64 / 1000.0);
        }
        gauge(registry, "leases", "Leases held", report.leases.len() as f64);
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let leases = || report.leases.iter();
        let behind = leases().filter_map(|lease| Some((lease.shard_id.as_str(), seconds(lease.behind_ms?))));
        shard_gauges(registry, "behind_seconds", "How far the shard's reader is behind its newest record", behind);
        let ages = leases().filter_map(|lease| Some((lease.shard_id.as_str(), seconds(lease.checkpoint_age_ms?))));
        shard_gauges(registry, "checkpoint_age_seconds", "Age of the last checkpoint", ages);
        let busy = leases().map(|lease| (lease.shard_id.as_str(), lease.busy_fraction));
        shard_gauges(registry, "busy_fraction", "Share of the last ten seconds that the processor was at work", busy);
    }
}

/// The lag now, for what reads CloudWatch and not the reports.
pub(crate) fn cloudwatch_data(stats: &Stats, stream: &str, application: &str) -> Vec<MetricDatum> {
    let report = stats.report(stream, application, Instant::now());
    let datum = |behind_ms: u64| {
        MetricDatum::builder()
            .metric_name("MillisBehindLatest")
            .unit(StandardUnit::Milliseconds)
            .value(behind_ms as f64)
            .dimensions(dimension("Application", application))
            .dimensions(dimension("Stream", stream))
            .build()
    };
    report.behind_ms.map(datum).into_iter().collect()
}
