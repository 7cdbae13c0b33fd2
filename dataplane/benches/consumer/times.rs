//! How long a start and a takeover take, as a consumer of records sees it.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, timeout},
};

use crate::{process::Process, world::World};

const LONGEST: Duration = Duration::from_secs(60);

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

pub(crate) async fn run(runs: usize) {
    let world = World::start().await;
    world.create("one", 1).await;
    world.create("two", 2).await;
    world.put("one", "first", 0).await;
    let (mut cold, mut planned, mut stopped, mut killed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        cold.push(cold_start(&world, &format!("cold-{run}")).await);
        planned.push(planned_move(&world, &format!("planned-{run}")).await);
        stopped.push(takeover(&world, &format!("stopped-{run}"), Signal::SIGTERM).await);
        killed.push(takeover(&world, &format!("killed-{run}"), Signal::SIGKILL).await);
    }
    println!("| over {runs} runs, in seconds | median | 90 % | most | goal |\n|---|---|---|---|---|");
    line("from the start of the first worker to its first record", cold, "3");
    line("pause of a shard that a live worker hands over", planned, "1");
    line("from SIGTERM to the first record at another worker", stopped, "1");
    line("from SIGKILL to the first record at another worker", killed, "7");
}

fn line(what: &str, mut times: Vec<Duration>, goal: &str) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64();
    println!("| {what} | {:.2} | {:.2} | {:.2} | {goal} |", at(0.5), at(0.9), at(1.0));
}

async fn cold_start(world: &World, application: &str) -> Duration {
    let begun_at = Instant::now();
    let mut worker = Watched::start(world, "one", application);
    worker.next(None).await.0 - begun_at
}

/// Puts a record in each half of the hash range every 20 ms while `watch` goes on.
async fn flow<T>(world: &World, stream: &str, watch: impl Future<Output = T>) -> T {
    let putting = async {
        loop {
            world.put(stream, "x", 0).await;
            world.put(stream, "x", u128::MAX).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        seen = watch => seen,
        () = putting => unreachable!("it puts for ever"),
    }
}

async fn planned_move(world: &World, application: &str) -> Duration {
    let mut old = Watched::start(world, "two", application);
    flow(world, "two", async {
        while old.process.leases().await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut new = Watched::start(world, "two", application);
        let (at, shard) = new.next(None).await;
        // What was there is read; what came last at the old one was before that.
        tokio::time::sleep(Duration::from_millis(100)).await;
        old.last(&shard).map_or(Duration::ZERO, |last| at.saturating_duration_since(last))
    })
    .await
}

async fn takeover(world: &World, application: &str, signal: Signal) -> Duration {
    let mut old = Watched::start(world, "one", application);
    flow(world, "one", async {
        old.next(None).await;
        let mut new = Watched::start(world, "one", application);
        while new.process.report().await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It knows by now what there is.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun_at = Instant::now();
        old.process.signal(signal);
        new.next(None).await.0 - begun_at
    })
    .await
}
