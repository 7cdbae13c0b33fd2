//! A lease as a DynamoDB item.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Lease, Load};
use crate::consumer::checkpoint::{Checkpoint, UnknownPosition};

pub(super) const KEY: &str = "leaseKey";
pub(super) const OWNER: &str = "leaseOwner";
pub(super) const COUNTER: &str = "leaseCounter";
pub(super) const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
pub(super) const CHECKPOINT: &str = "checkpoint";
/// Who may still checkpoint a lease that a KCL 3 or a Weir worker is handing over.
pub(super) const CHECKPOINT_OWNER: &str = "checkpointOwner";
/// A KCL 3 writes it too, with six decimals.
pub(super) const THROUGHPUT: &str = "throughputKBps";
pub(super) const PENDING: &str = "pendingCheckpoint";
pub(super) const PENDING_SUB_SEQUENCE_NUMBER: &str = "pendingCheckpointSubSequenceNumber";
pub(super) const PENDING_STATE: &str = "pendingCheckpointState";
/// Weir's own attributes, which a KCL keeps and does not look at.
pub(super) const CPU: &str = "weirCpu";
pub(super) const RELEASED_BY: &str = "weirReleasedBy";
pub(super) const SUB_SEQUENCE_NUMBER: &str = "checkpointSubSequenceNumber";
const PARENTS: &str = "parentShardId";
pub(super) const CHILDREN: &str = "childShardIds";
pub(super) const STARTING_HASH_KEY: &str = "startingHashKey";
pub(super) const ENDING_HASH_KEY: &str = "endingHashKey";
/// Present since KCL 3.5, whose table also holds items that are no leases.
const ENTITY_TYPE: &str = "entityType";
/// Present on leases of a KCL that reads several streams.
const STREAM_NAME: &str = "streamName";

pub(super) type Item = HashMap<String, AttributeValue>;

/// Why an item is not a lease that can be worked with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ItemError {
    #[error("the item of `{key}` has no usable `{attribute}`")]
    Attribute { key: String, attribute: &'static str },
    #[error("the item of `{key}` has an unknown checkpoint")]
    Checkpoint { key: String, source: UnknownPosition },
}

/// The lease in an item. `None` for what else a KCL keeps in the table.
pub(super) fn read(item: &Item) -> Result<Option<Lease>, ItemError> {
    let foreign = text(item, ENTITY_TYPE).is_some_and(|kind| kind != "LEASE") || item.contains_key(STREAM_NAME);
    let Some(key) = text(item, KEY).filter(|_| !foreign) else { return Ok(None) };
    let missing = |attribute| ItemError::Attribute { key: key.to_owned(), attribute };
    let position = text(item, CHECKPOINT).ok_or_else(|| missing(CHECKPOINT))?;
    let checkpoint = Checkpoint::read(position, number(item, SUB_SEQUENCE_NUMBER).unwrap_or(0))
        .map_err(|source| ItemError::Checkpoint { key: key.to_owned(), source })?;
    Ok(Some(Lease {
        shard_id: key.to_owned(),
        owner: text(item, OWNER).map(str::to_owned),
        counter: number(item, COUNTER).ok_or_else(|| missing(COUNTER))?,
        checkpoint,
        parents: item.get(PARENTS).and_then(|parents| parents.as_ss().ok()).cloned().unwrap_or_default(),
        hash_keys: text(item, STARTING_HASH_KEY)
            .zip(text(item, ENDING_HASH_KEY))
            .map(|(first, last)| (first.to_owned(), last.to_owned())),
        // A pending checkpoint that cannot be read is worth no lease.
        pending: text(item, PENDING)
            .and_then(|pending| Checkpoint::read(pending, number(item, PENDING_SUB_SEQUENCE_NUMBER).unwrap_or(0)).ok()),
        checkpoint_owner: text(item, CHECKPOINT_OWNER).map(str::to_owned),
        load: Load { kilobytes_per_second: fraction(item, THROUGHPUT), cpus: fraction(item, CPU) },
        released_by: text(item, RELEASED_BY).map(str::to_owned),
    }))
}

/// The item of a new lease.
pub(super) fn write(lease: &Lease) -> Item {
    let mut item = Item::from([
        (KEY.to_owned(), string(&lease.shard_id)),
        (COUNTER.to_owned(), integer(lease.counter)),
        (SWITCHES.to_owned(), integer(0)),
        (CHECKPOINT.to_owned(), string(&lease.checkpoint.to_string())),
        (SUB_SEQUENCE_NUMBER.to_owned(), integer(lease.checkpoint.sub_sequence_number())),
    ]);
    // DynamoDB has no empty sets.
    if !lease.parents.is_empty() {
        item.insert(PARENTS.to_owned(), AttributeValue::Ss(lease.parents.clone()));
    }
    if let Some((first, last)) = &lease.hash_keys {
        item.insert(STARTING_HASH_KEY.to_owned(), string(first));
        item.insert(ENDING_HASH_KEY.to_owned(), string(last));
    }
    item
}

pub(super) fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn integer(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Zero for what is not there.
fn fraction(item: &Item, attribute: &str) -> f64 {
    let value = item.get(attribute).and_then(|value| value.as_n().ok()?.parse().ok());
    value.filter(|value: &f64| value.is_finite()).unwrap_or(0.0)
}

pub(super) fn decimal(value: f64) -> AttributeValue {
    AttributeValue::N(format!("{value:.6}"))
}

pub(super) fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

pub(super) fn number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_a_kcl_is_read() {
        let item = Item::from([
            (KEY.to_owned(), string("shardId-000000000002")),
            (OWNER.to_owned(), string("worker")),
            (COUNTER.to_owned(), integer(17)),
            (SWITCHES.to_owned(), integer(1)),
            (CHECKPOINT.to_owned(), string("4951")),
            (SUB_SEQUENCE_NUMBER.to_owned(), integer(4)),
            (PARENTS.to_owned(), AttributeValue::Ss(vec!["shardId-000000000000".to_owned()])),
            ("throughputKBps".to_owned(), AttributeValue::N("1.5".to_owned())),
        ]);
        let lease = read(&item).expect("readable").expect("a lease");
        assert_eq!((lease.owner.as_deref(), lease.counter), (Some("worker"), 17));
        assert_eq!(lease.checkpoint, Checkpoint::At("4951".parse().expect("a number"), 4));
        assert_eq!(lease.parents, ["shardId-000000000000"]);
    }

    #[test]
    fn a_new_lease_is_written_as_it_is_read() {
        let hash_keys = Some(("0".to_owned(), u128::MAX.to_string()));
        let lease =
            Lease::new("shardId-000000000001".to_owned(), Checkpoint::TrimHorizon, vec!["p".to_owned()], hash_keys);
        let item = write(&lease);
        assert_eq!(read(&item).expect("readable"), Some(lease));
        assert_eq!(number(&item, SWITCHES), Some(0));
        assert!(!item.contains_key(OWNER), "an unowned lease has no owner attribute");
    }

    #[test]
    fn what_is_no_lease_is_left_alone_and_what_is_broken_is_named() {
        let leader = Item::from([(KEY.to_owned(), string("Leader")), (ENTITY_TYPE.to_owned(), string("LEADER"))]);
        assert!(read(&leader).expect("readable").is_none());
        let broken = Item::from([(KEY.to_owned(), string("s")), (CHECKPOINT.to_owned(), string("?"))]);
        assert!(read(&broken).expect_err("broken").to_string().contains("`s`"));
    }
}
