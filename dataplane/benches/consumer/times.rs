//! How long a start and a takeover take, as a consumer of records sees it.
//!
//! Four runs are under way at once, each on streams of its own: their processes wait most of the time.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use futures::{StreamExt, stream};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, timeout},
};

use crate::{process::Process, world::World};

const LONGEST: Duration = Duration::from_secs(60);

const LANES: usize = 4;

/// The time between two renewals of a lease at the default duration.
const RENEWAL: Duration = Duration::from_millis(1667);

/// A consumer and its records as they come: their shard, and when.
struct Watched {
    process: Process,
    lines: UnboundedReceiver<(Instant, String)>,
}

impl Watched {
    fn start(world: &World, stream: &str, application: &str) -> Self {
        let mut process = Process::start(world, stream, application, &[], Stdio::piped());
        let output = process.child.stdout.take().expect("a pipe");
        let (sender, lines) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let shard = serde_json::from_str::<Value>(&line)
                    .ok()
                    .and_then(|line| line["shard_id"].as_str().map(str::to_owned));
                if sender.send((Instant::now(), shard.unwrap_or_default())).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The next record, of this shard if one is named.
    async fn next(&mut self, shard: Option<&str>) -> (Instant, String) {
        let next = async {
            loop {
                let line = self.lines.recv().await.expect("it lives");
                if shard.is_none_or(|shard| shard == line.1) {
                    return line;
                }
            }
        };
        timeout(LONGEST, next).await.expect("a record within a minute")
    }

    async fn holds(&self, leases: usize) {
        let deadline = Instant::now() + LONGEST;
        while self.process.shards().await.len() != leases {
            assert!(Instant::now() < deadline, "it never had {leases} leases");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// When the last record of a shard came, among those that are there.
    fn last(&mut self, shard: &str) -> Option<Instant> {
        let mut last = None;
        while let Ok((at, of)) = self.lines.try_recv() {
            if of == shard {
                last = Some(at);
            }
        }
        last
    }
}

/// What one run took.
struct Times {
    cold: Duration,
    planned: Duration,
    stopped: Duration,
    last_of_many: Duration,
    killed: Duration,
}

pub(crate) async fn run(runs: usize) {
    let world = World::start().await;
    let lanes = stream::iter(0..runs).map(|run| one_run(&world, run)).buffer_unordered(LANES);
    let times: Vec<Times> = lanes.collect().await;
    println!("| over {runs} runs, in seconds | median | 90 % | most | goal |\n|---|---|---|---|---|");
    let line = |what, of: fn(&Times) -> Duration, goal| line(what, times.iter().map(of).collect(), goal);
    line("from the start of the first worker to its first record", |times| times.cold, "3");
    line("pause of a shard that a live worker hands over", |times| times.planned, "1");
    line("from SIGTERM to the first record at another worker", |times| times.stopped, "1");
    line("the same, for the last of four shards that go to two others", |times| times.last_of_many, "1");
    line("from SIGKILL to the first record at another worker", |times| times.killed, "7");
}

async fn one_run(world: &World, run: usize) -> Times {
    // Kills and stops come at any time between two renewals, evenly over the runs.
    let moment = RENEWAL.mul_f64((run as f64 * 0.618_034).fract());
    Times {
        cold: cold_start(world, &format!("cold-{run}")).await,
        planned: planned_move(world, &format!("planned-{run}")).await,
        stopped: takeover(world, &format!("stopped-{run}"), moment, Signal::SIGTERM).await,
        last_of_many: stop_one_of_three(world, &format!("three-{run}"), moment).await,
        killed: takeover(world, &format!("killed-{run}"), moment, Signal::SIGKILL).await,
    }
}

fn line(what: &str, mut times: Vec<Duration>, goal: &str) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64();
    println!("| {what} | {:.2} | {:.2} | {:.2} | {goal} |", at(0.5), at(0.9), at(1.0));
}

async fn cold_start(world: &World, name: &str) -> Duration {
    world.create(name, 1).await;
    world.put(name, "first", 0).await;
    let begun_at = Instant::now();
    let mut worker = Watched::start(world, name, name);
    worker.next(None).await.0 - begun_at
}

/// Puts a record into each of `shards` every 20 ms while `watch` goes on.
async fn flow<T>(world: &World, stream: &str, shards: u128, watch: impl Future<Output = T>) -> T {
    let putting = async {
        loop {
            world.put_everywhere(stream, shards).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        seen = watch => seen,
        () = putting => unreachable!("it puts for ever"),
    }
}

async fn planned_move(world: &World, name: &str) -> Duration {
    world.create(name, 2).await;
    let mut old = Watched::start(world, name, name);
    flow(world, name, 2, async {
        old.holds(2).await;
        let mut new = Watched::start(world, name, name);
        let (at, shard) = new.next(None).await;
        // What was there is read; what came last at the old one was before that.
        tokio::time::sleep(Duration::from_millis(100)).await;
        old.last(&shard).map_or(Duration::ZERO, |last| at.saturating_duration_since(last))
    })
    .await
}

async fn takeover(world: &World, name: &str, moment: Duration, signal: Signal) -> Duration {
    world.create(name, 1).await;
    let mut old = Watched::start(world, name, name);
    flow(world, name, 1, async {
        old.next(None).await;
        let mut new = Watched::start(world, name, name);
        while new.process.report().await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It knows by now what there is.
        tokio::time::sleep(Duration::from_secs(1) + moment).await;
        let begun_at = Instant::now();
        old.process.signal(signal);
        new.next(None).await.0 - begun_at
    })
    .await
}

/// Until the last shard of the worker that stops has gone on at one of two others.
async fn stop_one_of_three(world: &World, name: &str, moment: Duration) -> Duration {
    world.create(name, 12).await;
    let mut workers: Vec<_> = (0..3).map(|_| Watched::start(world, name, name)).collect();
    flow(world, name, 12, async {
        for worker in &workers {
            worker.holds(4).await;
        }
        tokio::time::sleep(Duration::from_secs(1) + moment).await;
        let leaving = workers.remove(0);
        let mut shards = leaving.process.shards().await;
        // Some of them were the others' before.
        workers.iter_mut().for_each(|worker| while worker.lines.try_recv().is_ok() {});
        let begun_at = Instant::now();
        leaving.process.signal(Signal::SIGTERM);
        let deadline = begun_at + LONGEST;
        let mut last = begun_at;
        while !shards.is_empty() {
            assert!(Instant::now() < deadline, "nobody went on with {shards:?}");
            for worker in &mut workers {
                while let Ok((at, shard)) = worker.lines.try_recv() {
                    if shards.remove(&shard) {
                        last = last.max(at);
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        last - begun_at
    })
    .await
}
