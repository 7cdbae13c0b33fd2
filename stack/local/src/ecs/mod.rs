//! ECS: clusters, task definitions, services and tasks, where a task is a process of this machine.
//!
//! Calls change the [`state`]; the scheduler looks at it, decides with [`plan`] and launches runners, one for each task.
//! What differs from AWS: a task definition has one container, which must be one of this machine's programs (see
//! [`program`]); its `healthCheck` command is not run, since the program it would call is inside an image; all tasks are
//! in one availability zone.

mod clusters;
mod definitions;
mod errors;
mod metadata;
mod names;
mod output;
mod paging;
mod place;
mod plan;
mod process;
mod program;
mod reconcile;
mod runner;
mod services;
mod settings;
mod state;
mod tags;
mod tasks;
mod usage;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    names::Names,
    place::Places,
    runner::Assignment,
    state::{State, Task},
};
use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

pub use self::settings::Settings;

/// ECS: clusters, task definitions, services and tasks, where a task is a process of this machine.
pub struct Ecs {
    context: Context,
    settings: Settings,
    state: Mutex<State>,
    /// Wakes the scheduler before its time.
    wake: Notify,
    places: Places,
    runners: TaskTracker,
    /// Cancelled when every task shall end for good.
    shutdown: CancellationToken,
}

impl Ecs {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        let ecs = Arc::new(Self {
            state: Mutex::new(State::new(Names(context.identity.clone()), settings.clone())),
            places: Places::new(settings.address_per_task, settings.port_variables.clone()),
            wake: Notify::new(),
            runners: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            context,
            settings,
        });
        ecs.context.tasks.spawn(schedule(ecs.clone()));
        ecs.context.tasks.spawn(usage::measure(ecs.clone()));
        ecs
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let answer = answer(&mut self.state(), self.context.clock.now(), &call)?;
        self.wake.notify_one();
        Reply::json(&answer)
    }

    /// Stops every task process and returns when none is left. Takes at most [`Settings::shutdown_time_max`] and the
    /// moment that killing takes.
    pub async fn stop(&self) {
        {
            let now = self.context.clock.now();
            let mut state = self.state();
            state.stopping = true;
            for task in state.tasks.values_mut() {
                task.ask_to_stop(now, "TerminationNotice", "localcloud is stopping".to_owned());
            }
        }
        self.shutdown.cancel();
        self.runners.close();
        self.runners.wait().await;
    }

    /// Everything that carries tags: clusters, services, active task definitions and tasks that are not stopped.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        tags::tagged(&self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_task(&self, id: &str, change: impl FnOnce(&mut Task, Duration)) {
        if let Some(task) = self.state().tasks.get_mut(id) {
            change(task, self.context.clock.now());
        }
        self.wake.notify_one();
    }

    /// Adds an event to the service of a task.
    fn say_of_task(&self, id: &str, text: &str) {
        let mut state = self.state();
        let task = state.tasks.get(id);
        let key = task.and_then(|task| Some((task.cluster.clone(), task.service.clone()?)));
        if let Some(service) = key.and_then(|key| state.services.get_mut(&key)) {
            service.say(self.context.clock.now(), text);
        }
    }

    /// Returns when the time for tasks to end by themselves is over.
    async fn shutdown_is_over(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(self.settings.shutdown_time_max).await;
    }

    /// Looks at everything once, and launches what is to be started.
    fn look(self: &Arc<Self>, metadata: Option<&str>) {
        let Ok(peers) = self.context.peers.services() else { return };
        let mut state = self.state();
        let probe = |group: &str, target| peers.balancer.health(group, target);
        reconcile::reconcile(&mut state, self.context.clock.now(), &probe);
        if state.stopping {
            return;
        }
        for task in state.tasks.values_mut().filter(|task| !task.launched) {
            task.launched = true;
            let assignment = Assignment {
                id: task.id.clone(),
                definition: task.definition.clone(),
                overrides: task.overrides.clone(),
                load_balancers: task.load_balancers.clone(),
                stop: task.stop.clone(),
            };
            // Under the lock, so that a stop waits for every runner that there is.
            self.runners.spawn(runner::run(self.clone(), peers.clone(), assignment, metadata.map(str::to_owned)));
        }
    }
}

/// Looks at everything again and again until the endpoint stops.
async fn schedule(ecs: Arc<Ecs>) {
    let metadata = metadata::serve(&ecs).await;
    if let Err(error) = &metadata {
        tracing::warn!(%error, "tasks run without a metadata endpoint");
    }
    let metadata = metadata.ok();
    let mut interval = tokio::time::interval(ecs.settings.look_again);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !ecs.context.stopping.is_cancelled() {
        tokio::select! {
            () = ecs.context.stopping.cancelled() => return,
            () = ecs.wake.notified() => {}
            _ = interval.tick() => {}
        }
        ecs.look(metadata.as_deref());
    }
}

fn answer(state: &mut State, now: Duration, call: &Call) -> Result<Value, AwsError> {
    match call.operation.as_str() {
        "CreateCluster" => clusters::create(state, call.input()?),
        "DescribeClusters" => Ok(clusters::describe(state, &call.input()?)),
        "ListClusters" => clusters::list(state, &call.input()?),
        "DeleteCluster" => clusters::delete(state, &call.input()?),
        "UpdateCluster" | "UpdateClusterSettings" | "PutClusterCapacityProviders" => {
            clusters::update(state, call.input()?)
        }
        "RegisterTaskDefinition" => definitions::register(state, now, call.input()?),
        "DescribeTaskDefinition" => definitions::describe(state, &call.input()?),
        "ListTaskDefinitions" => definitions::list(state, &call.input()?),
        "ListTaskDefinitionFamilies" => definitions::list_families(state, &call.input()?),
        "DeregisterTaskDefinition" => definitions::deregister(state, now, &call.input()?),
        "DeleteTaskDefinitions" => definitions::delete(state, &call.input()?),
        "CreateService" => services::create(state, now, call.input()?),
        "UpdateService" => services::update(state, now, call.input()?),
        "DescribeServices" => services::describe(state, &call.input()?),
        "ListServices" => services::list(state, &call.input()?),
        "DeleteService" => services::delete(state, &call.input()?),
        "RunTask" => tasks::run(state, now, call.input()?),
        "StopTask" => tasks::stop(state, now, call.input()?),
        "ListTasks" => tasks::list(state, &call.input()?),
        "DescribeTasks" => tasks::describe(state, &call.input()?),
        "TagResource" => tags::tag(state, &call.input()?),
        "UntagResource" => tags::untag(state, &call.input()?),
        "ListTagsForResource" => tags::list(state, &call.input()?),
        other => Err(AwsError::not_implemented("ecs", other)),
    }
}
