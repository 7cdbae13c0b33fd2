//! Streams that survive the process.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use localcloud::kinesis::Settings;

use crate::world::{World, quick};

const SHARD: &str = "shardId-000000000000";

fn durable() -> Settings {
    Settings { durable: true, ..quick() }
}

/// Begins anew on the files as they are: nothing of the first endpoint is closed or flushed, as after SIGKILL.
async fn again(directory: &Path) -> World {
    World::start_in(directory.to_owned(), durable()).await
}

#[tokio::test]
async fn records_shards_tags_and_numbers_are_there_after_the_process_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let first = again(directory.path()).await;
    first.create("s", 1).await;
    let (_, before) = first.put("s", "k", "a").await;
    first.update_shard_count("s", 2).await;
    let (child, _) = first.put("s", "k", "b").await;
    first.client.add_tags_to_stream().stream_name("s").tags("a", "b").send().await.unwrap();
    let shards = first.shards("s").await;

    let second = again(directory.path()).await;
    assert_eq!(second.shards("s").await, shards);
    assert_eq!(second.data("s", SHARD).await, ["a"]);
    assert_eq!(second.data("s", &child).await, ["b"]);
    assert_eq!(second.read("s", SHARD).await.records()[0].sequence_number, before);
    let (_, after) = second.put("s", "k", "c").await;
    assert!(after > before);
    assert_eq!(second.data("s", &child).await, ["b", "c"]);
    let tags = second.client.list_tags_for_stream().stream_name("s").send().await.unwrap();
    assert_eq!(tags.tags().len(), 1);

    let third = again(directory.path()).await;
    assert_eq!(third.data("s", &child).await, ["b", "c"]);
}

#[tokio::test]
async fn a_torn_last_entry_is_dropped_and_what_came_before_it_kept() {
    let directory = tempfile::tempdir().unwrap();
    let first = again(directory.path()).await;
    first.create("s", 1).await;
    first.put("s", "k", "whole").await;
    let path = directory.path().join("kinesis/s.stream");
    let whole = fs::read(&path).unwrap();
    first.put("s", "k", "torn").await;
    let torn = fs::read(&path).unwrap();
    for length in [whole.len() + 1, whole.len() + 9, torn.len() - 1] {
        fs::write(&path, &torn[..length]).unwrap();
        let second = again(directory.path()).await;
        assert_eq!(second.data("s", SHARD).await, ["whole"], "cut to {length} of {} bytes", torn.len());
    }
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&[0xff; 100]).unwrap();
    assert_eq!(again(directory.path()).await.data("s", SHARD).await, ["whole"]);
}

#[tokio::test]
async fn a_put_adds_to_the_file_what_it_holds_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let world = again(directory.path()).await;
    world.create("s", 1).await;
    let length = || fs::metadata(directory.path().join("kinesis/s.stream")).unwrap().len();
    let mut grown = Vec::new();
    for _ in 0..50 {
        let before = length();
        world.put("s", "k", &"x".repeat(100)).await;
        grown.push(length() - before);
    }
    assert!(grown.iter().all(|bytes| *bytes == grown[0] && *bytes < 150), "{grown:?}");
}

#[tokio::test]
async fn a_deleted_stream_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let world = again(directory.path()).await;
    world.create("s", 1).await;
    world.delete("s").await;
    assert_eq!(fs::read_dir(directory.path().join("kinesis")).unwrap().count(), 0);
    assert!(again(directory.path()).await.client.list_streams().send().await.unwrap().stream_names.is_empty());
}
