//! The producer's figures for others: its report, Prometheus and CloudWatch.

use std::sync::Arc;

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use prometheus_client::registry::Registry;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    pipeline::Pipeline,
    route::ShardMap,
    stats::{Sample, Unpublished},
};
use crate::{
    admin::{Subject, counter, gauge, shard_counters},
    report::Role,
};

/// What the admin port shows of the producer.
pub(crate) struct Status {
    pub(crate) stream: String,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) map: watch::Receiver<ShardMap>,
    pub(crate) draining: CancellationToken,
}

impl Subject for Status {
    fn role(&self) -> Role {
        let waiting = self.pipeline.waiting();
        Role::Producer(self.pipeline.stats.figures().report(&self.stream, waiting, Instant::now()))
    }

    fn is_ready(&self) -> bool {
        !self.draining.is_cancelled() && *self.map.borrow() != ShardMap::unknown()
    }

    fn register(&self, registry: &mut Registry) {
        // A copy, so that a slow scrape never holds up a request.
        let figures = self.pipeline.stats.figures().clone();
        for (name, what, flow) in [
            ("offered", "that clients asked to store", &figures.offered),
            ("accepted", "that Kinesis has confirmed", &figures.accepted),
            ("refused", "answered with 503", &figures.refused),
        ] {
            counter(registry, &format!("{name}_records"), &format!("User records {what}"), flow.records);
            counter(registry, &format!("{name}_bytes"), &format!("Bytes of user records {what}"), flow.bytes);
        }
        counter(registry, "sent_kinesis_records", "Kinesis records sent, retries included", figures.sent.records);
        counter(registry, "sent_kinesis_bytes", "Bytes of Kinesis records sent", figures.sent.bytes);
        let shards = || figures.shards.iter().map(|(shard_id, shard)| (&**shard_id, shard));
        let throttled = shards().map(|(shard_id, shard)| (shard_id, shard.throttled));
        shard_counters(registry, "throttled_kinesis_records", "Kinesis records that the shard refused", throttled);
        let retried = shards().map(|(shard_id, shard)| (shard_id, shard.retried));
        shard_counters(registry, "retried_kinesis_records", "Kinesis records sent again", retried);
        let budget = self.pipeline.budget.used() as f64;
        gauge(registry, "buffer_used_bytes", "Memory taken from the buffer's budget", budget);
        gauge(registry, "requests_in_flight", "PutRecords requests under way", figures.requests_in_flight as f64);
    }
}

/// The KPL's metrics since the last call.
pub(crate) fn cloudwatch_data(pipeline: &Pipeline, stream: &str) -> Vec<MetricDatum> {
    let Unpublished {
        user_records_put,
        user_records_data_put,
        kinesis_records_put,
        kinesis_records_data_put,
        all_errors,
        buffering_time,
    } = std::mem::take(&mut pipeline.stats.figures().unpublished);
    let dimension = crate::cloudwatch::dimension("StreamName", stream);
    [
        ("UserRecordsPut", StandardUnit::Count, user_records_put),
        ("UserRecordsDataPut", StandardUnit::Bytes, user_records_data_put),
        ("KinesisRecordsPut", StandardUnit::Count, kinesis_records_put),
        ("KinesisRecordsDataPut", StandardUnit::Bytes, kinesis_records_data_put),
        ("AllErrors", StandardUnit::Count, all_errors),
        ("BufferingTime", StandardUnit::Milliseconds, buffering_time),
    ]
    .into_iter()
    .filter(|(_, _, sample)| sample.count > 0.0)
    .map(|(name, unit, sample)| datum(name, unit, sample, &dimension))
    .collect()
}

fn datum(name: &str, unit: StandardUnit, sample: Sample, dimension: &Dimension) -> MetricDatum {
    let Sample { count, sum, min, max } = sample;
    let statistics = StatisticSet::builder().sample_count(count).sum(sum).minimum(min).maximum(max).build();
    MetricDatum::builder()
        .metric_name(name)
        .unit(unit)
        .statistic_values(statistics)
        .dimensions(dimension.clone())
        .build()
}
