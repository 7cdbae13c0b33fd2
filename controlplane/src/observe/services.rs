//! An ECS service, its running tasks, and what they say about themselves.

use aws_sdk_ecs::types::{Container, DesiredStatus, Task};
use dataplane::report::Report;
use futures::StreamExt;
use jiff::Timestamp;

use tokio::time::Instant;

use super::{
    Reading, ServiceObservation, Source,
    account::{Account, Counts, Described, Failed},
    reports::Reports,
};
use crate::{
    limits::{REPORTS_AT_ONCE, TASKS_AGE, TASKS_PER_DESCRIBE},
    units::Fraction,
};

/// A service with the reports of its tasks.
#[derive(Default)]
pub(super) struct Fleet {
    described: Option<Described>,
    /// The reports of the running tasks.
    pub(super) reports: Vec<Report>,
    /// What could not be read: running tasks, or the service itself.
    silent: Vec<String>,
}

/// Looks at one service, again and again.
pub(super) struct Service {
    pub(super) cluster: String,
    pub(super) name: String,
    tasks: Option<Tasks>,
}

/// The running tasks, as they were when they were last listed.
struct Tasks {
    counts: Counts,
    at: Instant,
    found: Vec<(String, Option<Address>)>,
}

/// Where a task's admin port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Service {
    pub(super) fn new(cluster: &str, name: &str) -> Self {
        Self { cluster: cluster.to_owned(), name: name.to_owned(), tasks: None }
    }

    /// The service now. Its tasks are listed anew when their number moves, when one does not answer, and now and then.
    pub(super) async fn read(&mut self, account: &Account, reports: &Reports) -> Result<Fleet, Failed> {
        let described = account.services.describe(&self.cluster, &self.name).await?;
        let Some(Described { counts, .. }) = described else {
            self.tasks = None;
            let missing = format!("cluster {} has no active service of this name", self.cluster);
            return Ok(Fleet { silent: vec![missing], ..Fleet::default() });
        };
        let is_fresh = |tasks: &Tasks| tasks.counts == counts && Instant::now() - tasks.at < TASKS_AGE;
        if let Some(tasks) = self.tasks.as_ref().filter(|tasks| is_fresh(tasks)) {
            let fleet = tasks.ask(reports).await;
            if fleet.silent.is_empty() {
                return Ok(Fleet { described, ..fleet });
            }
        }
        let found = list(account, &self.cluster, &self.name, reports.port).await?;
        let tasks = Tasks { counts, at: Instant::now(), found };
        let fleet = tasks.ask(reports).await;
        self.tasks = fleet.silent.is_empty().then_some(tasks);
        Ok(Fleet { described, ..fleet })
    }
}

impl Tasks {
    async fn ask(&self, reports: &Reports) -> Fleet {
        let asked: Vec<_> = self.found.iter().map(|(id, address)| report(reports, id, address.as_ref())).collect();
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(REPORTS_AT_ONCE).collect().await;
        let mut fleet = Fleet::default();
        for answer in answers {
            match answer {
                Ok(report) => fleet.reports.push(report),
                Err(reason) => fleet.silent.push(reason),
            }
        }
        fleet
    }
}

impl Fleet {
    #[cfg(test)]
    pub(super) fn of(reports: Vec<Report>, silent: Vec<String>) -> Self {
        Self { described: None, reports, silent }
    }

    /// The deployment that the service's tags name.
    pub(super) fn deployment(&self) -> Option<&str> {
        self.described.as_ref()?.deployment.as_deref()
    }

    /// Whether every running task reported, and there is at least one.
    pub(super) fn is_complete(&self) -> bool {
        self.silent.is_empty() && !self.reports.is_empty()
    }

    pub(super) fn blind_spots(&self, service: &str) -> impl Iterator<Item = String> {
        self.silent.iter().map(move |reason| format!("{service}: {reason}"))
    }

    pub(super) fn observation(&self, name: &str, now: Timestamp) -> ServiceObservation {
        let ecs = |value| Reading { value, at: now, source: Source::Ecs };
        let counts = self.described.as_ref().map(|described| described.counts);
        ServiceObservation {
            name: name.to_owned(),
            desired: counts.map(|counts| ecs(counts.desired)),
            running: counts.map(|counts| ecs(counts.running)),
            pending: counts.map(|counts| ecs(counts.pending)),
            cpu: self.cpu().map(|value| Reading { value, at: now, source: Source::TaskReports }),
        }
    }

    /// The mean over all tasks, where all know it.
    fn cpu(&self) -> Option<Fraction> {
        let used: Option<f64> = self.reports.iter().map(|report| report.resources.cpu_fraction).sum();
        self.is_complete().then_some(Fraction(used? / self.reports.len() as f64))
    }
}

/// What a task says, or why nothing was heard of it.
async fn report(reports: &Reports, id: &str, address: Option<&Address>) -> Result<Report, String> {
    let address = address.ok_or_else(|| format!("task {id} has no address"))?;
    reports.read(address).await.map_err(|error| format!("task {id}: {error}"))
}

/// The service's running tasks by their ids, and where their admin ports are.
async fn list(
    account: &Account,
    cluster: &str,
    service: &str,
    port: u16,
) -> Result<Vec<(String, Option<Address>)>, Failed> {
    let client = &account.clients.ecs;
    account.paces.ecs.take().await;
    let list = client.list_tasks().cluster(cluster).service_name(service).desired_status(DesiredStatus::Running);
    let mut arns = Vec::new();
    let mut pages = list.into_paginator().items().send();
    while let Some(arn) = pages.next().await {
        arns.push(arn.map_err(|error| Failed::of(&aws_sdk_ecs::Error::from(error)))?);
    }
    let mut found = Vec::with_capacity(arns.len());
    for chunk in arns.chunks(TASKS_PER_DESCRIBE) {
        account.paces.ecs.take().await;
        let described = client.describe_tasks().cluster(cluster).set_tasks(Some(chunk.to_vec())).send().await;
        let tasks = described.map_err(|error| Failed::of(&aws_sdk_ecs::Error::from(error)))?.tasks.unwrap_or_default();
        let running = tasks.iter().filter(|task| task.last_status() == Some("RUNNING"));
        found.extend(running.map(|task| (id(task).to_owned(), address(task, port))));
    }
    Ok(found)
}

fn id(task: &Task) -> &str {
    task.task_arn().and_then(|arn| arn.rsplit('/').next()).unwrap_or("?")
}

/// The task's own address and `port`; where the container's port is bound to one of the host, that one.
fn address(task: &Task, port: u16) -> Option<Address> {
    let bound = task.containers().iter().flat_map(Container::network_bindings).find_map(|binding| {
        let wanted = binding.container_port() == Some(i32::from(port));
        let host = binding.bind_ip().unwrap_or("127.0.0.1").to_owned();
        wanted.then(|| Some(Address { host, port: u16::try_from(binding.host_port()?).ok()? }))?
    });
    let own = || {
        let mut interfaces = task.containers().iter().flat_map(Container::network_interfaces);
        let host = interfaces.find_map(|interface| interface.private_ipv4_address())?.to_owned();
        Some(Address { host, port })
    };
    bound.or_else(own)
}
