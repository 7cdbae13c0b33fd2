//! Tasks that stopped: on the way up they tell why a service does not become steady.

use std::collections::HashSet;

use aws_sdk_ecs::types::{DesiredStatus, Task};

use crate::{
    call::{CallError, call, found},
    clients::Clients,
    limits::TASKS_PER_DESCRIBE,
    progress::{Event, Progress},
};

/// ECS words the end of a task that nobody needs any more like this.
const WANTED: &str = "Scaling activity initiated by";

/// Stopped tasks of a cluster, each reported once.
pub(crate) struct StoppedTasks {
    cluster: String,
    seen: HashSet<String>,
}

impl StoppedTasks {
    pub(crate) fn of(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), seen: HashSet::new() }
    }

    /// Leaves out the tasks that have stopped already.
    pub(crate) async fn from_now(clients: &Clients, cluster: &str) -> Result<Self, CallError> {
        let mut tasks = Self::of(cluster);
        tasks.new_arns(clients).await?;
        Ok(tasks)
    }

    /// Reports the tasks that stopped since the last call for another reason than scaling.
    pub(crate) async fn report(&mut self, clients: &Clients, progress: &Progress) -> Result<(), CallError> {
        for arns in self.new_arns(clients).await?.chunks(TASKS_PER_DESCRIBE) {
            let request = clients.ecs.describe_tasks().cluster(&self.cluster).set_tasks(Some(arns.to_vec()));
            let answer = call("ecs:DescribeTasks", request.send()).await?;
            for task in answer.tasks().iter().filter(|task| !is_wanted(task)) {
                progress.report(stopped(task)).await;
            }
        }
        Ok(())
    }

    /// ECS lists a task for about an hour after its end, at most 100 a page: the newest page is enough here.
    async fn new_arns(&mut self, clients: &Clients) -> Result<Vec<String>, CallError> {
        let request = clients.ecs.list_tasks().cluster(&self.cluster).desired_status(DesiredStatus::Stopped);
        let listed = found(call("ecs:ListTasks", request.send()).await, &["ClusterNotFoundException"])?;
        let arns = listed.and_then(|answer| answer.task_arns).unwrap_or_default();
        Ok(arns.into_iter().filter(|arn| self.seen.insert(arn.clone())).collect())
    }
}

fn is_wanted(task: &Task) -> bool {
    task.stopped_reason().is_some_and(|reason| reason.starts_with(WANTED))
}

fn stopped(task: &Task) -> Event {
    let service = task.group().and_then(|group| group.strip_prefix("service:")).unwrap_or_default();
    let arn = task.task_arn().unwrap_or_default();
    let mut reason = task.stopped_reason().unwrap_or("no reason given").to_owned();
    for container in task.containers() {
        if let Some(why) = container.reason() {
            reason = format!("{reason}; {why}");
        }
        if let Some(code) = container.exit_code() {
            reason = format!("{reason}; exit code {code}");
        }
    }
    let task = arn.rsplit('/').next().unwrap_or(arn).to_owned();
    Event::TaskStopped { service: service.to_owned(), task, reason }
}
