//! Requests over loopback into the producer with a sink in place of Kinesis, beside a bare axum handler.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use axum::{Router, routing::post};
use bytes::Bytes;
use tokio::{net::TcpListener, sync::oneshot};

use crate::{cpu, grouped, line};

const ROUNDS: usize = 7;
const CONNECTIONS: usize = 16;
const SINGLES: usize = 4000;
const BATCHES: usize = 400;
const RECORDS: usize = 500;

/// A server on a thread of its own.
struct Server {
    address: SocketAddr,
    ask: tokio::sync::mpsc::UnboundedSender<oneshot::Sender<Duration>>,
}

impl Server {
    fn start<F: Future<Output = ()>>(serve: impl FnOnce(mpsc::Sender<SocketAddr>) -> F + Send + 'static) -> Self {
        let (tell, told) = mpsc::channel();
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<oneshot::Sender<Duration>>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let answering = async {
                    while let Some(reply) = asked.recv().await {
                        let _ = reply.send(cpu::of_thread());
                    }
                };
                tokio::join!(serve(tell), answering)
            });
        });
        Self { address: told.recv().expect("it listens"), ask }
    }

    fn cpu(&self) -> Duration {
        let (reply, told) = oneshot::channel();
        self.ask.send(reply).expect("it runs");
        told.blocking_recv().expect("it runs")
    }

    /// CPU seconds of the server for `requests` times `request`.
    fn cost(&self, request: &[u8], requests: usize) -> f64 {
        let before = self.cpu();
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| converse(self.address, request, requests / CONNECTIONS));
            }
        });
        (self.cpu() - before).as_secs_f64()
    }
}

/// Sends a request so many times, each after the answer to the one before.
fn converse(address: SocketAddr, request: &[u8], requests: usize) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("TCP");
    let mut buffer = vec![0; 256 << 10];
    for _ in 0..requests {
        stream.write_all(request).expect("it reads");
        let (mut filled, mut wanted) = (0, None);
        while wanted.is_none_or(|wanted| filled < wanted) {
            filled += stream.read(&mut buffer[filled..]).expect("it answers");
            wanted = wanted.or_else(|| length(&buffer[..filled]));
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
    }
}

/// The length of a response, once its head is there.
fn length(response: &[u8]) -> Option<usize> {
    let end = response.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&response[..end]).to_lowercase();
    let body = head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok()?;
    Some(end + body)
}

fn request(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: weir\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn bare(tell: mpsc::Sender<SocketAddr>) {
    let read = async |body: Bytes| format!("{}", body.len());
    let router = Router::new().route("/", post(read)).route("/records", post(read));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    tell.send(listener.local_addr().expect("an address")).expect("it waits");
    axum::serve(listener, router).await.expect("it serves");
}

async fn producer(tell: mpsc::Sender<SocketAddr>) {
    let listening = |address| tell.send(address).expect("it waits");
    dataplane::producer::sink::serve(listening).await.expect("it serves");
}

pub(crate) fn run() {
    let (bare, producer) = (Server::start(bare), Server::start(producer));
    let data = "x".repeat(100);
    let single = request("/", &format!("{{\"data\":\"{data}\"}}"));
    let [ours, base] = cpu::medians(ROUNDS, || [producer.cost(&single, SINGLES), bare.cost(&single, SINGLES)]);
    let rate = |seconds: f64, count: usize, what: &str| format!("{} {what}/CPU-s", grouped(count as f64 / seconds));
    let baseline = format!("bare axum handler: {}", rate(base, SINGLES, "requests"));
    line("POST / of one record", &rate(ours, SINGLES, "requests"), &baseline, Some(base / ours), "at least 0.6");
    for (name, key) in [("no key", None), ("own keys", Some(()))] {
        let record = |number: usize| match key {
            None => format!("{{\"data\":\"{data}\"}}\n"),
            Some(()) => format!("{{\"data\":\"{data}\",\"partitionKey\":\"device-{number:08}\"}}\n"),
        };
        let batch = request("/records", &(0..RECORDS).map(record).collect::<String>());
        let [ours, base] = cpu::medians(ROUNDS, || [producer.cost(&batch, BATCHES), bare.cost(&batch, BATCHES)]);
        let baseline = format!("bare axum handler: {}", rate(base, BATCHES * RECORDS, "records"));
        let what = format!("NDJSON of {RECORDS} records of 100 B, {name}");
        line(&what, &rate(ours, BATCHES * RECORDS, "records"), &baseline, Some(base / ours), "1,500,000/s");
    }
}
