//! What can happen to processes and wires. Nothing is left unseen, what comes twice is bounded by what was not yet
//! checkpointed, and the records of a key stay in order.
//!
//! `WEIR_FAULTS=full` makes faults last as long as they do in production: a minute's freeze, five minutes without the
//! lease table. Without it they last longer than a lease, and no more.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_kinesis::{primitives::Blob, types::PutRecordsRequestEntry};
use localcloud::kinesis::Settings;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    process::{Process, assert_bounded, assert_gone_over, assert_in_order, counts, repeated},
    proxy::Proxy,
    world::{World, until},
};

const KEYS: usize = 20;

/// How many things happen when everything does at once: each kind twice.
const ROUNDS: usize = 8;

/// How long everything lasts.
#[derive(Clone, Copy)]
struct Lengths {
    lease: Duration,
    frozen: Duration,
    away: Duration,
}

fn lengths() -> Lengths {
    let seconds = Duration::from_secs;
    if std::env::var("WEIR_FAULTS").is_ok_and(|wanted| wanted == "full") {
        Lengths { lease: seconds(5), frozen: seconds(60), away: seconds(300) }
    } else {
        Lengths { lease: seconds(2), frozen: seconds(4), away: seconds(4) }
    }
}

/// Kinesis takes what the test puts, at once.
fn unhurried() -> Settings {
    Settings { write_records_per_second: 1 << 20, write_bytes_per_second: 1 << 30, ..Settings::default() }
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

    /// Puts a number more of every key ten times a second, for so long. Returns the next number.
    async fn put_steadily(&self, from: usize, time: Duration) -> usize {
        let (end, mut number) = (Instant::now() + time, from);
        while Instant::now() < end {
            self.put_numbers(number, number + 1).await;
            number += 1;
            sleep(Duration::from_millis(100)).await;
        }
        number
    }
}

async fn until_all(processes: &[&Process], to: usize) -> std::collections::BTreeMap<String, usize> {
    let all: BTreeSet<_> = (0..to).flat_map(|number| (0..KEYS).map(move |key| format!("{key}/{number}"))).collect();
    until("every record is processed", async || {
        let counts = counts(processes);
        all.iter().all(|data| counts.contains_key(data))
    })
    .await;
    counts(processes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_with_ten_thousand_records_in_its_hands_leaves_none_unseen() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let Lengths { lease, .. } = lengths();
    let mut victim = Process::start(&world, &directory, "victim", lease, &[]);
    world.put_numbers(0, 1).await;
    until_all(&[&victim], 1).await;
    let survivor = Process::start(&world, &directory, "survivor", lease, &[]);
    until("both have a lease", async || world.owners().await.len() == 2).await;
    let before = world.put_steadily(1, lease * 2 + Duration::from_secs(1)).await;
    let calm = counts(&[&victim, &survivor]).len();
    // A reader takes ten thousand at once.
    world.put_numbers(before, before + 2000).await;
    until("the victim is at it", async || counts(&[&victim, &survivor]).len() > calm + 100).await;
    let killed_at = Instant::now();
    victim.signal(Signal::SIGKILL);
    assert!(!victim.end().await);
    let done = victim.seen().len();
    until("the lease is taken over", async || world.owners().await.len() == 1).await;
    let took = Instant::now() - killed_at;
    let counts = until_all(&[&victim, &survivor], before + 2000).await;
    println!("killed after {done} records; taken over after {took:?}; {} came twice", repeated(&counts));
    assert!(took < lease + Duration::from_secs(2), "the takeover took {took:?}");
    assert_bounded(&victim, &counts, killed_at, lease);
    assert_in_order(&[&victim, &survivor]);
    assert_gone_over(&victim, &survivor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_asked_to_end_finishes_what_it_has_begun_and_nothing_comes_twice() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let Lengths { lease, .. } = lengths();
    let mut first = Process::start(&world, &directory, "first", lease, &[]);
    world.put_numbers(0, 2000).await;
    until("it is at it", async || first.seen().len() > 100).await;
    first.signal(Signal::SIGTERM);
    assert!(first.end().await, "it ends well");
    let second = Process::start(&world, &directory, "second", lease, &[]);
    let counts = until_all(&[&first, &second], 2000).await;
    println!("asked to end after {} records", first.seen().len());
    assert_eq!(repeated(&counts), 0);
    assert_in_order(&[&first, &second]);
    assert_gone_over(&first, &second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_was_frozen_beyond_its_lease_processes_and_writes_nothing_when_it_wakes() {
    let (world, directory) = (World::start_with(1, unhurried()).await, tempfile::tempdir().unwrap());
    let Lengths { lease, frozen: time, .. } = lengths();
    let frozen = Process::start(&world, &directory, "frozen", lease, &[]);
    world.put_numbers(0, 1).await;
    until_all(&[&frozen], 1).await;
    let other = Process::start(&world, &directory, "other", lease, &[]);
    let number = world.put_steadily(1, lease * 2 + Duration::from_secs(1)).await;
    let frozen_at = Instant::now();
    frozen.signal(Signal::SIGSTOP);
    let number = world.put_steadily(number, time).await;
    until("the other has taken over", async || other.has_logged("reading a shard")).await;
    let counts = until_all(&[&frozen, &other], number).await;
    println!("frozen for {:?}: {} of {} came twice", Instant::now() - frozen_at, repeated(&counts), counts.len());
    assert_bounded(&frozen, &counts, frozen_at, lease);
    let owner = world.owners().await;
    let processed = frozen.seen().len();
    frozen.signal(Signal::SIGCONT);
    until("it has noticed", async || frozen.has_logged("lost a lease")).await;
    world.put_numbers(number, number + 50).await;
    until_all(&[&frozen, &other], number + 50).await;
    assert_eq!(world.owners().await, owner, "the lease stays with the other");
    // It may end what it had begun when it was frozen: what half a second has brought at most.
    assert!(frozen.seen().len() - processed <= 5 * KEYS, "it went on as if it had the lease still");
    assert_in_order(&[&frozen, &other]);
    assert_gone_over(&frozen, &other);
}

/// What happens to the calls of the lease table.
#[derive(Clone, Copy)]
enum Away {
    Refused,
    Swallowed,
}

/// A worker loses its table while another has it still.
async fn without_its_table(away: Away) {
    let (world, directory) = (World::start_with(1, unhurried()).await, tempfile::tempdir().unwrap());
    let Lengths { lease, away: time, .. } = lengths();
    let table = Proxy::start(&world.endpoint_url).await;
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", table.url.as_str())];
    let alone = Process::start(&world, &directory, "alone", lease, &variables);
    world.put_numbers(0, 1).await;
    until_all(&[&alone], 1).await;
    let other = Process::start(&world, &directory, "other", lease, &[]);
    let number = world.put_steadily(1, lease * 2 + Duration::from_secs(1)).await;
    let left_at = Instant::now();
    match away {
        Away::Refused => table.close(),
        Away::Swallowed => table.swallow(),
    }
    let number = world.put_steadily(number, time).await;
    until("the other has taken over", async || other.has_logged("reading a shard")).await;
    let counts = until_all(&[&alone, &other], number).await;
    println!(
        "without its table for {:?}: {} of {} came twice",
        Instant::now() - left_at,
        repeated(&counts),
        counts.len()
    );
    assert!(alone.has_logged("lost a lease"), "it has given up by itself");
    assert_bounded(&alone, &counts, left_at, lease);
    let last = alone.seen().last().unwrap().at;
    // It may have seen its last renewal succeed just before the table went away, and has a second for what is under way.
    assert!(last < left_at + lease + Duration::from_secs(1), "it went on for {:?}", last - left_at);
    table.open();
    world.put_numbers(number, number + 50).await;
    until_all(&[&alone, &other], number + 50).await;
    assert_in_order(&[&alone, &other]);
    assert_gone_over(&alone, &other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_table_refuses_it_for_longer_than_a_lease_leaves_its_shard_to_another() {
    without_its_table(Away::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_table_never_answers_leaves_its_shard_to_another() {
    without_its_table(Away::Swallowed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_table_that_is_away_for_everybody_costs_repetitions_only() {
    let (world, directory) = (World::start_with(2, unhurried()).await, tempfile::tempdir().unwrap());
    let Lengths { lease, away, .. } = lengths();
    let table = Proxy::start(&world.endpoint_url).await;
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", table.url.as_str())];
    let consumer = Process::start(&world, &directory, "consumer", lease, &variables);
    let number = world.put_steadily(0, lease * 2 + Duration::from_secs(1)).await;
    until_all(&[&consumer], number).await;
    let left_at = Instant::now();
    table.close();
    let number = world.put_steadily(number, away).await;
    until("it has given its leases up", async || consumer.has_logged("lost a lease")).await;
    table.open();
    let counts = until_all(&[&consumer], number).await;
    println!("no table for {away:?}: {} of {} came twice", repeated(&counts), counts.len());
    assert_bounded(&consumer, &counts, left_at, lease);
    assert_in_order(&[&consumer]);
}

/// Everything that happens to a fleet of three, whose even members read with fan-out over a wire that is cut and reach
/// the lease table over another.
struct Storm<'a> {
    world: &'a World,
    directory: &'a TempDir,
    arn: String,
    wire: Proxy,
    table: Proxy,
    lengths: Lengths,
    alive: Vec<Process>,
    gone: Vec<Process>,
    started: usize,
}

impl<'a> Storm<'a> {
    async fn new(world: &'a World, directory: &'a TempDir) -> Self {
        let (wire, table) = (Proxy::start(&world.endpoint_url).await, Proxy::start(&world.endpoint_url).await);
        let arn = world.register("reader").await;
        let (alive, gone) = (Vec::new(), Vec::new());
        Self { world, directory, arn, wire, table, lengths: lengths(), alive, gone, started: 0 }
    }

    fn start(&mut self) {
        let far = [
            ("AWS_ENDPOINT_URL_KINESIS", self.wire.url.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.table.url.as_str()),
            ("WEIR_CONSUMER_ARN", self.arn.as_str()),
        ];
        let variables: &[_] = if self.started.is_multiple_of(2) { &far } else { &[] };
        let name = format!("worker-{}", self.started);
        self.alive.push(Process::start(self.world, self.directory, &name, self.lengths.lease, variables));
        self.started += 1;
    }

    /// One thing happens to the worker that is there for longest, or to the table.
    async fn strike(&mut self, round: usize) {
        let mut victim = self.alive.remove(0);
        match round % 4 {
            0 => victim.signal(Signal::SIGKILL),
            1 => victim.signal(Signal::SIGTERM),
            2 => {
                victim.signal(Signal::SIGSTOP);
                sleep(self.lengths.frozen).await;
                victim.signal(Signal::SIGCONT);
                self.alive.push(victim);
                return;
            }
            _ => {
                self.table.close();
                sleep(self.lengths.away).await;
                self.table.open();
                self.alive.push(victim);
                return;
            }
        }
        victim.end().await;
        self.gone.push(victim);
        self.start();
    }
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
    let mut storm = Storm::new(&world, &directory).await;
    (0..3).for_each(|_| storm.start());
    let mut number = 0;
    for round in 0..ROUNDS {
        if round % 3 == 1 {
            world.reshard(if round % 2 == 1 { 4 } else { 2 }).await;
        }
        storm.wire.cut();
        for _ in 0..5 {
            world.put_numbers(number, number + 20).await;
            number += 20;
            sleep(Duration::from_millis(100)).await;
        }
        storm.strike(round).await;
    }
    let all: Vec<_> = storm.alive.iter().chain(&storm.gone).collect();
    let counts = until_all(&all, number).await;
    println!("{} records, {} came twice", counts.len(), repeated(&counts));
    assert_eq!(counts.len(), number * KEYS);
    assert_in_order(&all);
}
