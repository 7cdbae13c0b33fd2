use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use localcloud::LocalCloud;
use tempfile::TempDir;

use super::{super::item::Item, *};

mod others;

async fn table() -> (Table, LocalCloud, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = localcloud::Settings::new(directory.path().to_owned());
    settings.listen = ([127, 0, 0, 1], 0).into();
    let cloud = LocalCloud::start(settings).await.unwrap();
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(cloud.endpoint_url())
        .load()
        .await;
    let table = Table::new(Client::new(&sdk), "application".to_owned(), Arc::default());
    assert!(matches!(table.leases().await, Err(TableError::Missing(name)) if name == "application"));
    table.deploy().await.unwrap();
    (table, cloud, directory)
}

fn new_lease() -> Lease {
    Lease::new("shardId-000000000000".to_owned(), Checkpoint::TrimHorizon, Vec::new(), None)
}

fn at(sequence_number: &str) -> Change {
    Change { checkpoint: Some(Checkpoint::At(sequence_number.parse().unwrap(), 3)), ..Change::default() }
}

async fn item(table: &Table) -> Item {
    let get = table.client.get_item().table_name(&table.name).key(KEY, item::string("shardId-000000000000"));
    get.send().await.unwrap().item.unwrap()
}

#[tokio::test]
async fn a_lease_is_created_once_taken_advanced_and_released() {
    let (table, _cloud, _directory) = table().await;
    table.create(&new_lease()).await.unwrap();
    let taken = table.take(&new_lease(), "me").await.unwrap();
    table.create(&new_lease()).await.unwrap();
    assert_eq!(table.leases().await.unwrap(), std::slice::from_ref(&taken), "a lease that exists stays as it is");
    assert_eq!(item::number(&item(&table).await, SWITCHES), Some(1));

    let advanced = table.advance(&taken, "me", &at("49")).await.unwrap();
    assert_eq!((advanced.counter, item::number(&item(&table).await, SWITCHES)), (2, Some(0)));
    let released = table.advance(&advanced, "me", &Change { release: true, ..Change::default() }).await.unwrap();
    assert_eq!(table.leases().await.unwrap(), [released]);
    assert!(!item(&table).await.contains_key(OWNER));
}

#[tokio::test]
async fn the_checkpoint_of_a_stale_owner_is_refused() {
    let (table, _cloud, _directory) = table().await;
    table.create(&new_lease()).await.unwrap();
    let stale = table.take(&new_lease(), "paused").await.unwrap();
    let current = table.take(&stale, "other").await.unwrap();
    let current = table.advance(&current, "other", &at("200")).await.unwrap();
    assert!(matches!(table.advance(&stale, "paused", &at("100")).await, Err(TableError::Lost)));
    assert!(matches!(table.take(&stale, "late").await, Err(TableError::Lost)));
    assert_eq!(table.leases().await.unwrap(), [current]);
}

#[tokio::test]
async fn a_write_that_was_carried_out_and_whose_answer_was_lost_is_no_loss() {
    let (table, _cloud, _directory) = table().await;
    table.create(&new_lease()).await.unwrap();
    let taken = table.take(&new_lease(), "me").await.unwrap();
    let first = table.advance(&taken, "me", &at("100")).await.unwrap();
    assert_eq!(table.advance(&taken, "me", &at("100")).await.unwrap(), first);
    assert!(matches!(table.advance(&taken, "me", &at("101")).await, Err(TableError::Lost)));
}

#[tokio::test]
async fn a_lease_that_is_asked_for_is_handed_over_with_its_last_checkpoint() {
    let (table, _cloud, _directory) = table().await;
    table.create(&new_lease()).await.unwrap();
    let old = table.take(&new_lease(), "weir/old").await.unwrap();
    let asked = table.request(&old, "weir/new").await.unwrap();
    assert!(matches!(table.request(&old, "weir/third").await, Err(TableError::Lost)), "one at a time");
    // Whatever the old owner writes next tells it.
    let Err(TableError::Requested(told)) = table.advance(&old, "weir/old", &at("100")).await else {
        panic!("the old owner is not told")
    };
    assert_eq!((told.owner.as_deref(), told.checkpoint_owner.as_deref()), (Some("weir/new"), Some("weir/old")));
    let renewed = table.advance(&told, "weir/old", &Change::default()).await.unwrap();
    let release = Change { release: true, ..at("100") };
    let last = table.advance(&renewed, "weir/old", &release).await.unwrap();
    let there = table.get(&asked.shard_id).await.unwrap().unwrap();
    assert_eq!(there, last);
    assert_eq!((there.owner.as_deref(), there.checkpoint_owner), (Some("weir/new"), None));
    assert_eq!(there.checkpoint.to_string(), "100");
    let received = table.take(&last, "weir/new").await.unwrap();
    assert!(matches!(table.advance(&last, "weir/old", &at("101")).await, Err(TableError::Lost)));
    assert_eq!(received.counter, last.counter + 1);
}

#[tokio::test]
async fn what_a_shard_costs_stays_with_its_lease() {
    let (table, _cloud, _directory) = table().await;
    table.create(&new_lease()).await.unwrap();
    let taken = table.take(&new_lease(), "me").await.unwrap();
    let load = Load { kilobytes_per_second: 12.5, cpus: 0.25 };
    let change = Change { load: Some(load), release: true, ..Change::default() };
    table.advance(&taken, "me", &change).await.unwrap();
    let there = table.get(&taken.shard_id).await.unwrap().unwrap();
    assert_eq!((there.load, there.released_by.as_deref()), (load, Some("me")));
    let again = table.take(&there, "other").await.unwrap();
    let there = table.get(&taken.shard_id).await.unwrap().unwrap();
    assert_eq!(there, again);
    assert_eq!((there.load, there.released_by), (load, None));
}
