//! A consumer that is a process of its own.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::world::World;

pub(crate) struct Process {
    pub(crate) child: Child,
    admin: u16,
}

impl Process {
    /// Starts a consumer of `stream` whose application is `application`.
    pub(crate) fn start(world: &World, stream: &str, application: &str, arguments: &[&str], output: Stdio) -> Self {
        // Free for a moment at least.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let child = Command::new(env!("CARGO_BIN_EXE_consumer"))
            .args(["--stream", stream, "--application", application, "--create-lease-table", "--log", "error"])
            .args(["--bind", "127.0.0.1", "--admin-port", &free.port().to_string()])
            .args(arguments)
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "eu-central-1")])
            .envs([("AWS_ENDPOINT_URL", world.endpoint_url.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")])
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .expect("a process");
        Self { child, admin: free.port() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it lives");
    }

    /// CPU seconds of the process so far.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }

    /// What the consumer says of itself, once it does.
    pub(crate) async fn report(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).await.ok()?;
        stream.write_all(b"GET /report HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// The shards whose leases it holds.
    pub(crate) async fn shards(&self) -> BTreeSet<String> {
        let report = self.report().await.unwrap_or_default();
        let leases = report["role"]["leases"].as_array().cloned().unwrap_or_default();
        leases.iter().filter_map(|lease| lease["shard_id"].as_str().map(str::to_owned)).collect()
    }

    /// User records processed since the start, from `/metrics`.
    pub(crate) async fn processed(&self) -> Option<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).await.ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.lines().find_map(|line| line.strip_prefix("weir_processed_records_total ")?.parse().ok())
    }

    /// Waits until so many are.
    pub(crate) async fn until_processed(&self, records: u64) {
        self.until_processed_looking_every(Duration::from_millis(20), records).await;
    }

    /// The same for a process whose CPU time is measured, in which each look has its part.
    pub(crate) async fn until_processed_looking_every(&self, pause: Duration, records: u64) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.processed().await.is_none_or(|processed| processed < records) {
            assert!(Instant::now() < deadline, "not processed in five minutes: {:?}", self.processed().await);
            tokio::time::sleep(pause).await;
        }
    }
}

/// CPU seconds of a process so far.
pub(crate) fn cpu(pid: u32) -> f64 {
    let (pid, mut system) = (sysinfo::Pid::from_u32(pid), System::new());
    let what = ProcessRefreshKind::nothing().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
    system.process(pid).map_or(0.0, |process| process.accumulated_cpu_time() as f64 / 1000.0)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
