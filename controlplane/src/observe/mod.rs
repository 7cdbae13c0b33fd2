//! AWS and the tasks' reports, read into one [`Observation`]. Reads only.
//!
//! Every part is read at the same time as the others and with a timeout of its own. A part that cannot be read is
//! absent and adds a line to the blind spots; the rest is still worth having.

mod account;
mod hash_key;
mod leases;
mod load;
mod metrics;
mod observation;
mod reports;
mod services;
mod shards;
mod stream;

pub use observation::{
    ForeignScaler, KeyRange, KeyShare, LoadObservation, Observation, Reading, SHARDS_SHOWN, ServiceObservation,
    ShardLoad, Source, StreamObservation,
};

pub(crate) use account::Account;

use std::sync::Arc;

use jiff::Timestamp;

use crate::{chain::chain, limits::TAGS_AGE, policy::PipelineSpec};
use account::{Cached, Failed};
use leases::Leases;
use metrics::Minute;
use reports::Reports;
use services::{Fleet, Service};
use stream::Stream;

/// Looks at one pipeline, again and again.
pub(crate) struct Observer {
    account: Arc<Account>,
    /// Whose control plane this is.
    deployment: String,
    spec: Arc<PipelineSpec>,
    reports: Reports,
    producer: Option<Service>,
    consumer: Option<Service>,
    tagged: Cached<Option<String>>,
}

impl Observer {
    pub(crate) fn new(account: Arc<Account>, deployment: &str, spec: Arc<PipelineSpec>, admin_port: u16) -> Self {
        let service = |name: &Option<String>| Some(Service::new(spec.cluster.as_ref()?, name.as_ref()?));
        Self {
            producer: service(&spec.producer_service),
            consumer: service(&spec.consumer_service),
            reports: Reports::new(admin_port),
            tagged: Cached::new(TAGS_AGE),
            deployment: deployment.to_owned(),
            account,
            spec,
        }
    }

    /// Everything that can be known now.
    pub(crate) async fn observe(&mut self, now: Timestamp) -> Observation {
        let (account, spec, reports) = (&self.account, &self.spec, &self.reports);
        // Boxed, because the SDK's futures are large and all of them together would fill a thread's stack.
        let (stream, producer, consumer, leases, shards_left) = tokio::join!(
            Box::pin(Stream::read(account, &spec.stream)),
            Box::pin(fleet(self.producer.as_mut(), account, reports)),
            Box::pin(fleet(self.consumer.as_mut(), account, reports)),
            Box::pin(leases(account, spec.application.as_deref())),
            Box::pin(account.shards_left()),
        );
        let mut blind = BlindSpots::default();
        let stream = blind.see("the stream", stream);
        let leases = blind.see("the lease table", leases).flatten();
        let producer = blind.see("the producer service", producer).unwrap_or_default();
        let consumer = blind.see("the consumer service", consumer).unwrap_or_default();
        let shards_left = blind.see("the account's limits", shards_left);
        let name = |service: &Option<Service>| service.as_ref().map(|it| it.name.clone()).unwrap_or_default();
        let (producer_name, consumer_name) = (name(&self.producer), name(&self.consumer));
        blind.0.extend(producer.blind_spots(&producer_name).chain(consumer.blind_spots(&consumer_name)));
        let work = leases.as_ref().zip(stream.as_ref()).map(|(leases, stream)| leases.work(stream));
        let open = stream.as_ref().map(|stream| stream.open.as_slice());
        let mut seen = Observation {
            at: now,
            stream: stream::observation(&spec.stream, stream.as_ref(), work.as_ref(), shards_left, now),
            producer: producer.observation(&producer_name, now),
            consumer: consumer.observation(&consumer_name, now),
            load: load::from_reports(&producer, &consumer, open, work.as_ref(), now),
            foreign: self.foreign(stream.is_some(), &producer, &consumer, &mut blind).await,
            blind_spots: Vec::new(),
        };
        self.fill(&mut seen, stream.as_ref(), consumer.reports.is_empty(), &mut blind).await;
        seen.load.busiest_shards = shards::busiest(&seen.load.shards);
        seen.blind_spots = blind.0;
        seen
    }

    /// Adds what only CloudWatch knows.
    async fn fill(&self, seen: &mut Observation, stream: Option<&Stream>, is_foreign: bool, blind: &mut BlindSpots) {
        if load::is_incomplete(seen)
            && let Some(minute) = blind.see("CloudWatch", Minute::read(&self.account, &self.spec, seen.at).await)
        {
            load::fill(seen, &minute, is_foreign);
        }
        if let Some(stream) = stream.filter(|_| seen.load.shards.is_empty()) {
            let loads = metrics::shards(&self.account, &self.spec.stream, stream, seen.at).await;
            let loads = blind.see("the shards' metrics", loads).filter(|loads| !loads.is_empty());
            seen.load.shards = loads.map(|loads| shards::of_open(&stream.open, loads)).unwrap_or_default();
        }
    }

    /// Who else changes the counts.
    async fn foreign(
        &self,
        has_stream: bool,
        producer: &Fleet,
        consumer: &Fleet,
        blind: &mut BlindSpots,
    ) -> Vec<ForeignScaler> {
        let mut found = Vec::new();
        if has_stream {
            let tagged = self.tagged.get(Stream::deployment(&self.account, &self.spec.stream)).await;
            let tagged = blind.see("the stream's tags", tagged).flatten();
            found.extend(self.other_deployment(&self.spec.stream, tagged.as_deref()));
        }
        for (service, fleet) in [(&self.producer, producer), (&self.consumer, consumer)] {
            let Some(service) = service else { continue };
            found.extend(self.other_deployment(&service.name, fleet.deployment()));
            let scaled = self.account.scalers.scale(&service.cluster, &service.name).await;
            if blind.see("scalable targets", scaled).unwrap_or_default() {
                let kind = "Application Auto Scaling".to_owned();
                found.push(ForeignScaler { target: service.name.clone(), kind });
            }
        }
        found
    }

    fn other_deployment(&self, target: &str, tagged: Option<&str>) -> Option<ForeignScaler> {
        let other = tagged.filter(|other| *other != self.deployment)?;
        Some(ForeignScaler { target: target.to_owned(), kind: format!("the deployment {other} of Weir") })
    }
}

/// A service that is not named has no tasks and no blind spots.
async fn fleet(service: Option<&mut Service>, account: &Account, reports: &Reports) -> Result<Fleet, Failed> {
    match service {
        Some(service) => service.read(account, reports).await,
        None => Ok(Fleet::default()),
    }
}

async fn leases(account: &Account, application: Option<&str>) -> Result<Option<Leases>, aws_sdk_dynamodb::Error> {
    match application {
        Some(application) => Leases::read(&account.clients.dynamodb, application).await.map(Some),
        None => Ok(None),
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
