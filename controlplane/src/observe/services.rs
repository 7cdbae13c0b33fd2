//! An ECS service, its running tasks, and what they say about themselves.

use aws_sdk_ecs::{
    Client,
    types::{Container, DesiredStatus, Task},
};
use dataplane::report::Report;
use futures::StreamExt;
use jiff::Timestamp;

use super::{Reading, ServiceObservation, Source, reports::Reports};
use crate::{
    limits::{REPORTS_AT_ONCE, TASKS_PER_DESCRIBE},
    units::{Fraction, TaskCount},
};

/// A service with the reports of its tasks.
#[derive(Default)]
pub(super) struct Fleet {
    counts: Option<Counts>,
    /// The reports of the running tasks.
    pub(super) reports: Vec<Report>,
    /// What could not be read: running tasks, or the service itself.
    silent: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    desired: TaskCount,
    running: TaskCount,
    pending: TaskCount,
}

/// Where a task's admin port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Fleet {
    #[cfg(test)]
    pub(super) fn of(reports: Vec<Report>, silent: Vec<String>) -> Self {
        Self { counts: None, reports, silent }
    }

    pub(super) async fn read(
        client: &Client,
        reports: &Reports,
        cluster: &str,
        service: &str,
    ) -> Result<Self, aws_sdk_ecs::Error> {
        let (counts, tasks) = tokio::try_join!(counts(client, cluster, service), tasks(client, cluster, service))?;
        let running = tasks.into_iter().filter(|task| task.last_status() == Some("RUNNING"));
        let answers: Vec<_> = futures::stream::iter(running.map(|task| report(reports, task)))
            .buffer_unordered(REPORTS_AT_ONCE)
            .collect()
            .await;
        let mut fleet = Self { counts, ..Self::default() };
        if counts.is_none() {
            fleet.silent.push(format!("cluster {cluster} has no active service of this name"));
        }
        for answer in answers {
            match answer {
                Ok(report) => fleet.reports.push(report),
                Err(reason) => fleet.silent.push(reason),
            }
        }
        Ok(fleet)
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
        ServiceObservation {
            name: name.to_owned(),
            desired: self.counts.map(|counts| ecs(counts.desired)),
            running: self.counts.map(|counts| ecs(counts.running)),
            pending: self.counts.map(|counts| ecs(counts.pending)),
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
async fn report(reports: &Reports, task: Task) -> Result<Report, String> {
    let id = task.task_arn().and_then(|arn| arn.rsplit('/').next()).unwrap_or("?");
    let address = address(&task, reports.port).ok_or_else(|| format!("task {id} has no address"))?;
    reports.read(&address).await.map_err(|error| format!("task {id}: {error}"))
}

async fn counts(client: &Client, cluster: &str, service: &str) -> Result<Option<Counts>, aws_sdk_ecs::Error> {
    let described = client.describe_services().cluster(cluster).services(service).send().await?;
    let count = |number: i32| TaskCount(u32::try_from(number).unwrap_or_default());
    let active = described.services().iter().find(|service| service.status() == Some("ACTIVE"));
    Ok(active.map(|service| Counts {
        desired: count(service.desired_count()),
        running: count(service.running_count()),
        pending: count(service.pending_count()),
    }))
}

async fn tasks(client: &Client, cluster: &str, service: &str) -> Result<Vec<Task>, aws_sdk_ecs::Error> {
    let list = client.list_tasks().cluster(cluster).service_name(service).desired_status(DesiredStatus::Running);
    let mut arns = Vec::new();
    let mut pages = list.into_paginator().items().send();
    while let Some(arn) = pages.next().await {
        arns.push(arn?);
    }
    let mut tasks = Vec::with_capacity(arns.len());
    for chunk in arns.chunks(TASKS_PER_DESCRIBE) {
        let described = client.describe_tasks().cluster(cluster).set_tasks(Some(chunk.to_vec())).send().await?;
        tasks.extend(described.tasks.unwrap_or_default());
    }
    Ok(tasks)
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
