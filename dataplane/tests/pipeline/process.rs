//! Consumers that are processes of their own, and what they have processed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Duration, Instant};

use crate::world::{World, until};

/// A record that a process has processed.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Not before it was.
    pub(crate) at: Instant,
    pub(crate) data: String,
}

/// A consumer whose records are taken down as they come. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    reading: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts one whose leases last for `lease`, with these variables beside the usual ones.
    pub(crate) fn start(
        world: &World,
        directory: &TempDir,
        name: &str,
        lease: Duration,
        variables: &[(&str, &str)],
    ) -> Self {
        let log = directory.path().join(name).with_extension("log");
        let lease = format!("{}s", lease.as_secs());
        let mut child = Command::new(env!("CARGO_BIN_EXE_consumer"))
            .args(["--stream", "weir", "--application", "weir-consumer", "--bind", "127.0.0.1", "--admin-port", "0"])
            .args(["--lease-duration", &lease, "--create-lease-table"])
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", &world.region)])
            .envs([("AWS_ENDPOINT_URL", world.endpoint_url.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (output, seen) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let reading = std::thread::spawn({
            let seen = seen.clone();
            move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // A killed process may leave half a line.
                    let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
                    let data = record["data"].as_str().unwrap().to_owned();
                    seen.lock().unwrap().push(Seen { at: Instant::now(), data });
                }
            }
        });
        Self { child, log, seen, reading: Some(reading) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// What was processed, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn has_logged(&self, text: &str) -> bool {
        std::fs::read_to_string(&self.log).unwrap().contains(text)
    }

    /// Waits until the process has ended and all it has written is read. Whether it ended well.
    pub(crate) async fn end(&mut self) -> bool {
        until("the process ends", async || self.child.try_wait().unwrap().is_some()).await;
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each record was processed by all of them together.
pub(crate) fn counts(processes: &[&Process]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in processes.iter().flat_map(|process| process.seen()) {
        *counts.entry(record.data).or_default() += 1;
    }
    counts
}

pub(crate) fn repeated(counts: &BTreeMap<String, usize>) -> usize {
    counts.values().map(|count| count - 1).sum()
}

/// A record's key and its number among those of the key.
fn place(data: &str) -> (&str, usize) {
    let (key, number) = data.split_once('/').unwrap();
    (key, number.parse().unwrap())
}

/// Leaving repetitions aside, the records of each key come in the order in which they were put.
pub(crate) fn assert_in_order(processes: &[&Process]) {
    for process in processes {
        let (mut seen, mut most) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
        for Seen { data, .. } in process.seen() {
            if !seen.insert(data.clone()) {
                continue;
            }
            let (key, number) = place(&data);
            let before = most.insert(key.to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{data} came after {before:?}");
        }
    }
}

/// Where a key went over from `old` to `new` for good, it went over in one place: what only the old one has processed
/// is older than all that the new one has.
pub(crate) fn assert_gone_over(old: &Process, new: &Process) {
    let of_new: BTreeSet<_> = new.seen().into_iter().map(|seen| seen.data).collect();
    let mut first_of_new = BTreeMap::<&str, usize>::new();
    for (key, number) in of_new.iter().map(|data| place(data)) {
        first_of_new.entry(key).and_modify(|first| *first = number.min(*first)).or_insert(number);
    }
    for Seen { data, .. } in old.seen().iter().filter(|seen| !of_new.contains(&seen.data)) {
        let (key, number) = place(data);
        assert!(first_of_new.get(key).is_none_or(|first| number < *first), "{data} was left out by the new owner");
    }
}

/// What `old` has processed more than a lease's duration before `until` is checkpointed and does not come again: its
/// lease would have been over otherwise. A second is for what it had under way while it wrote.
pub(crate) fn assert_bounded(old: &Process, counts: &BTreeMap<String, usize>, until: Instant, lease: Duration) {
    let mut checkpointed = 0;
    for Seen { at, data } in old.seen() {
        if at + lease + Duration::from_secs(1) < until {
            assert_eq!(counts[&data], 1, "{data} was processed {:?} before the end and comes again", until - at);
            checkpointed += 1;
        }
    }
    assert!(checkpointed > 0, "nothing was old enough to tell");
}
