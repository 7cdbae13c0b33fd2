//! What other KCLs have written into a lease is there after Weir's writes, whichever they are.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::{super::super::item::Item, table, *};

const SHARD: &str = "shardId-000000000000";

/// The attributes of the KCL's `DynamoDBLeaseSerializer` from 2.0 to 3.5, and some that no version has yet.
fn item_of_a_kcl() -> Item {
    let set = |values: &[&str]| AttributeValue::Ss(values.iter().map(|&value| value.to_owned()).collect());
    let blob = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let tomorrow =
        Item::from([("list".to_owned(), AttributeValue::L(vec![blob(&[0, 255]), AttributeValue::Null(true)]))]);
    let attributes = [
        (KEY, item::string(SHARD)),
        (OWNER, item::string("me")),
        (COUNTER, item::integer(815)),
        (SWITCHES, item::integer(2)),
        (CHECKPOINT, item::string("49")),
        (SUB_SEQUENCE_NUMBER, item::integer(7)),
        (PENDING, item::string("50")),
        (PENDING_SUB_SEQUENCE_NUMBER, item::integer(1)),
        (PENDING_STATE, blob(b"opaque")),
        ("parentShardId", set(&["shardId-a", "shardId-b"])),
        (CHILDREN, set(&["shardId-c"])),
        (STARTING_HASH_KEY, item::string("0")),
        (ENDING_HASH_KEY, item::string("340282366920938463463374607431768211455")),
        (THROUGHPUT, AttributeValue::N("12.25".to_owned())),
        ("entityType", item::string("LEASE")),
        ("ofTomorrow", AttributeValue::M(tomorrow)),
        ("alsoNew", AttributeValue::Bool(true)),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

type Changes = Vec<(&'static str, Option<AttributeValue>)>;

/// A write of the worker `me`.
enum Write {
    Take,
    Request,
    Advance(Change),
    Describe,
}

impl Write {
    async fn carry_out(&self, table: &Table) {
        let lease = table.get(SHARD).await.unwrap().unwrap();
        match self {
            Self::Take => drop(table.take(&lease, "me").await.unwrap()),
            Self::Request => drop(table.request(&lease, "me").await.unwrap()),
            Self::Advance(change) => drop(table.advance(&lease, "me", change).await.unwrap()),
            Self::Describe => table.describe(SHARD, &("1".to_owned(), "2".to_owned())).await.unwrap(),
        }
    }
}

fn text(value: &str) -> Option<AttributeValue> {
    Some(item::string(value))
}

fn number(value: u64) -> Option<AttributeValue> {
    Some(item::integer(value))
}

/// What a checkpoint changes.
fn checkpointed(at: &str, sub: u64) -> Changes {
    vec![
        (COUNTER, number(816)),
        (CHECKPOINT, text(at)),
        (SUB_SEQUENCE_NUMBER, number(sub)),
        (SWITCHES, number(0)),
        (PENDING, None),
        (PENDING_SUB_SEQUENCE_NUMBER, None),
        (PENDING_STATE, None),
    ]
}

/// Every write: what it is, what is different in the item before, and what must be different after.
fn writes() -> Vec<(&'static str, Changes, Write, Changes)> {
    let mine = Vec::new;
    let anothers = || vec![(OWNER, text("another"))];
    let asked_for = || vec![(OWNER, text("another")), (CHECKPOINT_OWNER, text("me"))];
    let counted = (COUNTER, number(816));
    let at = |checkpoint| Change { checkpoint: Some(checkpoint), ..Change::default() };
    let sixty = || Checkpoint::At("60".parse().unwrap(), 3);
    let load = Load { kilobytes_per_second: 3.5, cpus: 0.25 };
    let ended = Change { children: vec!["shardId-d".to_owned()], release: true, ..at(Checkpoint::ShardEnd) };
    vec![
        ("a renewal", mine(), Write::Advance(Change::default()), vec![counted.clone()]),
        (
            "a renewal with the load",
            mine(),
            Write::Advance(Change { load: Some(load), ..Change::default() }),
            vec![counted.clone(), (THROUGHPUT, Some(item::decimal(3.5))), (CPU, Some(item::decimal(0.25)))],
        ),
        ("a checkpoint", mine(), Write::Advance(at(sixty())), checkpointed("60", 3)),
        (
            "a checkpoint in two phases",
            mine(),
            Write::Advance(Change { pending: Some(sixty()), ..Change::default() }),
            vec![counted.clone(), (PENDING, text("60")), (PENDING_SUB_SEQUENCE_NUMBER, number(3))],
        ),
        (
            "a release",
            mine(),
            Write::Advance(Change { release: true, ..Change::default() }),
            vec![counted.clone(), (OWNER, None), (RELEASED_BY, text("me"))],
        ),
        (
            "the end of the shard",
            mine(),
            Write::Advance(ended),
            [
                checkpointed("SHARD_END", 0),
                vec![
                    (CHILDREN, Some(AttributeValue::Ss(vec!["shardId-d".to_owned()]))),
                    (OWNER, None),
                    (RELEASED_BY, text("me")),
                ],
            ]
            .concat(),
        ),
        ("taking it up again", mine(), Write::Take, vec![counted.clone()]),
        ("taking it", anothers(), Write::Take, vec![counted.clone(), (OWNER, text("me")), (SWITCHES, number(3))]),
        (
            "taking it from a hand-over that has stalled",
            vec![(CHECKPOINT_OWNER, text("another"))],
            Write::Take,
            vec![counted.clone(), (CHECKPOINT_OWNER, None)],
        ),
        (
            "asking for it",
            anothers(),
            Write::Request,
            vec![(OWNER, text("me")), (CHECKPOINT_OWNER, text("another")), (SWITCHES, number(3))],
        ),
        ("a renewal while handing it over", asked_for(), Write::Advance(Change::default()), vec![counted]),
        (
            "handing it over",
            asked_for(),
            Write::Advance(Change { release: true, ..at(sixty()) }),
            [checkpointed("60", 3), vec![(CHECKPOINT_OWNER, None)]].concat(),
        ),
        (
            "adding its hash range",
            mine(),
            Write::Describe,
            vec![(STARTING_HASH_KEY, text("1")), (ENDING_HASH_KEY, text("2"))],
        ),
    ]
}

fn change(mut item: Item, changes: &Changes) -> Item {
    for (name, value) in changes {
        match value {
            Some(value) => item.insert((*name).to_owned(), value.clone()),
            None => item.remove(*name),
        };
    }
    item
}

/// Numbers as numbers: DynamoDB does not keep how they were written.
fn normal(item: Item) -> Item {
    let normal = |value| match value {
        AttributeValue::N(number) => AttributeValue::N(number.parse::<f64>().unwrap().to_string()),
        other => other,
    };
    item.into_iter().map(|(name, value)| (name, normal(value))).collect()
}

#[tokio::test]
async fn every_write_changes_what_it_must_and_leaves_every_other_attribute_as_it_was() {
    let (table, _cloud, _directory) = table().await;
    for (what, before, write, changes) in writes() {
        let before = change(item_of_a_kcl(), &before);
        table.client.put_item().table_name(&table.name).set_item(Some(before.clone())).send().await.unwrap();
        write.carry_out(&table).await;
        assert_eq!(normal(super::item(&table).await), normal(change(before, &changes)), "{what}");
    }
}
