//! Everything at once: what was answered 200 is in the stream as it was sent, and copies are accounted for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dataplane::aggregation::{HashKey, decode};
use hyper::StatusCode;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    terms::create_table,
    unreliable::Proxy,
    world::{World, until},
};

const CLIENTS: usize = 12;
const RESHARDS: usize = 20;
const OUTAGE: Duration = Duration::from_secs(3);

/// A producer in a process of its own.
struct Task {
    process: Child,
    ingest: SocketAddr,
}

impl Task {
    async fn start(endpoint: SocketAddr) -> Self {
        let [port, admin] = [free_port(), free_port()];
        let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
        command.args(["--stream", "weir", "--bind", "127.0.0.1", "--idempotency-table", "keys", "--log", "off"]);
        command.args(["--record-ttl", "8s", "--drain-delay", "200ms", "--stop-timeout", "15s"]);
        command.args(["--port", &port.to_string(), "--admin-port", &admin.to_string()]);
        command.env("AWS_ENDPOINT_URL", format!("http://{endpoint}"));
        command.envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "eu-central-1")]);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        let ingest = (Ipv4Addr::LOCALHOST, port).into();
        until("the producer listens", async || tokio::net::TcpStream::connect(ingest).await.is_ok()).await;
        Self { process, ingest }
    }

    /// Sends the signal and waits for the end.
    async fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
        until("the producer ends", async || self.process.try_wait().unwrap().is_some()).await;
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What clients have seen.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<BTreeSet<String>>,
    /// Sent again under the same idempotency key, after an answer that was lost or no success.
    repeated: Mutex<BTreeSet<String>>,
    /// Of those, the ones whose task may have been killed between storing and noting it.
    interrupted: Mutex<BTreeSet<String>>,
}

/// Posts records of its own until `done`: some under an idempotency key, until they are stored.
async fn client(world: &World, number: usize, tasks: &Mutex<Vec<SocketAddr>>, done: &AtomicBool, ledger: &Ledger) {
    let mut random = StdRng::seed_from_u64(number as u64);
    for count in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("{number}/{count}/{}", "x".repeat(random.random_range(0..300)));
        let mut body = json!({"data": id});
        if random.random_bool(0.7) {
            body["partitionKey"] = format!("key {}", random.random_range(0..40)).into();
        }
        let key = random.random_bool(0.5).then(|| format!("{number}-{count}"));
        let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        loop {
            let task = {
                let tasks = tasks.lock().unwrap();
                tasks[random.random_range(0..tasks.len())]
            };
            match world.try_post(task, "/", &headers, body.to_string()).await {
                Ok(answer) if answer.status == StatusCode::OK => {
                    ledger.acknowledged.lock().unwrap().insert(id);
                    break;
                }
                Ok(answer) => assert!(answer.status.is_server_error() || answer.status == 409, "{answer:?}"),
                Err(_) => drop(ledger.interrupted.lock().unwrap().insert(id.clone())),
            }
            if key.is_none() {
                break;
            }
            ledger.repeated.lock().unwrap().insert(id.clone());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Splits or merges somewhere.
async fn reshard(world: &World, random: &mut StdRng) {
    let mut open = world.open_shards().await;
    open.sort_by_key(|shard| shard.1);
    let (id, start, end) = open[random.random_range(0..open.len())].clone();
    if open.len() < 4 {
        let cut = random.random_range(start + 2..end);
        let split = world.kinesis.split_shard().stream_name("weir").shard_to_split(id);
        split.new_starting_hash_key(cut.to_string()).send().await.unwrap();
    } else {
        let left = random.random_range(0..open.len() - 1);
        let merge = world.kinesis.merge_shards().stream_name("weir").shard_to_merge(&open[left].0);
        merge.adjacent_shard_to_merge(&open[left + 1].0).send().await.unwrap();
    }
    world.until_active().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_copies_are_only_those_of_lost_answers() {
    let quick = localcloud::kinesis::Settings {
        reshard_delay: Duration::from_millis(100),
        reshard_step: Duration::from_millis(50),
        ..Default::default()
    };
    let world = World::start_with(2, quick).await;
    create_table(&world).await;
    let (proxy, endpoint) = Proxy::start(&world.endpoint_url).await;
    let mut running = vec![Task::start(endpoint).await, Task::start(endpoint).await];
    let tasks = Mutex::new(running.iter().map(|task| task.ingest).collect::<Vec<_>>());
    let (done, ledger) = (AtomicBool::new(false), Arc::new(Ledger::default()));
    let trouble = async {
        let mut random = StdRng::seed_from_u64(99);
        for round in 0..RESHARDS {
            reshard(&world, &mut random).await;
            if round % 5 == 2 {
                // Another task takes over before this one ends.
                let next = Task::start(endpoint).await;
                tasks.lock().unwrap()[0] = running[1].ingest;
                tasks.lock().unwrap()[1] = next.ingest;
                let old = std::mem::replace(&mut running[0], next);
                running.swap(0, 1);
                old.end(if round % 2 == 0 { Signal::SIGTERM } else { Signal::SIGKILL }).await;
            }
            if round == RESHARDS / 2 {
                proxy.set_away(true);
                sleep(OUTAGE).await;
                proxy.set_away(false);
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    let clients = (0..CLIENTS).map(|number| client(&world, number, &tasks, &done, &ledger));
    tokio::join!(trouble, futures::future::join_all(clients));
    for task in running {
        task.end(Signal::SIGTERM).await;
    }
    check(&world, &proxy, &ledger).await;
}

async fn check(world: &World, proxy: &Proxy, ledger: &Ledger) {
    let mut counts = BTreeMap::<String, usize>::new();
    for (shard, record) in world.kinesis_records().await {
        let range = shard.hash_key_range().unwrap();
        let range = [range.starting_hash_key(), range.ending_hash_key()].map(|key| key.parse::<u128>().unwrap());
        let data = bytes::Bytes::copy_from_slice(record.data().as_ref());
        let Some(users) = decode(&data) else {
            *counts.entry(String::from_utf8(data.to_vec()).unwrap()).or_default() += 1;
            continue;
        };
        for user in users {
            let hash: HashKey = user.explicit_hash_key.expect("every record is bound").parse().unwrap();
            assert!((range[0]..=range[1]).contains(&hash.0), "a KCL would drop what is outside its shard");
            *counts.entry(String::from_utf8(user.data.to_vec()).unwrap()).or_default() += 1;
        }
    }
    let (acknowledged, lost) = (ledger.acknowledged.lock().unwrap(), proxy.lost());
    let missing: Vec<_> = acknowledged.iter().filter(|id| !counts.contains_key(*id)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} acknowledged records are gone: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    let copied: BTreeSet<_> = counts.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id.clone()).collect();
    let interrupted = ledger.interrupted.lock().unwrap();
    let unexplained: Vec<_> =
        copied.iter().filter(|id| !lost.contains(id.as_bytes()) && !interrupted.contains(*id)).collect();
    assert!(unexplained.is_empty(), "copies for no reason: {unexplained:?}");
    let repeated = ledger.repeated.lock().unwrap().len();
    println!(
        "{} acknowledged, {} stored twice ({} in lost answers), {repeated} repeated under a key, {} entries throttled",
        acknowledged.len(),
        copied.len(),
        lost.len(),
        proxy.throttled(),
    );
    assert!(
        acknowledged.len() > 200 && repeated > 0 && !lost.is_empty() && proxy.throttled() > 0,
        "it was put to the test"
    );
}
