//! AWS and the tasks' reports, read into one [`Observation`]. Reads only.
//!
//! Every part is read at the same time as the others and with a timeout of its own. A part that cannot be read is
//! absent and adds a line to the blind spots; the rest is still worth having.

mod hash_key;
mod leases;
mod load;
mod metrics;
mod observation;
mod reports;
mod services;
mod stream;

pub use observation::{
    ForeignScaler, KeyRange, KeyShare, LoadObservation, Observation, Reading, SHARDS_SHOWN, ServiceObservation,
    ShardLoad, Source, StreamObservation,
};

use jiff::Timestamp;

use crate::{Settings, aws::Clients, chain::chain};
use leases::Leases;
use metrics::Metrics;
use reports::Reports;
use services::Fleet;
use stream::Stream;

/// Looks at one pipeline, again and again.
pub(crate) struct Observer {
    clients: Clients,
    settings: Settings,
    reports: Reports,
    metrics: Metrics,
}

impl Observer {
    pub(crate) fn new(clients: Clients, settings: &Settings) -> Self {
        let metrics = Metrics::new(clients.cloudwatch.clone(), settings);
        Self { clients, settings: settings.clone(), reports: Reports::new(settings.admin_port), metrics }
    }

    /// Everything that can be known now.
    pub(crate) async fn observe(&mut self, now: Timestamp) -> Observation {
        let Settings { stream, cluster, producer_service, consumer_service, application, .. } = &self.settings;
        // Boxed, because the SDK's futures are large and all of them together would fill a thread's stack.
        let (stream, producer, consumer, leases) = tokio::join!(
            Box::pin(Stream::read(&self.clients.kinesis, stream)),
            Box::pin(Fleet::read(&self.clients.ecs, &self.reports, cluster, producer_service)),
            Box::pin(Fleet::read(&self.clients.ecs, &self.reports, cluster, consumer_service)),
            Box::pin(Leases::read(&self.clients.dynamodb, application)),
        );
        let mut blind = BlindSpots::default();
        let stream = blind.see("the stream", stream);
        let leases = blind.see("the lease table", leases);
        let producer = blind.see("the producer service", producer).unwrap_or_default();
        let consumer = blind.see("the consumer service", consumer).unwrap_or_default();
        blind.0.extend(producer.blind_spots(producer_service).chain(consumer.blind_spots(consumer_service)));
        let work = leases.as_ref().zip(stream.as_ref()).map(|(leases, stream)| leases.work(stream));
        let mut seen = Observation {
            at: now,
            stream: stream::observation(&self.settings.stream, stream.as_ref(), work.as_ref(), now),
            producer: producer.observation(producer_service, now),
            consumer: consumer.observation(consumer_service, now),
            load: load::from_reports(&producer, &consumer, work.as_ref(), now),
            foreign: Vec::new(),
            blind_spots: Vec::new(),
        };
        if load::is_incomplete(&seen) {
            match self.metrics.read(now).await {
                Ok(minute) => load::fill(&mut seen, &minute, consumer.reports.is_empty()),
                Err(error) => blind.add("CloudWatch", &error),
            }
        }
        seen.blind_spots = blind.0;
        seen
    }
}

/// What could not be read, for people.
#[derive(Default)]
struct BlindSpots(Vec<String>);

impl BlindSpots {
    fn see<T, E: std::error::Error>(&mut self, what: &str, read: Result<T, E>) -> Option<T> {
        read.inspect_err(|error| self.add(what, error)).ok()
    }

    fn add(&mut self, what: &str, error: &dyn std::error::Error) {
        self.0.push(format!("cannot read {what}: {}", chain(error)));
    }
}
