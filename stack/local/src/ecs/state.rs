//! Everything ECS knows, behind one lock that is held briefly.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    definitions::Definition,
    names::{self, Names},
    services::LoadBalancer,
    settings::Settings,
    tags::Tags,
};
use crate::service::AwsError;

/// How many events of a service are kept, as ECS does.
const EVENTS_KEPT: usize = 100;

/// The fields that a caller gave and gets back unchanged.
pub(super) type Given = Map<String, Value>;

pub(super) struct State {
    pub(super) names: Names,
    pub(super) settings: Settings,
    pub(super) clusters: BTreeMap<String, Cluster>,
    /// By family and revision. Revisions are never reused, so deregistered ones stay.
    pub(super) definitions: BTreeMap<(String, u32), Arc<Definition>>,
    /// The last revision of every family that ever was.
    pub(super) revisions: BTreeMap<String, u32>,
    /// By cluster and name.
    pub(super) services: BTreeMap<(String, String), Service>,
    /// By id, stopped ones included.
    pub(super) tasks: BTreeMap<String, Task>,
    /// Set once: nothing is started any more.
    pub(super) stopping: bool,
}

pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) given: Given,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

pub(super) struct Service {
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) status: ServiceStatus,
    pub(super) desired: u32,
    pub(super) created_at: Duration,
    pub(super) given: Given,
    pub(super) minimum_percent: u32,
    pub(super) maximum_percent: u32,
    pub(super) breaker: Breaker,
    pub(super) load_balancers: Vec<LoadBalancer>,
    pub(super) grace: Duration,
    pub(super) propagates_own_tags: bool,
    pub(super) tags: Tags,
    /// The primary one first.
    pub(super) deployments: Vec<Deployment>,
    /// The deployment that last completed: where a rollback goes.
    pub(super) proven: Option<Deployment>,
    /// Newest first.
    pub(super) events: VecDeque<Event>,
    /// Whether the present state was announced as steady.
    pub(super) steady: bool,
    pub(super) early_deaths: u32,
    /// No task is started before this.
    pub(super) start_after: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Breaker {
    pub(super) enabled: bool,
    pub(super) rolls_back: bool,
}

pub(super) struct Event {
    pub(super) id: String,
    pub(super) at: Duration,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

#[derive(Clone)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) definition: Arc<Definition>,
    pub(super) created_at: Duration,
    pub(super) updated_at: Duration,
    pub(super) rollout: Rollout,
    pub(super) reason: String,
    /// Tasks of this deployment that ended unasked, in a row.
    pub(super) failures: u32,
}

/// ECS's names for where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopping,
    Stopped,
}

pub(super) struct Task {
    pub(super) id: String,
    pub(super) cluster: String,
    pub(super) definition: Arc<Definition>,
    /// The service it belongs to.
    pub(super) service: Option<String>,
    /// The deployment's id for tasks of services, else what the caller of `RunTask` said.
    pub(super) started_by: Option<String>,
    pub(super) group: String,
    pub(super) given: Given,
    pub(super) overrides: Overrides,
    pub(super) load_balancers: Vec<LoadBalancer>,
    pub(super) tags: Tags,
    pub(super) status: Status,
    pub(super) launched: bool,
    /// Whether its deployment has counted it as healthy.
    pub(super) proven: bool,
    pub(super) created_at: Duration,
    pub(super) started_at: Option<Duration>,
    pub(super) stopping_at: Option<Duration>,
    pub(super) stopped_at: Option<Duration>,
    pub(super) end: Option<End>,
    pub(super) exit_code: Option<i32>,
    /// Cancelled when the task shall stop.
    pub(super) stop: CancellationToken,
    pub(super) attachment: String,
    pub(super) address: Option<IpAddr>,
    /// Container ports that had to be moved, and where they are.
    pub(super) moved_ports: Vec<(u16, u16)>,
    pub(super) targets: Vec<(String, SocketAddr)>,
    /// The process, while it runs.
    pub(super) pid: Option<u32>,
}

/// What `RunTask` may say differently from the task definition.
#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) command: Option<Vec<String>>,
    pub(super) environment: Vec<(String, String)>,
}

/// Why a task stopped, in ECS's words.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
        }
    }
}

impl Rollout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

impl ServiceStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl Task {
    /// Whether ECS wants it to run: it is neither stopped nor asked to.
    pub(super) fn is_wanted(&self) -> bool {
        self.stopping_at.is_none() && self.stopped_at.is_none()
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_wanted() && self.status == Status::Running
    }

    pub(super) fn belongs_to(&self, service: &Service) -> bool {
        self.cluster == service.cluster && self.service.as_deref() == Some(&service.name)
    }

    /// Asks the task to stop, once: the first reason stays.
    pub(super) fn ask_to_stop(&mut self, now: Duration, code: &'static str, reason: String) {
        if self.is_wanted() {
            self.stopping_at = Some(now);
            self.end = Some(End { code, reason });
            self.stop.cancel();
        }
    }
}

impl Service {
    pub(super) fn say(&mut self, now: Duration, text: &str) {
        let message = format!("(service {}) {text}", self.name);
        self.events.push_front(Event { id: uuid::Uuid::new_v4().to_string(), at: now, message });
        self.events.truncate(EVENTS_KEPT);
    }

    /// Puts a new deployment in front, which replaces the others.
    pub(super) fn deploy(&mut self, definition: Arc<Definition>, now: Duration) {
        let id = deployment_id();
        let reason = format!("ECS deployment {id} in progress.");
        let rollout = Rollout::InProgress;
        self.deployments
            .insert(0, Deployment { id, definition, created_at: now, updated_at: now, rollout, reason, failures: 0 });
        self.early_deaths = 0;
        self.start_after = now;
        self.steady = false;
    }
}

/// `ecs-svc/` and nineteen digits.
fn deployment_id() -> String {
    let digits = uuid::Uuid::new_v4().as_u128() % 10_u128.pow(19);
    format!("ecs-svc/{digits:019}")
}

impl State {
    pub(super) fn new(names: Names, settings: Settings) -> Self {
        Self {
            names,
            settings,
            clusters: BTreeMap::new(),
            definitions: BTreeMap::new(),
            revisions: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            stopping: false,
        }
    }

    /// The active cluster that a call names; none means `default`.
    pub(super) fn cluster(&self, reference: Option<&str>) -> Result<&Cluster, AwsError> {
        let name = names::name_of(reference.unwrap_or("default"));
        let active = self.clusters.get(name).filter(|cluster| cluster.active);
        active.ok_or_else(|| AwsError::new("ClusterNotFoundException", "Cluster not found."))
    }

    pub(super) fn tasks_of<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Task> {
        self.tasks.values().filter(|task| task.belongs_to(service))
    }

    /// The definition that a call names; it must be registered.
    pub(super) fn active_definition(&self, reference: &str) -> Result<Arc<Definition>, AwsError> {
        let found = self.definition(reference).filter(|definition| definition.is_active());
        found.ok_or_else(|| AwsError::new("ClientException", "TaskDefinition not found."))
    }

    /// The definition that a call names, deregistered ones included where the revision is stated.
    pub(super) fn definition(&self, reference: &str) -> Option<Arc<Definition>> {
        let (family, revision) = names::definition_of(reference);
        match revision {
            Some(revision) => self.definitions.get(&(family.to_owned(), revision)).cloned(),
            None => {
                let revisions = self.definitions.range((family.to_owned(), 0)..=(family.to_owned(), u32::MAX));
                revisions.rev().map(|(_, definition)| definition).find(|definition| definition.is_active()).cloned()
            }
        }
    }

    /// Forgets the stopped tasks that ended first, down to the number that is kept.
    pub(super) fn forget_old_tasks(&mut self) {
        let mut stopped: Vec<_> =
            self.tasks.values().filter_map(|task| Some((task.stopped_at?, task.id.clone()))).collect();
        let excess = stopped.len().saturating_sub(self.settings.stopped_tasks_kept);
        if excess > 0 {
            stopped.sort();
            for (_, id) in stopped.drain(..excess) {
                self.tasks.remove(&id);
            }
        }
    }
}
