//! Streams, services, and a control plane in this process.

use std::time::Duration;

use aws_sdk_ecs::types::ContainerDefinition;
use aws_sdk_kinesis::types::StreamStatus;
use controlplane::record::{Status, Table};

use crate::{
    common::{World, create_table},
    within::within,
};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud without delays, and any number of streams at once.
pub(crate) async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = localcloud::Settings::new(directory.path().to_owned());
    let delay = Duration::from_millis(1);
    settings.kinesis.create_delay = delay;
    settings.kinesis.reshard_delay = delay;
    settings.kinesis.reshard_step = delay;
    settings.cloudwatch.publication_delay = Duration::ZERO;
    let world = World::of(directory, settings).await;
    create_table(&world.config, "weir-consumer", &["leaseKey"]).await;
    stream(&world, "weir").await;
    world
}

/// A stream of one shard.
pub(crate) async fn stream(world: &World, name: &str) {
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    kinesis.create_stream().stream_name(name).shard_count(1).send().await.unwrap();
    until("an active stream", async || {
        let summary = kinesis.describe_stream_summary().stream_name(name).send().await.unwrap();
        (summary.stream_description_summary?.stream_status == StreamStatus::Active).then_some(())
    })
    .await;
}

/// Services of cluster `weir` that want no tasks.
pub(crate) async fn services(world: &World, names: &[String]) {
    let ecs = aws_sdk_ecs::Client::new(&world.config);
    ecs.create_cluster().cluster_name("weir").send().await.unwrap();
    let container = ContainerDefinition::builder().name("app").image("example.com/app:1").build();
    let define = ecs.register_task_definition().family("app").cpu("256").memory("512").container_definitions(container);
    let define = define.requires_compatibilities("FARGATE".into()).network_mode("awsvpc".into());
    define.send().await.unwrap();
    for name in names {
        let create = ecs.create_service().cluster("weir").service_name(name).task_definition("app").desired_count(0);
        create.send().await.unwrap();
    }
}

pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The status of a pipeline, once it is as wanted.
pub(crate) async fn status(table: &Table, name: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    let what = format!("the status of {name}");
    until(&what, async || table.status(name).await.unwrap().filter(|status| wanted(status))).await
}

/// How many shards are open.
pub(crate) async fn shards(world: &World, stream: &str) -> i32 {
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    let summary = kinesis.describe_stream_summary().stream_name(stream).send().await.unwrap();
    summary.stream_description_summary.unwrap().open_shard_count
}
