//! Which pipelines are driven: the deployment's own, and those that its policy names.
//!
//! Each has a loop of its own. Their turns are spread over the tick, a few at a time, so that what a few ask together
//! becomes one call and hundreds never ask at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    aws::Clients,
    chain::chain,
    clock::Clock,
    limits::{TURNS_AT_ONCE, TURNS_TOGETHER},
    observe::Account,
    pipeline::Pipeline,
    policy::{PipelineSpec, Policy},
    policy_in_force::PolicyInForce,
    reconcile::{Pace, reconcile},
    record::{Lead, Table, TableError},
    telemetry::Telemetry,
};

/// What all pipelines are driven with.
pub(crate) struct Pipelines {
    pub(crate) settings: Settings,
    pub(crate) clients: Clients,
    pub(crate) account: Arc<Account>,
    pub(crate) table: Table,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) clock: Clock,
    pub(crate) leads: watch::Receiver<Option<Lead>>,
}

/// What a pipeline is told to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) policy: Arc<Policy>,
    pub(crate) generation: u64,
    /// Why the stored policy is not in force.
    pub(crate) error: Option<String>,
    /// How far into each tick its turn begins.
    pub(crate) phase: Duration,
}

/// A pipeline that runs.
struct Running {
    spec: PipelineSpec,
    assignment: watch::Sender<Assignment>,
    stopping: CancellationToken,
}

impl Pipelines {
    /// Drives them whenever this process leads, until `stopping`. Returns when all turns have ended.
    pub(crate) async fn drive(self, stopping: CancellationToken) {
        let mut leads = self.leads.clone();
        while !stopping.is_cancelled() {
            let lead = leads.borrow_and_update().clone();
            if let Some(lead) = lead {
                let lost = async {
                    // Renewals of the same lead are not told.
                    let _ = leads.changed().await;
                };
                self.lead(&lead, lost, &stopping).await;
            } else {
                let _ = stopping.run_until_cancelled(leads.changed()).await;
            }
        }
    }

    /// Drives them during one lead.
    async fn lead(&self, lead: &Lead, lost: impl Future<Output = ()>, stopping: &CancellationToken) {
        let mut crew = Crew::new(self, lead, stopping.child_token());
        let following = async {
            let mut policy = None;
            let mut looks = tokio::time::interval(self.settings.tick);
            loop {
                looks.tick().await;
                if let Err(error) = self.look(&mut policy).await {
                    self.telemetry.failed();
                    tracing::warn!(error = chain(&error), "the policy cannot be read: the one in force stays");
                }
                if let Some(policy) = &policy {
                    crew.assign(self.wanted(policy));
                }
            }
        };
        tokio::select! {
            () = following => {}
            () = lost => {}
            () = stopping.cancelled() => {}
        }
        crew.ending.cancel();
        crew.turning.join_all().await;
    }

    async fn look(&self, policy: &mut Option<PolicyInForce>) -> Result<(), TableError> {
        let name = &self.settings.deployment;
        match policy {
            Some(policy) => policy.refresh(&self.table, name).await,
            None => {
                *policy = Some(PolicyInForce::recall(&self.table, name).await?);
                Ok(())
            }
        }
    }

    /// Every pipeline with what it is told, the deployment's own first.
    fn wanted(&self, policy: &PolicyInForce) -> Vec<(PipelineSpec, Assignment)> {
        // A pipeline with the deployment's name would write where the deployment's own does.
        let is_other = |spec: &&PipelineSpec| spec.name != self.settings.deployment;
        let mut specs: Vec<_> = policy.file.pipelines.iter().filter(is_other).cloned().collect();
        specs.sort_by(|one, other| one.name.cmp(&other.name));
        specs.insert(0, PipelineSpec { policy: policy.file.policy.clone(), ..self.own() });
        let phases = phases(specs.len(), self.settings.tick);
        let assign = |(spec, phase): (PipelineSpec, Duration)| {
            let assignment = Assignment {
                policy: Arc::new(spec.policy.clone()),
                generation: policy.generation,
                error: policy.error.clone(),
                phase,
            };
            (spec, assignment)
        };
        specs.into_iter().zip(phases).map(assign).collect()
    }

    /// The deployment's own pipeline, whose names are settings.
    fn own(&self) -> PipelineSpec {
        let Settings { deployment, stream, cluster, producer_service, consumer_service, application, .. } =
            self.settings.clone();
        PipelineSpec {
            name: deployment,
            stream,
            cluster: Some(cluster),
            producer_service: Some(producer_service),
            consumer_service: Some(consumer_service),
            application: Some(application),
            policy: Policy::default(),
        }
    }
}

/// The pipelines that are driven during one lead.
struct Crew<'a> {
    shared: &'a Pipelines,
    lead: &'a Lead,
    began: Instant,
    permits: Arc<Semaphore>,
    ending: CancellationToken,
    running: BTreeMap<String, Running>,
    turning: JoinSet<()>,
}

impl<'a> Crew<'a> {
    fn new(shared: &'a Pipelines, lead: &'a Lead, ending: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(TURNS_AT_ONCE));
        let began = Instant::now();
        Self { shared, lead, began, permits, ending, running: BTreeMap::new(), turning: JoinSet::new() }
    }

    /// Starts, tells and stops pipelines, so that these are driven as wanted. One of which another part is meant than
    /// before begins anew, from what the control table has of it.
    fn assign(&mut self, wanted: Vec<(PipelineSpec, Assignment)>) {
        self.running.retain(|name, running| {
            let stays = wanted.iter().any(|(spec, _)| same_parts(spec, &running.spec));
            if !stays {
                tracing::info!(pipeline = name, "no longer driven");
                running.stopping.cancel();
            }
            stays
        });
        for (spec, assignment) in wanted {
            let Some(running) = self.running.get(&spec.name) else {
                self.start(spec, assignment);
                continue;
            };
            running.assignment.send_if_modified(|current| {
                let changes = *current != assignment;
                *current = assignment;
                changes
            });
        }
        // Only those that were stopped have ended.
        while self.turning.try_join_next().is_some() {}
    }

    fn start(&mut self, spec: PipelineSpec, assignment: Assignment) {
        let (sender, assigned) = watch::channel(assignment);
        let stopping = self.ending.child_token();
        let pipeline = Pipeline::new(self.shared, Arc::new(spec.clone()), self.lead.clone());
        let pace = Pace { tick: self.shared.settings.tick, began: self.began, permits: self.permits.clone() };
        self.turning.spawn(reconcile(pipeline, pace, assigned, self.shared.telemetry.clone(), stopping.clone()));
        self.running.insert(spec.name.clone(), Running { spec, assignment: sender, stopping });
    }
}

/// Whether two pipelines are about the same things, whatever is asked of them.
fn same_parts(one: &PipelineSpec, other: &PipelineSpec) -> bool {
    one.names() == other.names()
}

/// When in a tick each of `count` pipelines begins its turn: a few together, these evenly over the tick.
fn phases(count: usize, tick: Duration) -> impl Iterator<Item = Duration> {
    let moments = count.div_ceil(TURNS_TOGETHER).max(1);
    let spacing = tick / u32::try_from(moments).unwrap_or(u32::MAX);
    (0..count).map(move |rank| spacing * u32::try_from(rank / TURNS_TOGETHER).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly_over_the_tick_a_few_at_a_time() {
        let tick = Duration::from_secs(12);
        let seconds = |count| phases(count, tick).map(|phase| phase.as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(1), [0]);
        assert_eq!(seconds(7), [0, 0, 0, 0, 0, 6, 6]);
        assert_eq!(seconds(12), [0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 8, 8]);
    }
}
