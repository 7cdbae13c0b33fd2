//! What the process knows about the ECS task that it is, and how much of its limits it uses.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::Deserialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::{rate::WINDOW_SECONDS, report::Resources};

/// Where the container agent answers; localcloud sets it too.
const METADATA_VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// The agent is on the same host.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// A task's metadata is a few KiB.
const METADATA_BYTES_MAX: usize = 1 << 20;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The task and its use of CPU and memory.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    limits: Limits,
    sample: Mutex<Sample>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    resources: Resources,
    cpus: Option<f64>,
}

/// The part of the agent's answer that is used here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[serde(rename = "TaskARN")]
    task_arn: Option<String>,
    #[serde(default)]
    limits: Limits,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Limits {
    #[serde(rename = "CPU")]
    vcpus: Option<f64>,
    #[serde(rename = "Memory")]
    memory_mib: Option<u64>,
}

impl Task {
    /// Asks the container agent. Outside ECS the id is random and there are no limits.
    pub(crate) async fn discover() -> Self {
        let metadata = match std::env::var(METADATA_VARIABLE) {
            Ok(url) => read(&format!("{url}/task")).await.unwrap_or_else(|problem| {
                tracing::warn!(%problem, "cannot read the task's metadata");
                Metadata::default()
            }),
            Err(_) => Metadata::default(),
        };
        Self::new(&metadata)
    }

    fn new(metadata: &Metadata) -> Self {
        let id = metadata.task_arn.as_deref().and_then(|arn| arn.rsplit('/').next());
        Self {
            id: id.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned),
            limits: metadata.limits,
            sample: Mutex::default(),
        }
    }

    /// The latest sample.
    pub(crate) fn resources(&self) -> Resources {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).resources
    }

    /// CPU time used per second, whatever the limit.
    pub(crate) fn cpus(&self) -> Option<f64> {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner).cpus
    }

    /// Samples the process once a second.
    pub(crate) async fn sample(&self) {
        let pid = Pid::from_u32(std::process::id());
        let (mut system, mut history) = (System::new(), VecDeque::new());
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
            let Some(process) = system.process(pid) else { continue };
            history.push_back((Instant::now(), Duration::from_millis(process.accumulated_cpu_time())));
            if history.len() > WINDOW_SECONDS as usize + 1 {
                history.pop_front();
            }
            let resources = Resources {
                cpu_fraction: cpu_fraction(&history, self.limits.vcpus),
                memory_bytes: Some(process.memory()),
                memory_limit_bytes: self.limits.memory_mib.map(|mib| mib << 20),
            };
            let sample = Sample { resources, cpus: cpus(&history) };
            *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = sample;
        }
    }
}

/// CPU time used per second between the first and the last sample.
fn cpus(history: &VecDeque<(Instant, Duration)>) -> Option<f64> {
    let ((since, before), (now, after)) = (history.front()?, history.back()?);
    let passed = now.saturating_duration_since(*since).as_secs_f64();
    (passed > 0.0).then(|| after.saturating_sub(*before).as_secs_f64() / passed)
}

/// The same as a share of what the limit allows.
fn cpu_fraction(history: &VecDeque<(Instant, Duration)>, vcpus: Option<f64>) -> Option<f64> {
    Some(cpus(history)? / vcpus.filter(|vcpus| *vcpus > 0.0)?)
}

async fn read(url: &str) -> Result<Metadata, String> {
    let url = url.parse().map_err(|error| format!("{METADATA_VARIABLE}: {error}"))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let reading = async {
        let answer = client.get(url).await.map_err(|error| crate::process::chain(&error))?;
        let body = Limited::new(answer.into_body(), METADATA_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    };
    timeout(METADATA_TIMEOUT, reading).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_named_by_the_last_part_of_its_arn() {
        let answer = r#"{"Cluster":"weir","TaskARN":"arn:aws:ecs:eu-central-1:000000000000:task/weir/0f1e","Family":"weir-producer",
            "Limits":{"CPU":0.25,"Memory":512},"Containers":[]}"#;
        let task = Task::new(&serde_json::from_str(answer).expect("metadata"));
        assert_eq!((task.id.as_str(), task.limits.vcpus, task.limits.memory_mib), ("0f1e", Some(0.25), Some(512)));
    }

    #[test]
    fn the_cpu_fraction_is_of_the_limit_and_absent_without_one() {
        let start = Instant::now();
        let history =
            [(start, Duration::from_secs(7)), (start + Duration::from_secs(10), Duration::from_secs(8))].into();
        assert_eq!(cpu_fraction(&history, Some(0.5)), Some(0.2));
        assert_eq!(cpu_fraction(&history, None), None);
        assert_eq!(cpu_fraction(&VecDeque::from([history[0]]), Some(0.5)), None);
    }
}
