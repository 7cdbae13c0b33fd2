//! Streams, services, and a control plane in this process.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ecs::types::ContainerDefinition;
use aws_sdk_kinesis::types::StreamStatus;
use controlplane::{
    Settings,
    record::{Lease, Status, Table},
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::common::{CONTROL_TABLE, World, create_table};

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

pub(crate) struct Controlplane {
    stopping: CancellationToken,
    running: JoinHandle<Result<(), controlplane::Error>>,
}

impl Controlplane {
    /// Starts the control plane of deployment `weir`.
    pub(crate) fn start(config: SdkConfig, tick: Duration) -> Self {
        let settings = Settings {
            deployment: "weir".into(),
            stream: "weir".into(),
            application: "weir-consumer".into(),
            control_table: CONTROL_TABLE.into(),
            cluster: "weir".into(),
            producer_service: "weir-producer".into(),
            consumer_service: "weir-consumer".into(),
            tick,
            lease: Lease::default(),
            bind: [127, 0, 0, 1].into(),
            admin_port: 0,
            log: "info".into(),
        };
        let stopping = CancellationToken::new();
        let stop = stopping.clone();
        let running = tokio::spawn(async move { controlplane::run_with(&config, settings, stop).await });
        Self { stopping, running }
    }

    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
    }
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
