//! The `exec` processor with a program of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{RunningConsumer, RunningProducer, World, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pipeline/processor.py");

/// A program and what it has noted down.
struct Program {
    directory: TempDir,
    modes: Vec<&'static str>,
}

impl Program {
    /// `None` where there is no Python.
    fn new(modes: &[&'static str]) -> Option<Self> {
        if Command::new("python3").arg("--version").output().is_err() {
            eprintln!("skipped: there is no python3");
            return None;
        }
        Some(Self { directory: tempfile::tempdir().unwrap(), modes: modes.to_vec() })
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("notes")
    }

    async fn consumer(&self, world: &World) -> RunningConsumer {
        self.consumer_with(world, &[]).await
    }

    async fn consumer_with(&self, world: &World, arguments: &[&str]) -> RunningConsumer {
        let notes = self.file();
        let words = [&["python3", SCRIPT, notes.to_str().unwrap()], &self.modes[..]].concat();
        let command = json!(words).to_string();
        world.consumer_with(&[&["--processor", "exec", "--exec-command", &command], arguments].concat()).await
    }

    fn notes(&self) -> Vec<Value> {
        let notes = std::fs::read_to_string(self.file()).unwrap_or_default();
        notes.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How often each data was processed.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for data in self.notes().iter().filter_map(|note| note["data"].as_str()) {
            *counts.entry(data.to_owned()).or_default() += 1;
        }
        counts
    }

    fn events(&self, event: &str) -> Vec<Value> {
        self.notes().into_iter().filter(|note| note["event"] == event).collect()
    }

    async fn until_seen(&self, expected: &BTreeSet<String>) {
        until("every record is processed", async || {
            expected.is_subset(&self.counts().into_keys().collect::<BTreeSet<_>>())
        })
        .await;
    }
}

async fn store(world: &World, producer: &RunningProducer, prefix: &str, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<_> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
    join_all(names.iter().map(|data| world.store(producer, data, None))).await;
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_gets_every_record_and_only_the_checkpoints_that_it_may_have() {
    let Some(program) = Program::new(&["probe"]) else { return };
    let world = World::start(2).await;
    let (producer, consumer) = (world.producer(&[]).await, program.consumer(&world).await);
    let sent = store(&world, &producer, "one", 50).await;
    program.until_seen(&sent).await;
    consumer.role.stop().await;
    assert_eq!(program.counts(), sent.into_iter().map(|data| (data, 1)).collect());
    let started = program.events("initialize");
    assert_eq!(started.len(), 2, "one program for each shard");
    assert!(started.iter().all(|note| note["at"] == "TRIM_HORIZON" && note["early"] == "InvalidStateException"));
    let notes = program.notes();
    let all = |member: &str| -> Vec<_> { notes.iter().filter_map(|note| note.get(member).cloned()).collect() };
    for refused in ["beyond", "nowhere"] {
        let errors = all(refused);
        assert!(!errors.is_empty() && errors.iter().all(|error| *error == "IllegalArgumentException"), "{errors:?}");
    }
    for granted in ["first", "checkpoint"] {
        let errors = all(granted);
        assert!(!errors.is_empty() && errors.iter().all(Value::is_null), "{granted}: {errors:?}");
    }
    for event in ["shutdownRequested", "leaseLost"] {
        assert_eq!(program.events(event).len(), 2, "{event}");
    }
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_crashes_begins_again_at_its_last_checkpoint_and_others_go_on() {
    let Some(program) = Program::new(&["crash-once"]) else { return };
    let world = World::start(2).await;
    let (producer, consumer) = (world.producer(&[]).await, program.consumer(&world).await);
    let before = store(&world, &producer, "before", 30).await;
    program.until_seen(&before).await;
    let poison = store(&world, &producer, "poison", 30).await;
    program.until_seen(&poison).await;
    consumer.role.stop().await;
    let started = program.events("initialize");
    assert_eq!(started.len(), 3, "one of them twice: {started:?}");
    assert_ne!(started[2]["at"], "TRIM_HORIZON");
    let counts = program.counts();
    assert!(before.iter().all(|data| counts[data] == 1), "a record was checkpointed and came again: {counts:?}");
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_no_program_survives_becomes_a_dead_letter_and_all_others_are_processed() {
    let Some(program) = Program::new(&["crash"]) else { return };
    let letters = program.directory.path().join("letters");
    let target = format!("file:{}", letters.display());
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let mut good = store(&world, &producer, "before", 20).await;
    store(&world, &producer, "poison", 1).await;
    good.extend(store(&world, &producer, "after", 20).await);
    let policy = ["--poison", "dead-letter", "--dead-letters", &target, "--poison-retries", "1"];
    let consumer = program.consumer_with(&world, &policy).await;
    program.until_seen(&good).await;
    consumer.role.stop().await;
    let written = std::fs::read_to_string(&letters).unwrap();
    let letters: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(matches!(&letters[..], [letter] if letter["data"] == "poison-0"), "{letters:?}");
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_has_not_checkpointed_comes_again_after_a_crash() {
    let Some(program) = Program::new(&["crash-once", "keep"]) else { return };
    let world = World::start(1).await;
    let (producer, consumer) = (world.producer(&[]).await, program.consumer(&world).await);
    let before = store(&world, &producer, "before", 10).await;
    program.until_seen(&before).await;
    let poison = store(&world, &producer, "poison", 1).await;
    program.until_seen(&poison).await;
    consumer.role.stop().await;
    assert!(program.events("initialize").iter().all(|note| note["at"] == "TRIM_HORIZON"));
    let counts = program.counts();
    assert!(before.iter().all(|data| counts[data] == 2), "{counts:?}");
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_asked_to_stop_writes_a_checkpoint_that_holds() {
    let Some(program) = Program::new(&["keep"]) else { return };
    let world = World::start(2).await;
    let (producer, first) = (world.producer(&[]).await, program.consumer(&world).await);
    let before = store(&world, &producer, "before", 50).await;
    program.until_seen(&before).await;
    until("each shard has its program", async || program.events("initialize").len() == 2).await;
    first.role.stop().await;
    let asked = program.events("shutdownRequested checkpoint");
    assert!(asked.len() == 2 && asked.iter().all(|note| note["checkpoint"].is_null()), "{asked:?}");
    let second = program.consumer(&world).await;
    let after = store(&world, &producer, "after", 50).await;
    program.until_seen(&after).await;
    second.role.stop().await;
    assert!(program.counts().values().all(|count| *count == 1), "nothing comes twice: {:?}", program.counts());
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_told_that_its_shard_has_ended_and_the_next_ones_follow() {
    let Some(program) = Program::new(&["keep"]) else { return };
    let world = World::start(1).await;
    let (producer, consumer) = (world.producer(&[]).await, program.consumer(&world).await);
    let before = store(&world, &producer, "before", 20).await;
    program.until_seen(&before).await;
    world.reshard(2).await;
    world.until_active().await;
    until("the shard has ended", async || program.events("initialize").len() == 3).await;
    let after = store(&world, &producer, "after", 20).await;
    program.until_seen(&after).await;
    consumer.role.stop().await;
    let ended = program.events("shardEnded checkpoint");
    let [ended] = &ended[..] else { panic!("one shard has ended: {ended:?}") };
    assert_eq!((&ended["shard"], &ended["checkpoint"]), (&json!("shardId-000000000000"), &Value::Null));
    let order: Vec<_> = program.notes().iter().filter_map(|note| note["event"].as_str().map(str::to_owned)).collect();
    let end = order.iter().position(|event| event == "shardEnded");
    let second = order.iter().enumerate().filter(|(_, event)| *event == "initialize").nth(1).map(|(place, _)| place);
    assert!(end < second, "the children begin after the end of their parent: {order:?}");
    assert!(program.counts().values().all(|count| *count == 1), "{:?}", program.counts());
    producer.role.stop().await;
}
