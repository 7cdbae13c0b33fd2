//! Memory of a producer process: idle, and while Kinesis is away and clients go on.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};

use crate::{grouped, line};

const REQUESTS_PER_SECOND: usize = 10_000;
const OUTAGE: Duration = Duration::from_secs(60);
const CONNECTIONS: usize = 2000;
const BUFFER_MIB: u64 = 64;

/// Ends the process with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(outage());
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    listener.local_addr().expect("an address").port()
}

fn start(port: u16) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    command.args(["--stream", "away", "--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--admin-port", &free_port().to_string(), "--log", "off", "--record-ttl", "5s"]);
    command.args(["--buffer-mib", &BUFFER_MIB.to_string()]);
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", free_port()));
    command.envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "eu-central-1")]);
    Process(command.stdin(Stdio::null()).spawn().expect("the producer starts"))
}

fn resident(system: &mut System, process: &Process) -> u64 {
    let pid = Pid::from_u32(process.0.id());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

async fn outage() {
    let (port, mut system) = (free_port(), System::new());
    let process = start(port);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while TcpStream::connect(address).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(3)).await;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    line("memory, idle", &mib(resident(&mut system, &process)), "-", None, "under 30 MiB");

    let (start, answered) = (Instant::now(), &*Box::leak(Box::new(AtomicUsize::new(0))));
    for client in 0..CONNECTIONS {
        tokio::spawn(post(address, start + Duration::from_micros(client as u64 * 100), answered));
    }
    let mut most = 0;
    while Instant::now() < start + OUTAGE {
        sleep(Duration::from_millis(200)).await;
        most = most.max(resident(&mut system, &process));
    }
    let rate = answered.load(Ordering::Relaxed) as f64 / OUTAGE.as_secs_f64();
    let what = format!("memory at {} answers/s while Kinesis is away, most in {} s", grouped(rate), OUTAGE.as_secs());
    let baseline = format!("byte budget: {BUFFER_MIB} MiB");
    let ratio = most as f64 / (BUFFER_MIB << 20) as f64;
    line(&what, &mib(most), &baseline, Some(ratio), "under the budget, beside what it takes idle");
}

/// One client: a record of 1 KiB as often as its share of the rate.
async fn post(address: SocketAddr, first: Instant, answered: &'static AtomicUsize) {
    let body = format!("{{\"data\":\"{}\"}}", "x".repeat(1024));
    let request = format!("POST /?ack=accepted HTTP/1.1\r\nhost: weir\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / REQUESTS_PER_SECOND as f64);
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let (mut buffer, mut next) = ([0; 2048], first);
    loop {
        sleep_until(next).await;
        next = (next + pause).max(Instant::now());
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        match stream.read(&mut buffer).await {
            Ok(1..) => answered.fetch_add(1, Ordering::Relaxed),
            _ => return,
        };
    }
}
