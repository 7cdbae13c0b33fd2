//! The life of one task, from its place to its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{
    Ecs,
    definitions::Definition,
    names,
    place::Place,
    process::{Exit, Process},
    program::{self, Program, Surroundings},
    reconcile,
    services::LoadBalancer,
    state::{End, Overrides, Status},
};
use crate::cloud::Services;

/// Seconds between SIGTERM and SIGKILL where the definition says nothing (ECS's default of `stopTimeout`).
const STOP_TIMEOUT_DEFAULT: u64 = 30;

/// Variables of this process that every task gets: programs are found, and find their files, as they do here.
const OWN_VARIABLES: [&str; 2] = ["PATH", "HOME"];

/// What a runner needs to know of its task.
pub(super) struct Assignment {
    pub(super) id: String,
    pub(super) definition: Arc<Definition>,
    pub(super) overrides: Overrides,
    pub(super) load_balancers: Vec<LoadBalancer>,
    pub(super) stop: CancellationToken,
}

/// Runs a task to its end. Where nobody asked it to stop, the end counts as a failure of its deployment.
pub(super) async fn run(ecs: Arc<Ecs>, services: Arc<Services>, task: Assignment, metadata: Option<String>) {
    let runner = Runner { ecs, services, task, metadata };
    match runner.start() {
        Err(reason) => runner.finish(None, "TaskFailedToStart", reason),
        Ok(None) => runner.finish(None, "TaskFailedToStart", "the task was stopped before it started".to_owned()),
        Ok(Some((place, process))) => runner.attend(place, process).await,
    }
}

struct Runner {
    ecs: Arc<Ecs>,
    services: Arc<Services>,
    task: Assignment,
    metadata: Option<String>,
}

impl Runner {
    /// Finds a place and an image and starts the process. `None` when the task was stopped before.
    fn start(&self) -> Result<Option<(Place, Process)>, String> {
        let place =
            self.ecs.places.reserve().map_err(|error| format!("ResourceInitializationError: no address: {error}"))?;
        self.ecs.change_task(&self.task.id, |task, _| {
            task.status = Status::Pending;
            task.address = Some(place.address);
            task.moved_ports = place.moved.iter().map(|(from, to, _)| (*from, *to)).collect();
        });
        if self.task.stop.is_cancelled() {
            return Ok(None);
        }
        let program = self.program(&place)?;
        let process = Process::start(&program, self.log())
            .map_err(|error| format!("CannotStartContainerError: {}: {error}", program.path))?;
        Ok(Some((place, process)))
    }

    fn program(&self, place: &Place) -> Result<Program, String> {
        let container = &self.task.definition.container;
        let (repository, reference) = names::image_of(&container.image).ok_or_else(|| {
            format!("CannotPullContainerError: {} is not an image of this endpoint's registry", container.image)
        })?;
        let image = self.services.ecr.image_config(repository, reference)?;
        program::program(container, &self.task.overrides, &image, &self.surroundings(place))
    }

    fn surroundings(&self, place: &Place) -> Surroundings {
        let context = &self.ecs.context;
        let own = OWN_VARIABLES.into_iter().chain(self.ecs.settings.pass_environment.iter().map(String::as_str));
        let own = own.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        let stated = [
            ("AWS_REGION", context.identity.region.as_str()),
            ("AWS_DEFAULT_REGION", context.identity.region.as_str()),
            ("AWS_ACCESS_KEY_ID", "localcloud"),
            ("AWS_SECRET_ACCESS_KEY", "localcloud"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let stated = stated.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut surroundings = Surroundings { defaults: own.chain(stated).collect(), fixed: Vec::new() };
        surroundings.fix("AWS_ENDPOINT_URL", &context.endpoint_url);
        surroundings.fix_address(place.address);
        for (_, port, variable) in &place.moved {
            surroundings.fix(variable, port.to_string());
        }
        if let Some(metadata) = &self.metadata {
            surroundings.fix("ECS_CONTAINER_METADATA_URI_V4", format!("{metadata}/v4/{}", self.task.id));
        }
        surroundings
    }

    /// Where the task's lines go: `<prefix>/<container>/<task>` of its log group, or nowhere.
    fn log(&self) -> impl Fn(Bytes) + Clone + Send + 'static {
        let container = &self.task.definition.container;
        let stream = container.log().map(|(group, prefix)| {
            let id = &self.task.id;
            let stream = prefix.map_or_else(|| id.clone(), |prefix| format!("{prefix}/{}/{id}", container.name));
            (group.to_owned(), stream)
        });
        let logs = self.services.logs.clone();
        move |line| {
            if let Some((group, stream)) = &stream {
                logs.append(group, stream, line);
            }
        }
    }

    /// Sees a started process to its end.
    async fn attend(&self, place: Place, mut process: Process) {
        let targets: Vec<_> = self
            .task
            .load_balancers
            .iter()
            .map(|balancer| (balancer.target_group_arn.clone(), place.socket(balancer.container_port)))
            .collect();
        self.ecs.change_task(&self.task.id, |task, now| {
            task.status = Status::Running;
            task.started_at = Some(now);
            task.pid = Some(process.id());
            task.targets.clone_from(&targets);
        });
        self.register(&targets);
        let exit = tokio::select! {
            exit = process.ended() => {
                self.withdraw(&targets);
                exit
            }
            () = self.task.stop.cancelled() => self.end(&mut process, &targets).await,
        };
        process.clean_up().await;
        // The place is free only now that nothing can listen there any more.
        drop(place);
        match exit {
            Ok(exit) => {
                self.finish(
                    Some(exit),
                    "EssentialContainerExited",
                    format!("Essential container in task exited: {exit}"),
                );
            }
            Err(error) => self.finish(None, "EssentialContainerExited", format!("the process was lost: {error}")),
        }
    }

    fn register(&self, targets: &[(String, SocketAddr)]) {
        for (group, target) in targets {
            match self.services.balancer.register(group, *target) {
                Ok(()) => self.say(&format!("registered 1 targets in (target-group {group})")),
                Err(error) => self.say(&format!("failed to register targets in (target-group {group}) with ({error})")),
            }
        }
    }

    /// A dead process has no requests to finish.
    fn withdraw(&self, targets: &[(String, SocketAddr)]) {
        for (group, target) in targets {
            self.services.balancer.withdraw(group, *target);
        }
    }

    /// Drains the task's targets, then ends its process: SIGTERM, patience, SIGKILL.
    async fn end(&self, process: &mut Process, targets: &[(String, SocketAddr)]) -> std::io::Result<Exit> {
        self.ecs.change_task(&self.task.id, |task, _| task.status = Status::Deactivating);
        for (group, _) in targets {
            self.say(&format!("deregistered 1 targets in (target-group {group})"));
        }
        tokio::select! {
            _ = join_all(targets.iter().map(|(group, target)| self.services.balancer.deregister(group, *target))) => {}
            exit = process.ended() => {
                self.withdraw(targets);
                return exit;
            }
            () = self.ecs.shutdown.cancelled() => self.withdraw(targets),
        }
        self.ecs.change_task(&self.task.id, |task, _| task.status = Status::Stopping);
        let stop_timeout = self.task.definition.container.stop_timeout.unwrap_or(STOP_TIMEOUT_DEFAULT);
        let patience = async {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(stop_timeout)) => {}
                () = self.ecs.shutdown_is_over() => {}
            }
        };
        process.terminate(patience).await
    }

    fn say(&self, text: &str) {
        self.ecs.say_of_task(&self.task.id, text);
    }

    /// Records the end. A reason that somebody gave for stopping the task stays.
    fn finish(&self, exit: Option<Exit>, code: &'static str, reason: String) {
        let now = self.ecs.context.clock.now();
        let mut state = self.ecs.state();
        let state = &mut *state;
        let Some(task) = state.tasks.get_mut(&self.task.id) else { return };
        let unasked = task.is_wanted();
        task.status = Status::Stopped;
        task.stopping_at.get_or_insert(now);
        task.stopped_at = Some(now);
        task.pid = None;
        task.exit_code = exit.map(Exit::code);
        tracing::info!(task = task.id, family = task.definition.family, unasked, reason, "a task stopped");
        task.end.get_or_insert(End { code, reason });
        let key = task.service.clone().map(|service| (task.cluster.clone(), service));
        if unasked && let Some(service) = key.and_then(|key| state.services.get_mut(&key)) {
            reconcile::note_failure(service, task, now, &state.settings);
        }
        self.ecs.wake.notify_one();
    }
}
