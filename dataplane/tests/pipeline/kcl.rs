//! Beside a KCL: lease tables that it has written, and a leader of its version 3 that assigns leases.
//!
//! Items are written by hand in the form that the KCL's `DynamoDBLeaseSerializer`, `WorkerMetricStats` and the
//! DynamoDB lock client give them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::world::{APPLICATION, World, until};

const SHARD: &str = "shardId-000000000000";

type Item = HashMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl World {
    async fn create_table(&self, name: &str, key: &str) {
        let definition = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash).build().unwrap();
        let create = self.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(definition.build().unwrap()).key_schema(schema);
        create.send().await.unwrap();
    }

    async fn put(&self, table: &str, item: Item) {
        self.dynamodb.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }

    async fn items(&self, table: &str) -> Vec<Item> {
        let scan = self.dynamodb.scan().table_name(table).consistent_read(true).send().await.unwrap();
        scan.items.unwrap_or_default()
    }

    async fn lease(&self) -> Item {
        let items = self.items(APPLICATION).await;
        items.into_iter().find(|item| item["leaseKey"] == text(SHARD)).unwrap()
    }

    async fn set(&self, expression: &str, values: &[(&str, AttributeValue)]) {
        let update = self.dynamodb.update_item().table_name(APPLICATION).key("leaseKey", text(SHARD));
        let update = values.iter().fold(update.update_expression(expression), |update, (name, value)| {
            update.expression_attribute_values(*name, value.clone())
        });
        update.send().await.unwrap();
    }
}

/// The lease of a KCL 2.x, in the middle of its shard, of a worker that is no more.
fn lease_of_a_kcl(checkpoint: &str, sub: u64) -> Item {
    item([
        ("leaseKey", text(SHARD)),
        ("leaseOwner", text("ip-10-0-0-1:0a1b")),
        ("leaseCounter", number(815)),
        ("ownerSwitchesSinceCheckpoint", number(2)),
        ("checkpoint", text(checkpoint)),
        ("checkpointSubSequenceNumber", number(sub)),
        ("startingHashKey", text("0")),
        ("endingHashKey", text(&u128::MAX.to_string())),
        ("notFromHere", text("stays")),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_table_of_a_kcl_is_taken_over_in_the_middle_of_a_shard_and_stays_one() {
    let world = World::start(1).await;
    let mut numbers = Vec::new();
    for data in ["zero", "one", "two", "three"] {
        let put = world.kinesis.put_record().stream_name("weir").partition_key("k");
        let put = put.data(aws_sdk_kinesis::primitives::Blob::new(data)).send().await.unwrap();
        numbers.push(put.sequence_number);
    }
    world.create_table(APPLICATION, "leaseKey").await;
    world.put(APPLICATION, lease_of_a_kcl(&numbers[1], 0)).await;
    let consumer = world.consumer().await;
    let rest: BTreeMap<_, _> = [("two".to_owned(), 1), ("three".to_owned(), 1)].into();
    until("the rest is processed", async || consumer.counts() == rest).await;
    until("it is checkpointed", async || world.lease().await["checkpoint"] == text(&numbers[3])).await;
    let held = world.lease().await;
    assert!(matches!(&held["leaseOwner"], AttributeValue::S(owner) if owner.starts_with("weir/")), "{held:?}");
    consumer.role.stop().await;

    let left = world.lease().await;
    assert!(matches!(&left["leaseCounter"], AttributeValue::N(counter) if counter.parse::<u64>().unwrap() > 816));
    for (attribute, expected) in [
        ("leaseKey", Some(text(SHARD))),
        ("leaseOwner", None),
        ("checkpointOwner", None),
        ("checkpoint", Some(text(&numbers[3]))),
        ("checkpointSubSequenceNumber", Some(number(0))),
        ("ownerSwitchesSinceCheckpoint", Some(number(0))),
        ("pendingCheckpoint", None),
        ("pendingCheckpointSubSequenceNumber", None),
        ("pendingCheckpointState", None),
        ("startingHashKey", Some(text("0"))),
        ("endingHashKey", Some(text(&u128::MAX.to_string()))),
        ("notFromHere", Some(text("stays"))),
    ] {
        assert_eq!(left.get(attribute), expected.as_ref(), "{attribute}");
    }
    // What the KCL does not know is Weir's own.
    let known = ["leaseCounter", "throughputKBps", "weirCpu", "weirReleasedBy"];
    let checked = lease_of_a_kcl("", 0).into_keys().collect::<BTreeSet<_>>();
    let other: Vec<_> =
        left.keys().filter(|name| !checked.contains(*name) && !known.contains(&name.as_str())).collect();
    assert!(other.is_empty(), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_the_leader_of_a_kcl_3_leases_are_read_when_they_are_assigned_and_given_back_when_they_are_moved() {
    let world = World::start(1).await;
    let state = format!("{APPLICATION}-CoordinatorState");
    let stats = format!("{APPLICATION}-WorkerMetricStats");
    world.create_table(APPLICATION, "leaseKey").await;
    world.create_table(&state, "key").await;
    world.create_table(&stats, "wid").await;
    world.put(&state, item([("key", text("Migration3.0")), ("cv", text("CLIENT_VERSION_3X"))])).await;
    let leader = [
        ("key", text("Leader")),
        ("ownerName", text("java")),
        ("recordVersionNumber", text("one")),
        ("leaseDuration", text("120000")),
    ];
    world.put(&state, item(leader)).await;
    let consumer = world.consumer().await;
    until("the worker is on the leader's list", async || !world.items(&stats).await.is_empty()).await;
    let worker = world.items(&stats).await.remove(0);
    for (attribute, kind) in [("lut", "N"), ("slu", "N"), ("sup", "N"), ("sts", "M"), ("opr", "M")] {
        let right = match &worker[attribute] {
            AttributeValue::N(_) => kind == "N",
            AttributeValue::M(_) => kind == "M",
            _ => false,
        };
        assert!(right, "{attribute}: {:?}", worker[attribute]);
    }
    let me = worker["wid"].clone();
    until("there is a lease", async || !world.items(APPLICATION).await.is_empty()).await;
    let reads = world.metric(&consumer.role, "weir_lease_table_reads_total").await;
    until("the worker has looked five times more", async || {
        world.metric(&consumer.role, "weir_lease_table_reads_total").await >= reads + 5.0
    })
    .await;
    assert!(!world.lease().await.contains_key("leaseOwner"), "it is the leader's to assign");

    world.set("SET leaseOwner = :me ADD leaseCounter :one", &[(":me", me.clone()), (":one", number(1))]).await;
    let producer = world.producer(&[]).await;
    world.store(&producer, "assigned", None).await;
    until("it is read", async || consumer.counts().contains_key("assigned")).await;

    let moved = [(":java", text("java")), (":me", me)];
    world.set("SET leaseOwner = :java, checkpointOwner = :me", &moved).await;
    until("it is given back", async || !world.lease().await.contains_key("checkpointOwner")).await;
    let lease = world.lease().await;
    assert_eq!(lease["leaseOwner"], text("java"));
    assert_ne!(lease["checkpoint"], text("TRIM_HORIZON"), "with its last checkpoint");
    producer.role.stop().await;
    consumer.role.stop().await;
    assert!(world.items(&stats).await.is_empty(), "who stops leaves the list");
}
