//! The consumers' lease table, in the KCL's form: which shards are still to be read, and which can be read now.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use super::stream::Stream;

/// The checkpoint of a shard that was read to its end (KCL).
const SHARD_END: &str = "SHARD_END";

/// What is read of each lease.
const ATTRIBUTES: &str = "leaseKey, checkpoint, parentShardId";

/// Every lease that is not finished, with its parents.
pub(super) struct Leases {
    unfinished: BTreeMap<String, BTreeSet<String>>,
}

/// What consumers have to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Closed shards that are not read to their end.
    pub(super) undrained_parents: BTreeSet<String>,
    /// Shards that can be read now: none of their parents is still to be read.
    pub(super) processable: BTreeSet<String>,
}

impl Leases {
    pub(super) async fn read(client: &Client, table: &str) -> Result<Self, aws_sdk_dynamodb::Error> {
        let mut items =
            client.scan().table_name(table).projection_expression(ATTRIBUTES).into_paginator().items().send();
        let mut unfinished = BTreeMap::new();
        while let Some(item) = items.next().await {
            let mut item = item?;
            let finished = matches!(item.get("checkpoint"), Some(AttributeValue::S(text)) if text == SHARD_END);
            if let (false, Some(AttributeValue::S(id))) = (finished, item.remove("leaseKey")) {
                let parents = match item.remove("parentShardId") {
                    Some(AttributeValue::Ss(parents)) => parents.into_iter().collect(),
                    _ => BTreeSet::new(),
                };
                unfinished.insert(id, parents);
            }
        }
        Ok(Self { unfinished })
    }

    /// An open shard without a lease is still to be read, too.
    pub(super) fn work(&self, stream: &Stream) -> Work {
        let open: BTreeMap<_, _> = stream.open.iter().map(|shard| (&shard.id, &shard.parents)).collect();
        let undrained: BTreeSet<_> = self.unfinished.keys().filter(|id| !open.contains_key(id)).cloned().collect();
        let closed = self.unfinished.iter().filter(|(id, _)| undrained.contains(*id));
        let waiting = |id: &String| undrained.contains(id) || open.contains_key(id);
        let processable = closed
            .chain(open.iter().map(|(id, parents)| (*id, *parents)))
            .filter(|(_, parents)| !parents.iter().any(waiting))
            .map(|(id, _)| id.clone())
            .collect();
        Work { undrained_parents: undrained, processable }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::stream::OpenShard, *};

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn leases(unfinished: &[(&str, &[&str])]) -> Leases {
        Leases { unfinished: unfinished.iter().map(|(id, parents)| ((*id).to_owned(), ids(parents))).collect() }
    }

    fn stream(open: &[(&str, &[&str])]) -> Stream {
        let open = open.iter().map(|(id, parents)| OpenShard {
            id: (*id).to_owned(),
            parents: ids(parents),
            ..OpenShard::default()
        });
        Stream::of(open.collect())
    }

    #[test]
    fn children_wait_for_a_parent_that_is_not_read_to_its_end() {
        let stream = stream(&[("b", &["a"]), ("c", &["a"]), ("d", &[])]);
        let work = leases(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &[])]).work(&stream);
        assert_eq!(work, Work { undrained_parents: ids(&["a"]), processable: ids(&["a", "d"]) });
    }

    #[test]
    fn children_of_finished_parents_are_work_even_before_they_have_leases() {
        let work = leases(&[]).work(&stream(&[("b", &["a"]), ("c", &["a"])]));
        assert_eq!(work, Work { undrained_parents: ids(&[]), processable: ids(&["b", "c"]) });
    }
}
