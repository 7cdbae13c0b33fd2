//! The keys that all tasks remember, in a DynamoDB table.
//!
//! # What the table must be
//! - Partition key `id` (S); no sort key, no index, no stream.
//! - Time to live enabled on `expires_at` (N, seconds since the Unix epoch). Correctness does not depend on it, since an
//!   item past that time counts as absent: without it the table only grows.
//! - On-demand capacity, or for each request with a key two writes of as many units as its item has KiB: one up to some
//!   hundred records, about 100 for the 10,000 that a request has at most.
//! - Several deployments may share one, if their clients' keys differ.
//!
//! # What the task's role must allow
//! `dynamodb:PutItem` and `dynamodb:UpdateItem` on the table, nothing else: what a refused write found comes with the
//! refusal (`ReturnValuesOnConditionCheckFailure`), so nothing is read, described or deleted. A table encrypted with a key
//! of the customer's needs `kms:Decrypt` on that key beside.
//!
//! # Its items
//!
//! | attribute | |
//! |---|---|
//! | `id` (S) | SHA-256 of the client's name and its key, in hexadecimal |
//! | `fingerprint` (B) | SHA-256 of the body |
//! | `version` (N) | one more with each try; every write is on its condition |
//! | `until_ms` (N) | while a try is under way: when it counts as given up, in milliseconds since the Unix epoch |
//! | `outcomes` (B) | what the last finished try came to: JSON, gzip |
//! | `expires_at` (N) | when it is forgotten: the TTL attribute |

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    primitives::Blob,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{Fingerprint, Id};
use crate::{
    aws,
    producer::receipt::{Outcome, Refusal, Stored},
};

/// An item of DynamoDB has at most 400 KiB; this is what outcomes of it may expand to.
const OUTCOMES_BYTES_MAX: u64 = 4 << 20;

type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    client: Client,
    name: String,
    time: Duration,
}

pub(super) enum Found {
    Claimed { earlier: Arc<[Outcome]>, version: u64 },
    Settled(Arc<[Outcome]>),
    UnderWay,
    OtherBody,
}

impl Table {
    /// Keys are remembered for `time`.
    pub(crate) fn new(client: Client, name: String, time: Duration) -> Self {
        Self { client, name, time }
    }

    /// Claims a key for `patience`, unless it is settled or somebody else's.
    pub(super) async fn claim(
        &self,
        id: &Id,
        fingerprint: &Fingerprint,
        patience: Duration,
        now_ms: u64,
    ) -> Result<Found, String> {
        let mut item = self.item(id, fingerprint, now_ms + millis(patience), now_ms);
        let free = self.put(item.clone()).condition_expression("attribute_not_exists(id) OR expires_at <= :now");
        let free = free.expression_attribute_values(":now", number(now_ms / 1000));
        let old = match free.send().await {
            Ok(_) => return Ok(Found::Claimed { earlier: [].into(), version: 1 }),
            Err(error) => old_item(&error).ok_or_else(|| aws::describe(&error))?,
        };
        if !matches!(old.get("fingerprint"), Some(AttributeValue::B(seen)) if seen.as_ref() == fingerprint) {
            return Ok(Found::OtherBody);
        }
        let (version, outcomes) = (read_number(&old, "version").unwrap_or_default(), outcomes(&old));
        if !outcomes.is_empty() && outcomes.iter().all(Result::is_ok) {
            return Ok(Found::Settled(outcomes));
        }
        if read_number(&old, "until_ms").is_some_and(|until| until > now_ms) {
            return Ok(Found::UnderWay);
        }
        item.insert("version".to_owned(), number(version + 1));
        item.extend(old.get("outcomes").map(|outcomes| ("outcomes".to_owned(), outcomes.clone())));
        let next = self.put(item).condition_expression("version = :version");
        match next.expression_attribute_values(":version", number(version)).send().await {
            Ok(_) => Ok(Found::Claimed { earlier: outcomes, version: version + 1 }),
            Err(error) => old_item(&error).map(|_| Found::UnderWay).ok_or_else(|| aws::describe(&error)),
        }
    }

    /// Notes what the try of `version` came to. A later try's note stays.
    pub(super) async fn finish(&self, id: &Id, version: u64, outcomes: &[Outcome], now_ms: u64) -> Result<(), String> {
        let update = self.client.update_item().table_name(&self.name).key("id", text(id));
        let update = update.update_expression("SET outcomes = :outcomes, expires_at = :expires REMOVE until_ms");
        let update = update.condition_expression("version = :version");
        let update = update
            .expression_attribute_values(":outcomes", AttributeValue::B(Blob::new(pack(outcomes))))
            .expression_attribute_values(":expires", number((now_ms + millis(self.time)) / 1000))
            .expression_attribute_values(":version", number(version));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refused))
                if matches!(refused.err(), UpdateItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(())
            }
            Err(error) => Err(aws::describe(&error)),
        }
    }

    fn put(&self, item: Item) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn item(&self, id: &Id, fingerprint: &Fingerprint, until_ms: u64, now_ms: u64) -> Item {
        let expires_at = (until_ms.max(now_ms + millis(self.time))) / 1000;
        [
            ("id", text(id)),
            ("fingerprint", AttributeValue::B(Blob::new(*fingerprint))),
            ("version", number(1)),
            ("until_ms", number(until_ms)),
            ("expires_at", number(expires_at)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn old_item(error: &SdkError<PutItemError>) -> Option<Item> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item().cloned().unwrap_or_default()),
        _ => None,
    }
}

fn text(id: &Id) -> AttributeValue {
    AttributeValue::S(format!("{:032x}{:032x}", u128::from_be_bytes(half(id, 0)), u128::from_be_bytes(half(id, 16))))
}

fn half(id: &Id, from: usize) -> [u8; 16] {
    std::array::from_fn(|index| id[from + index])
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn read_number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Sequence number and shard of each record that is stored, nothing for the others.
type Packed<'a> = Vec<Option<(&'a str, &'a str)>>;

fn pack(outcomes: &[Outcome]) -> Vec<u8> {
    let places: Packed<'_> =
        outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|to| (&*to.sequence_number, &*to.shard_id))).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // In memory neither fails.
    let written = gzip.write_all(&serde_json::to_vec(&places).unwrap_or_default());
    written.and_then(|()| gzip.finish()).unwrap_or_default()
}

/// The outcomes in an item. None where there are none, or nobody can read them.
fn outcomes(item: &Item) -> Arc<[Outcome]> {
    let Some(AttributeValue::B(packed)) = item.get("outcomes") else { return [].into() };
    let mut json = Vec::new();
    let _ = GzDecoder::new(packed.as_ref()).take(OUTCOMES_BYTES_MAX).read_to_end(&mut json);
    let places: Packed<'_> = serde_json::from_slice(&json).unwrap_or_default();
    let outcome = |place: Option<(&str, &str)>| match place {
        Some((number, shard)) => Ok(Stored { sequence_number: number.into(), shard_id: shard.into() }),
        None => Err(Refusal::Stopped),
    };
    places.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_back_as_they_went_in_and_thousands_are_small() {
        let stored = |shard: usize| {
            Ok(Stored {
                sequence_number: format!("4955{shard:052}").into(),
                shard_id: format!("shardId-{shard:012}").into(),
            })
        };
        let all: Vec<Outcome> =
            (0..10_000).map(|number| if number == 7 { Err(Refusal::Stopped) } else { stored(number % 256) }).collect();
        let packed = pack(&all);
        assert!(packed.len() < 100_000, "{}", packed.len());
        let item = Item::from([("outcomes".to_owned(), AttributeValue::B(Blob::new(packed)))]);
        assert_eq!(&outcomes(&item)[..], &all[..]);
        assert!(outcomes(&Item::new()).is_empty());
    }
}
