//! One pass of `decide` over many pipelines: `cargo bench -p controlplane --bench decide`.
//!
//! A recorded hour of one pipeline of 100 shards is replayed for every pipeline at an own phase and scale, so that some
//! are calm, some grow, some have a hot shard and some are over their limits. Histories of all pipelines stay in memory,
//! as they do in a control plane; observations are dropped once they are decided on. Goals: less than one CPU-second and
//! 300 MiB for 10,000 pipelines, and a cost per pipeline that does not depend on how many there are.

use std::{hint::black_box, sync::OnceLock, time::Duration};

use controlplane::{
    decide::{History, decide},
    observe::{
        KeyShare, LoadObservation, Observation, Reading, ServiceObservation, ShardLoad, Source, StreamObservation,
    },
    policy::Policy,
    units::{BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond, ShardCount, TaskCount},
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

const SHARDS: usize = 100;
const PIPELINES: [usize; 4] = [10, 100, 1_000, 10_000];
const TICKS: usize = 3;
/// Pipelines that are observed before they are decided on: enough for the clock, few enough for the memory.
const AT_ONCE: usize = 100;
const MIB: f64 = 1024.0 * 1024.0;

/// The load of the whole stream, minute by minute, as a share of its limits: a morning's rise with a peak.
const HOUR: [f64; 12] = [0.21, 0.22, 0.24, 0.29, 0.36, 0.45, 0.58, 0.71, 0.97, 0.82, 0.55, 0.38];

/// How much of its even share each of ten neighbours has.
const SKEW: [f64; 10] = [0.6, 0.9, 1.1, 1.0, 2.4, 0.8, 0.7, 1.2, 0.9, 0.4];

fn main() {
    let policy = Policy::parse("version = 1\n[stream]\nmax_shards = 200\n").expect("a policy");
    let mut per_pipeline = Vec::new();
    for count in PIPELINES {
        // The system counts CPU time in steps of milliseconds: few pipelines are run until they amount to as much.
        let rounds = PIPELINES[3] / count;
        let (spent, actions) =
            (0..rounds).map(|_| run(&policy, count)).fold((Duration::ZERO, 0), |sum, run| (sum.0 + run.0, run.1));
        let spent = spent / rounds as u32;
        per_pipeline.push(spent.as_secs_f64() / count as f64);
        println!(
            "{count:>6} pipelines of {SHARDS} shards: {:>8.1} ms of CPU a pass, {:>6.1} µs a pipeline, {actions} actions, peak {}",
            spent.as_secs_f64() * 1e3,
            spent.as_secs_f64() * 1e6 / count as f64,
            peak_memory().map_or_else(|| "?".to_owned(), |mib| format!("{mib:.0} MiB")),
        );
    }
    let (first, last) = (per_pipeline[0], per_pipeline[per_pipeline.len() - 1]);
    println!("cost per pipeline, {} against {}: {:.2}", PIPELINES[3], PIPELINES[0], last / first);
}

/// The CPU time of the last of a few passes, and how many actions it planned.
fn run(policy: &Policy, count: usize) -> (Duration, usize) {
    let mut histories = vec![History::default(); count];
    let (mut spent, mut actions) = (Duration::ZERO, 0);
    for tick in 0..TICKS {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(31_536_000 + 15 * tick as i64);
        (spent, actions) = (Duration::ZERO, 0);
        for (chunk, histories) in histories.chunks_mut(AT_ONCE).enumerate() {
            let observe = |index: usize| observation(chunk * AT_ONCE + index, tick, now);
            let seen: Vec<_> = (0..histories.len()).map(observe).collect();
            let began = cpu_time();
            for (history, seen) in histories.iter_mut().zip(&seen) {
                let conclusion = black_box(decide(policy, seen, history, now));
                actions += conclusion.plan.actions.len();
                *history = conclusion.history;
            }
            spent += cpu_time() - began;
        }
    }
    (spent, actions)
}

fn observation(pipeline: usize, tick: usize, now: Timestamp) -> Observation {
    let use_of_limit = HOUR[(pipeline + tick / 4) % HOUR.len()] * (0.7 + 0.05 * (pipeline % 10) as f64);
    let shards: Vec<_> = (0..SHARDS).map(|index| shard(index, use_of_limit)).collect();
    let taken: f64 = shards.iter().map(|shard| shard.records.0).sum();
    let refused: f64 = shards.iter().map(|shard| shard.throttled.0).sum();
    let bytes = taken * MIB / 1_000.0;
    Observation {
        at: now,
        stream: StreamObservation {
            name: format!("stream-{pipeline}"),
            status: reading("ACTIVE".to_owned(), now),
            open_shards: reading(ShardCount(SHARDS as u32), now),
            undrained_parents: reading(ShardCount(0), now),
            ..StreamObservation::default()
        },
        producer: service("producer", use_of_limit, now),
        consumer: service("consumer", use_of_limit, now),
        load: LoadObservation {
            offered_records: reading(RecordsPerSecond(taken + refused), now),
            offered_bytes: reading(BytesPerSecond(bytes), now),
            incoming_records: reading(RecordsPerSecond(taken), now),
            incoming_bytes: reading(BytesPerSecond(bytes), now),
            throttled_records: reading(RecordsPerSecond(refused), now),
            processed_records: reading(RecordsPerSecond(taken), now),
            lag: reading(Millis(700), now),
            consumer_busy: reading(Fraction(use_of_limit), now),
            backlog: reading(RecordCount(taken), now),
            processable_leases: reading(ShardCount(SHARDS as u32), now),
            busiest_shards: shards.iter().take(8).cloned().collect(),
            shards,
            ..LoadObservation::default()
        },
        ..Observation::default()
    }
}

fn shard(index: usize, use_of_limit: f64) -> ShardLoad {
    let width = u128::MAX / SHARDS as u128;
    let start = width * index as u128;
    let load = use_of_limit * SKEW[index % SKEW.len()];
    ShardLoad {
        shard_id: format!("shardId-{index:012}"),
        records: RecordsPerSecond(load.min(1.0) * 1_000.0),
        bytes: BytesPerSecond(load.min(1.0) * MIB),
        throttled: RecordsPerSecond((load - 1.0).max(0.0) * 1_000.0),
        starting_hash_key: Some(start),
        ending_hash_key: Some(if index + 1 == SHARDS { u128::MAX } else { start + width - 1 }),
        slices: vec![1.0 / 16.0; 16],
        heaviest: Some(KeyShare { hash_key: start + width / 3, share: 0.05 }),
    }
}

fn service(name: &str, cpu: f64, now: Timestamp) -> ServiceObservation {
    ServiceObservation {
        name: name.to_owned(),
        desired: reading(TaskCount(8), now),
        running: reading(TaskCount(8), now),
        pending: reading(TaskCount(0), now),
        cpu: reading(Fraction(cpu), now),
    }
}

fn reading<T>(value: T, at: Timestamp) -> Option<Reading<T>> {
    Some(Reading { value, at, source: Source::TaskReports })
}

/// The CPU time of this thread, so that other programs do not count (Linux: `schedstat`, nanoseconds); elsewhere the time
/// that passes.
fn cpu_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = spent.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(passed, Duration::from_nanos)
}

fn passed() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    now - *BEGAN.get_or_init(|| now)
}

/// The most memory that the process ever had, in MiB (Linux: `VmHWM`).
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
