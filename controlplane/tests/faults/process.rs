//! A control plane as a process, behind its own proxy.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_sdk_kinesis::types::StreamStatus;
use controlplane::record::{Status, Table};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    common::{CONTROL_TABLE, World, create_table},
    proxy::Proxy,
    within::within,
};

/// The shortest lease that a control plane takes, so that a takeover need not be waited for long.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

/// Steps follow each other at once, so that nothing but the control plane's own order keeps it from calling too often.
pub(crate) const AT_ONCE: &str = "[guard]\nconfirm_up = \"0s\"\nshards_up_cooldown = \"0s\"\nshards_down_cooldown = \"0s\"\nshards_stabilization = \"0s\"";

/// A policy of a least number of shards.
pub(crate) fn at_least(shards: u64) -> String {
    format!("version = 1\n[stream]\nmin_shards = {shards}\n{AT_ONCE}")
}

/// The longest that a takeover may take, with everything that it must read.
pub(crate) const TAKEOVER: Duration = Duration::from_secs(30);

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Process {
    child: Child,
    pub(crate) proxy: Proxy,
}

impl Process {
    /// Starts a control plane of the deployment `weir`.
    pub(crate) async fn start(world: &World) -> Self {
        let proxy = Proxy::start(world.config.endpoint_url().unwrap()).await;
        let child = Command::new(env!("CARGO_BIN_EXE_controlplane"))
            .env_clear()
            .envs([
                ("AWS_ENDPOINT_URL", proxy.url.as_str()),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("WEIR_DEPLOYMENT", "weir"),
                ("WEIR_STREAM", "weir"),
                ("WEIR_APPLICATION", "weir-consumer"),
                ("WEIR_CONTROL_TABLE", CONTROL_TABLE),
                ("WEIR_CLUSTER", "weir"),
                ("WEIR_PRODUCER_SERVICE", "weir-producer"),
                ("WEIR_CONSUMER_SERVICE", "weir-consumer"),
                ("WEIR_TICK", "300ms"),
                ("WEIR_LEASE_EXPIRY", "6s"),
                ("WEIR_BIND", "127.0.0.1"),
                ("WEIR_ADMIN_PORT", "0"),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, proxy };
        let pid = process.pid();
        process.proxy.on_kill(move || kill(pid, Signal::SIGKILL).unwrap());
        process
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end that a signal or a rule of the proxy brings.
    pub(crate) async fn ended(&mut self) {
        let child = &mut self.child;
        until("the end of the process", async || child.try_wait().unwrap()).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended already is no longer there to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The status, once it is as wanted.
pub(crate) async fn status(table: &Table, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    until(what, async || table.status("weir").await.unwrap().filter(|status| wanted(status))).await
}

/// A localcloud with a stream of one shard, an empty lease table, and a policy.
pub(crate) async fn world(policy: &str) -> (World, Table, aws_sdk_kinesis::Client) {
    let world = World::start().await;
    create_table(&world.config, "weir-consumer", &["leaseKey"]).await;
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    kinesis.create_stream().stream_name("weir").shard_count(1).send().await.unwrap();
    until("an active stream", async || (shards(&kinesis).await.1 == StreamStatus::Active).then_some(())).await;
    let table = world.table();
    table.apply_policy("weir", policy, 0, "ann", jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    (world, table, kinesis)
}

/// How many shards are open, and the stream's status.
pub(crate) async fn shards(kinesis: &aws_sdk_kinesis::Client) -> (i32, StreamStatus) {
    let summary = kinesis.describe_stream_summary().stream_name("weir").send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    (summary.open_shard_count, summary.stream_status)
}

/// Waits until the stream is active with so many shards.
pub(crate) async fn settled(kinesis: &aws_sdk_kinesis::Client, count: i32) {
    let what = format!("a stream of {count} shards");
    until(&what, async || (shards(kinesis).await == (count, StreamStatus::Active)).then_some(())).await;
}
