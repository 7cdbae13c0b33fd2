//! The task metadata endpoint, version 4: what a task can learn about itself.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State as Shared},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    Ecs,
    state::{State, Task},
};

/// Serves every task's metadata on a port of its own, and returns the URL without a path.
pub(super) async fn serve(ecs: &Arc<Ecs>) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router =
        Router::new().route("/v4/{id}", get(container)).route("/v4/{id}/task", get(task)).with_state(ecs.clone());
    let stopped = ecs.context.stopping.clone().cancelled_owned();
    ecs.context.tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::warn!(%error, "the task metadata endpoint ended");
        }
    });
    Ok(format!("http://{address}"))
}

async fn container(Shared(ecs): Shared<Arc<Ecs>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    find(&ecs, &id, container_json)
}

async fn task(Shared(ecs): Shared<Arc<Ecs>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    find(&ecs, &id, task_json)
}

fn find(ecs: &Ecs, id: &str, write: fn(&State, &Task) -> Value) -> Result<Json<Value>, StatusCode> {
    let state = ecs.state();
    state.tasks.get(id).map(|task| Json(write(&state, task))).ok_or(StatusCode::NOT_FOUND)
}

fn container_json(state: &State, task: &Task) -> Value {
    let container = &task.definition.container;
    let log = container.log().map(|(group, prefix)| json!({ "awslogs-group": group, "awslogs-stream-prefix": prefix }));
    json!({
        "DockerId": format!("{}-0", task.id),
        "Name": container.name,
        "DockerName": container.name,
        "Image": container.image,
        "Labels": {
            "com.amazonaws.ecs.cluster": state.names.cluster(&task.cluster),
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": state.names.task(&task.cluster, &task.id),
            "com.amazonaws.ecs.task-definition-family": task.definition.family,
            "com.amazonaws.ecs.task-definition-version": task.definition.revision.to_string(),
        },
        "DesiredStatus": desired(task),
        "KnownStatus": task.status.name(),
        "CreatedAt": rfc3339(task.created_at),
        "StartedAt": task.started_at.map(rfc3339),
        "Type": "NORMAL",
        "LogDriver": log.as_ref().map(|_| "awslogs"),
        "LogOptions": log,
        "ContainerARN": state.names.container(&task.cluster, &task.id),
        "Networks": [{
            "NetworkMode": "awsvpc",
            "IPv4Addresses": task.address.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }],
    })
}

fn task_json(state: &State, task: &Task) -> Value {
    json!({
        "Cluster": state.names.cluster(&task.cluster),
        "TaskARN": state.names.task(&task.cluster, &task.id),
        "Family": task.definition.family,
        "Revision": task.definition.revision.to_string(),
        "ServiceName": task.service,
        "DesiredStatus": desired(task),
        "KnownStatus": task.status.name(),
        "Limits": { "CPU": task.definition.cpus(), "Memory": task.definition.memory_mib() },
        "CreatedAt": rfc3339(task.created_at),
        "AvailabilityZone": state.names.zone(),
        "LaunchType": "FARGATE",
        "Containers": [container_json(state, task)],
    })
}

fn desired(task: &Task) -> &'static str {
    if task.is_wanted() { "RUNNING" } else { "STOPPED" }
}

fn rfc3339(at: std::time::Duration) -> String {
    let milliseconds = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default().to_string()
}
