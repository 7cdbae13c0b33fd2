//! CPU and memory of tasks, measured and published as `AWS/ECS` metrics of their services.
//!
//! Measured is the process that leads the task's group: the programs of this endpoint's images are one process each.

use std::sync::Arc;

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use super::Ecs;
use crate::cloudwatch::Datum;

/// The period of `AWS/ECS` metrics.
const MINUTE_MS: u64 = 60_000;

const MIB: f64 = 1_048_576.0;

/// A task that can be measured.
struct Measured {
    pid: Pid,
    cluster: String,
    service: String,
    cpus: Option<f64>,
    memory_mib: Option<u32>,
}

/// Measures until the endpoint stops.
pub(super) async fn measure(ecs: Arc<Ecs>) {
    let mut system = System::new();
    let mut interval = tokio::time::interval(ecs.settings.usage_interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while ecs.context.stopping.run_until_cancelled(interval.tick()).await.is_some() {
        let tasks = measurable(&ecs);
        let pids: Vec<_> = tasks.iter().map(|task| task.pid).collect();
        let known: Vec<_> = pids.iter().map(|pid| system.process(*pid).is_some()).collect();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
        let at_ms = ecs.context.clock.now_ms() / MINUTE_MS * MINUTE_MS;
        let Ok(services) = ecs.context.peers.services() else { continue };
        for (task, known) in tasks.iter().zip(known) {
            for datum in system.process(task.pid).into_iter().flat_map(|process| data(task, process, known, at_ms)) {
                services.cloudwatch.put(datum);
            }
        }
    }
}

fn measurable(ecs: &Ecs) -> Vec<Measured> {
    let state = ecs.state();
    let measured = state.tasks.values().filter_map(|task| {
        Some(Measured {
            pid: Pid::from_u32(task.pid?),
            cluster: task.cluster.clone(),
            service: task.service.clone()?,
            cpus: task.definition.cpus(),
            memory_mib: task.definition.memory_mib(),
        })
    });
    measured.collect()
}

/// One sample of each metric, in percent of what the task definition reserves. CPU use is measured between two looks, so
/// a process that was not `known` before has none.
fn data(task: &Measured, process: &Process, known: bool, at_ms: u64) -> impl Iterator<Item = Datum> {
    let cpu = task.cpus.filter(|_| known).map(|cpus| f64::from(process.cpu_usage()) / cpus);
    let memory = task.memory_mib.map(|mib| process.memory() as f64 / MIB / f64::from(mib) * 100.0);
    let dimensions = vec![("ClusterName", task.cluster.clone()), ("ServiceName", task.service.clone())];
    [("CPUUtilization", cpu), ("MemoryUtilization", memory)].into_iter().filter_map(move |(name, percent)| {
        let percent = percent?;
        Some(Datum {
            namespace: "AWS/ECS",
            name,
            dimensions: dimensions.clone(),
            unit: "Percent",
            at_ms,
            sum: percent,
            count: 1.0,
            minimum: percent,
            maximum: percent,
        })
    })
}
