//! What rivals have in common: one part for the stream, one for each service.

use jiff::Timestamp;

use super::super::{Contender, Metrics, Setup};
use crate::{
    decide::{Action, Outcome, Service},
    observe::{Observation, ServiceObservation},
    units::{ShardCount, TaskCount},
};

/// Seconds between two looks: what the shortest loop among the rivals needs, and a divisor of the others.
const PERIOD_S: u32 = 15;

/// What there is to see at one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) seen: &'a Observation,
    pub(super) metrics: &'a Metrics,
    pub(super) now: Timestamp,
}

impl View<'_> {
    pub(super) fn open_shards(&self) -> Option<u32> {
        self.seen.stream.open_shards.map(|open| open.value.0)
    }

    pub(super) fn is_active(&self) -> bool {
        self.seen.stream.status.as_ref().is_some_and(|status| status.value == "ACTIVE")
    }

    pub(super) fn update_shard_count(&self, from: u32, to: u32) -> Action {
        Action::UpdateShardCount { stream: self.seen.stream.name.clone(), from: ShardCount(from), to: ShardCount(to) }
    }

    fn service(&self, service: Service) -> &ServiceObservation {
        match service {
            Service::Producer => &self.seen.producer,
            Service::Consumer => &self.seen.consumer,
        }
    }
}

/// What scales the stream.
pub(super) trait ShardScaler: Send {
    fn decide(&mut self, view: &View<'_>) -> Option<Action>;

    /// What became of the last call.
    fn note(&mut self, _outcome: &Outcome) {}

    /// Its process is started anew; what lives in AWS's own services is not.
    fn restart(&mut self) {}
}

/// What scales a service.
pub(super) trait TaskScaler: Send {
    /// How many tasks there should be now, given how many are asked for.
    fn desired(&mut self, view: &View<'_>, service: Service, desired: u32) -> u32;
}

/// A contender put together.
pub(super) struct Rival {
    name: &'static str,
    setup: Setup,
    shards: Option<Box<dyn ShardScaler>>,
    consumers: Option<Box<dyn TaskScaler>>,
    producers: Option<Box<dyn TaskScaler>>,
}

impl Rival {
    pub(super) fn new(name: &'static str) -> Self {
        let setup = Setup { period_s: Some(PERIOD_S), ..Setup::default() };
        Self { name, setup, shards: None, consumers: None, producers: None }
    }

    pub(super) fn shards(mut self, scaler: impl ShardScaler + 'static) -> Self {
        self.shards = Some(Box::new(scaler));
        self
    }

    pub(super) fn consumers(mut self, scaler: impl TaskScaler + 'static) -> Self {
        self.consumers = Some(Box::new(scaler));
        self
    }

    pub(super) fn producers(mut self, scaler: impl TaskScaler + 'static) -> Self {
        self.producers = Some(Box::new(scaler));
        self
    }

    /// Consumers read with enhanced fan-out, so `GetRecords.*` do not exist.
    pub(super) fn fan_out(mut self) -> Self {
        self.setup.polls = Some(false);
        self
    }

    pub(super) fn on_demand(mut self) -> Self {
        self.setup.on_demand = true;
        self
    }

    pub(super) fn begin_with(mut self, shards: u32) -> Self {
        self.setup.shards = Some(shards);
        self
    }

    pub(super) fn begin_with_tasks(mut self, producers: u32, consumers: u32) -> Self {
        (self.setup.producers, self.setup.consumers) = (Some(producers), Some(consumers));
        self
    }
}

impl Contender for Rival {
    fn name(&self) -> &str {
        self.name
    }

    fn setup(&self) -> Setup {
        self.setup
    }

    fn tick(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) -> Vec<Action> {
        let view = View { seen, metrics, now };
        let stream = self.shards.as_mut().and_then(|scaler| scaler.decide(&view));
        let producers = self.producers.as_mut().and_then(|scaler| update(scaler.as_mut(), &view, Service::Producer));
        let consumers = self.consumers.as_mut().and_then(|scaler| update(scaler.as_mut(), &view, Service::Consumer));
        [stream, producers, consumers].into_iter().flatten().collect()
    }

    fn note(&mut self, outcome: &Outcome) {
        if !matches!(outcome.action, Action::UpdateService { .. })
            && let Some(scaler) = &mut self.shards
        {
            scaler.note(outcome);
        }
    }

    fn restart(&mut self, _ledger: &[Timestamp], _now: Timestamp) {
        if let Some(scaler) = &mut self.shards {
            scaler.restart();
        }
    }
}

fn update(scaler: &mut dyn TaskScaler, view: &View<'_>, service: Service) -> Option<Action> {
    let seen = view.service(service);
    let from = seen.desired?.value;
    let to = TaskCount(scaler.desired(view, service, from.0));
    (to != from).then(|| Action::UpdateService { service, name: seen.name.clone(), from, to })
}
