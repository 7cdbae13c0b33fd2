//! The tasks that ECS runs, and the reports that they serve.
//!
//! A task is a process of this machine that does nothing: real processes cannot follow a paused clock. What it would do
//! is done in this process, which answers for it at the task's own address.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, Router, extract::State, routing::get};
use controlplane::simulate::Physics;
use dataplane::report::{Report, Resources, Role, VERSION};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::{
    cloud::{Cloud, OpenShard},
    consumers::Consumers,
    producers::Producers,
    terms::{CONSUMER_SHARDS, PRODUCER_SHARDS, SHARD_RECORDS},
};

pub(crate) const SERVICES: [&str; 2] = ["weir-producer", "weir-consumer"];

/// How often a service is looked at until its processes have started or ended: a look takes a millisecond or so.
const LOOKS: usize = 30_000;

type Told = Arc<Mutex<Report>>;

/// The running tasks of both services.
#[derive(Default)]
pub(crate) struct Fleet {
    tasks: BTreeMap<String, Task>,
}

struct Task {
    service: String,
    told: Told,
    serving: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fleet {
    /// Waits until ECS runs as many tasks as it should, and serves for each of them.
    pub(crate) async fn follow(&mut self, cloud: &Cloud) {
        let mut running = BTreeMap::new();
        for service in SERVICES {
            for (id, address) in settled(cloud, service).await {
                running.insert(id, (service, address));
            }
        }
        self.tasks.retain(|id, _| running.contains_key(id));
        for (id, (service, address)) in running {
            if self.tasks.contains_key(&id) {
                continue;
            }
            let told: Told = Arc::new(Mutex::new(report(&id, Role::Producer(Default::default()), 0.0)));
            let listener = TcpListener::bind(SocketAddr::new(address.parse().unwrap(), cloud.admin_port)).await;
            let routes = Router::new().route("/report", get(tell)).with_state(told.clone());
            let serving = tokio::spawn(axum::serve(listener.unwrap(), routes).into_future()).abort_handle();
            self.tasks.insert(id, Task { service: service.to_owned(), told, serving });
        }
    }

    /// The ids of a service's tasks.
    pub(crate) fn of(&self, service: &str) -> Vec<String> {
        self.tasks.iter().filter(|(_, task)| task.service == service).map(|(id, _)| id.clone()).collect()
    }

    /// What each task says of itself from now on.
    pub(crate) fn tell(&self, producers: &Producers, consumers: &Consumers, open: &[OpenShard]) {
        let [producing, consuming] = SERVICES.map(|service| self.of(service).len());
        for (id, task) in &self.tasks {
            let (role, cpu) = if task.service == SERVICES[0] {
                let used = producers.offered() / (producing as f64 * PRODUCER_SHARDS * SHARD_RECORDS);
                (Role::Producer(producers.report(producing, open)), used.min(1.0))
            } else {
                let used = consumers.processed() / (consuming as f64 * CONSUMER_SHARDS * SHARD_RECORDS);
                (Role::Consumer(consumers.report(id)), used.min(1.0) * Physics::default().busy_cpu)
            };
            *task.told.lock().unwrap_or_else(PoisonError::into_inner) = report(id, role, cpu);
        }
    }
}

async fn tell(State(told): State<Told>) -> Json<Report> {
    Json(told.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

fn report(id: &str, role: Role, cpu: f64) -> Report {
    let resources = Resources { cpu_fraction: Some(cpu), ..Resources::default() };
    Report { version: VERSION, at_ms: 0, task_id: id.to_owned(), resources, role }
}

/// The tasks of a service and their addresses, once all that should run do and no others. Processes start and end in
/// real time, so the paused clock must not run ahead of them meanwhile: it stands still while a blocking call is under
/// way.
async fn settled(cloud: &Cloud, service: &str) -> Vec<(String, String)> {
    let cluster = json!({ "cluster": "weir", "services": [service] });
    for _ in 0..LOOKS {
        let described: Value = cloud.call("ecs", "DescribeServices", cluster.to_string()).await;
        let running = running(cloud, service).await;
        if described["services"][0]["desiredCount"] == running.len() {
            return running;
        }
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
    panic!("{service} has not started or stopped its tasks after {LOOKS} looks");
}

async fn running(cloud: &Cloud, service: &str) -> Vec<(String, String)> {
    let wanted = json!({ "cluster": "weir", "serviceName": service });
    let listed: Value = cloud.call("ecs", "ListTasks", wanted.to_string()).await;
    if listed["taskArns"].as_array().is_none_or(Vec::is_empty) {
        return Vec::new();
    }
    let input = json!({ "cluster": "weir", "tasks": listed["taskArns"] });
    let described: Value = cloud.call("ecs", "DescribeTasks", input.to_string()).await;
    let tasks = described["tasks"].as_array().cloned().unwrap_or_default();
    let running = tasks.iter().filter(|task| task["lastStatus"] == "RUNNING").map(|task| {
        let id = task["taskArn"].as_str().unwrap().rsplit('/').next().unwrap();
        let address = &task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"];
        (id.to_owned(), address.as_str().unwrap().to_owned())
    });
    running.collect()
}
