//! Consumers that are real processes, and what can happen to processes and wires. Nothing is left unseen, what comes
//! twice is counted and bounded, and the records of a key stay in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_sdk_kinesis::{primitives::Blob, types::PutRecordsRequestEntry};
use localcloud::kinesis::Settings;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    proxy::Proxy,
    world::{World, until},
};

const KEYS: usize = 20;

/// The lease duration of these consumers.
const DURATION: Duration = Duration::from_secs(2);

/// Kinesis takes what the test puts, at once.
fn unhurried() -> Settings {
    Settings { write_records_per_second: 1 << 20, write_bytes_per_second: 1 << 30, ..Settings::default() }
}

/// A consumer that writes its records to a file. It is killed when this is dropped.
struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    fn start(world: &World, directory: &TempDir, name: &str, variables: &[(&str, &str)]) -> Self {
        let output = directory.path().join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_consumer"))
            .args(["--stream", "weir", "--application", "weir-consumer", "--bind", "127.0.0.1", "--admin-port", "0"])
            .args(["--lease-duration", "2s", "--create-lease-table"])
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", &world.region)])
            .envs([("AWS_ENDPOINT_URL", world.endpoint_url.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs(variables.iter().copied())
            .stdout(File::create(&output).unwrap())
            .stderr(File::create(output.with_extension("log")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, output }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// What was processed, in order. A killed process may leave half a line.
    fn records(&self) -> Vec<String> {
        let written = std::fs::read_to_string(&self.output).unwrap();
        let lines = written.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|record| record["data"].as_str().unwrap().to_owned()).collect()
    }

    async fn end(&mut self) -> bool {
        until("the process ends", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    /// Puts numbered records of every key, `from..to` of each.
    async fn put_numbers(&self, from: usize, to: usize) {
        let all: Vec<_> = (from..to).flat_map(|number| (0..KEYS).map(move |key| (key, number))).collect();
        for some in all.chunks(500) {
            let entry = |(key, number): &(usize, usize)| {
                let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{key}"));
                entry.data(Blob::new(format!("{key}/{number}"))).build().unwrap()
            };
            let put = self.kinesis.put_records().stream_name("weir");
            let put = put.set_records(Some(some.iter().map(entry).collect())).send().await.unwrap();
            assert_eq!(put.failed_record_count, Some(0));
        }
    }
}

fn expected(to: usize) -> BTreeSet<String> {
    (0..to).flat_map(|number| (0..KEYS).map(move |key| format!("{key}/{number}"))).collect()
}

/// How often each record was processed by all of them together.
fn counts(processes: &[&Process]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for data in processes.iter().flat_map(|process| process.records()) {
        *counts.entry(data).or_default() += 1;
    }
    counts
}

async fn until_all(processes: &[&Process], to: usize) -> BTreeMap<String, usize> {
    let expected = expected(to);
    until("every record is processed", async || {
        let counts = counts(processes);
        expected.iter().all(|data| counts.contains_key(data))
    })
    .await;
    counts(processes)
}

fn repeated(counts: &BTreeMap<String, usize>) -> usize {
    counts.values().map(|count| count - 1).sum()
}

/// Leaving repetitions aside, the records of each key come in the order in which they were put.
fn assert_in_order(processes: &[&Process]) {
    for process in processes {
        let (mut seen, mut most) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
        for data in process.records() {
            if !seen.insert(data.clone()) {
                continue;
            }
            let (key, number) = data.split_once('/').unwrap();
            let number = number.parse().unwrap();
            let before = most.insert(key.to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{data} came after {before:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_with_ten_thousand_records_in_its_hands_leaves_none_unseen() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let mut victim = Process::start(&world, &directory, "victim", &[]);
    world.put_numbers(0, 1).await;
    until_all(&[&victim], 1).await;
    let survivor = Process::start(&world, &directory, "survivor", &[]);
    until("both have a lease", async || world.owners().await.len() == 2).await;
    // A reader takes ten thousand at once.
    world.put_numbers(1, 2001).await;
    until("the victim is at it", async || victim.records().len() > 100).await;
    victim.signal(Signal::SIGKILL);
    let killed_at = Instant::now();
    assert!(!victim.end().await);
    let done = victim.records().len();
    until("the lease is taken over", async || world.owners().await.len() == 1).await;
    let took = Instant::now() - killed_at;
    let counts = until_all(&[&victim, &survivor], 2001).await;
    println!("killed after {done} records; taken over after {took:?}; {} came twice", repeated(&counts));
    assert!(took < DURATION + Duration::from_secs(2), "the takeover took {took:?}");
    assert!(repeated(&counts) <= done);
    assert_in_order(&[&victim, &survivor]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_asked_to_end_finishes_what_it_has_begun_and_nothing_comes_twice() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let mut first = Process::start(&world, &directory, "first", &[]);
    world.put_numbers(0, 2000).await;
    until("it is at it", async || first.records().len() > 100).await;
    first.signal(Signal::SIGTERM);
    assert!(first.end().await, "it ends well");
    let second = Process::start(&world, &directory, "second", &[]);
    let counts = until_all(&[&first, &second], 2000).await;
    println!("asked to end after {} records", first.records().len());
    assert_eq!(repeated(&counts), 0);
    assert_in_order(&[&first, &second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_was_frozen_beyond_its_lease_writes_no_checkpoint_when_it_wakes() {
    let (world, directory) = (World::start_with(1, unhurried()).await, tempfile::tempdir().unwrap());
    let frozen = Process::start(&world, &directory, "frozen", &[]);
    world.put_numbers(0, 50).await;
    until_all(&[&frozen], 50).await;
    let other = Process::start(&world, &directory, "other", &[]);
    until("it is checkpointed", async || world.checkpoint().await.is_some()).await;
    frozen.signal(Signal::SIGSTOP);
    world.put_numbers(50, 100).await;
    let counts = until_all(&[&frozen, &other], 100).await;
    until("the other's checkpoint is written", async || world.owners().await.len() == 1).await;
    let owner = world.owners().await;
    frozen.signal(Signal::SIGCONT);
    world.put_numbers(100, 150).await;
    until_all(&[&frozen, &other], 150).await;
    let log = frozen.output.with_extension("log");
    until("it has noticed", async || std::fs::read_to_string(&log).unwrap().contains("lost a lease")).await;
    assert_eq!(world.owners().await, owner, "the lease stays with the other");
    assert!(repeated(&counts) <= 50 * KEYS);
    assert_in_order(&[&frozen, &other]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_table_that_is_away_for_longer_than_a_lease_lasts_costs_repetitions_only() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let table = Proxy::start(&world.endpoint_url).await;
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", table.url.as_str())];
    let consumer = Process::start(&world, &directory, "consumer", &variables);
    world.put_numbers(0, 50).await;
    until_all(&[&consumer], 50).await;
    table.close();
    let log = consumer.output.with_extension("log");
    until("it has given its leases up", async || std::fs::read_to_string(&log).unwrap().contains("lost a lease")).await;
    world.put_numbers(50, 100).await;
    table.open();
    let counts = until_all(&[&consumer], 100).await;
    println!("{} came twice", repeated(&counts));
    assert!(repeated(&counts) <= 50 * KEYS, "what was not checkpointed when the table went away");
    assert_in_order(&[&consumer]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_during_splits_and_merges_leaves_no_record_unseen() {
    let settings = Settings {
        iterator_lifetime: Duration::from_secs(1),
        subscription_hold: Duration::ZERO,
        subscription_lifetime: Duration::from_secs(3),
        ..unhurried()
    };
    let (world, directory) = (World::start_with(2, settings).await, tempfile::tempdir().unwrap());
    let arn = world.register("reader").await;
    let wire = Proxy::start(&world.endpoint_url).await;
    let cut = [("AWS_ENDPOINT_URL_KINESIS", wire.url.as_str()), ("WEIR_CONSUMER_ARN", arn.as_str())];
    let start = |name: &str, number: usize| {
        Process::start(
            &world,
            &directory,
            &format!("{name}-{number}"),
            if number.is_multiple_of(2) { &cut } else { &[] },
        )
    };
    let mut alive = vec![start("worker", 0), start("worker", 1), start("worker", 2)];
    let (mut gone, mut number) = (Vec::new(), 0);
    for round in 0..6 {
        if round == 1 || round == 4 {
            world.reshard(if round == 1 { 4 } else { 2 }).await;
        }
        for _ in 0..5 {
            world.put_numbers(number, number + 20).await;
            number += 20;
            wire.cut();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut victim = alive.remove(0);
        match round % 3 {
            0 => victim.signal(Signal::SIGKILL),
            1 => victim.signal(Signal::SIGTERM),
            _ => victim.signal(Signal::SIGSTOP),
        }
        if round % 3 == 2 {
            alive.push(victim);
        } else {
            victim.end().await;
            gone.push(victim);
            alive.push(start("worker", 3 + round));
        }
    }
    for process in &alive {
        process.signal(Signal::SIGCONT);
    }
    let all: Vec<_> = alive.iter().chain(&gone).collect();
    let counts = until_all(&all, number).await;
    println!("{} records, {} came twice", counts.len(), repeated(&counts));
    assert_eq!(counts.len(), number * KEYS);
    assert_in_order(&all);
}
