//! The producer's figures on its admin port: its report and Prometheus.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{pipeline::Pipeline, route::ShardMap};
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
        let copies = figures.possible_copies;
        let what = "User records stored by a further try after one without an answer: each may be in the stream twice";
        counter(registry, "possible_copies_records", what, copies);
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
