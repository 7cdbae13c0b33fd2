//! The ledger: every change of a stream, written before it is asked for and completed with what became of it.
//!
//! An entry without an outcome is a call that AWS may have heard. Nobody calls again for it: the next look at the stream
//! settles it, whoever leads by then.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Lead, Table, TableError,
    error::failed,
    item::{Item, RESHARD, number, pipeline, string},
    table::{first_id_of, key},
};
use crate::{
    decide::{Action, ActionResult, elapsed},
    limits::DECISION_LIFE,
    observe::Observation,
    units::Millis,
};

/// A change of a stream as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) settled: Settled,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Nobody wrote down what came of it.
    Asked,
    Done,
    Refused,
    /// No answer came.
    Unknown,
    /// It was asked for, and the stream shows nothing of it.
    NotSeen,
}

/// What is called, in the ledger.
const UPDATE_SHARD_COUNT: &str = "update_shard_count";

/// A stream that shows nothing of a change for this long has not heard of it: it is `UPDATING` seconds after a call.
const LOOK_AGAIN: Millis = Millis(60_000);

/// More entries of a day than AWS and its refusals can make.
const ENTRIES_MAX: usize = 1_000;

impl Settled {
    const ALL: [Self; 5] = [Self::Asked, Self::Done, Self::Refused, Self::Unknown, Self::NotSeen];

    pub(crate) fn of(result: &ActionResult) -> Self {
        match result {
            ActionResult::Done => Self::Done,
            ActionResult::Refused { .. } => Self::Refused,
            ActionResult::Unknown { .. } | ActionResult::Skipped { .. } => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::NotSeen => "not_seen",
        }
    }
}

impl Entry {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.settled, Settled::Asked | Settled::Unknown)
    }

    /// Whether AWS may count it towards the calls of UpdateShardCount in 24 hours.
    pub(crate) fn is_counted(&self) -> bool {
        matches!(self.action, Action::UpdateShardCount { .. }) && self.settled != Settled::Refused
    }

    /// What a look at the stream says about an entry whose outcome nobody knows; nothing while it is changing, or may
    /// be about to.
    pub(crate) fn settle(&self, seen: &Observation) -> Option<Settled> {
        seen.stream.status.as_ref().filter(|status| status.value == "ACTIVE")?;
        let done = match &self.action {
            Action::UpdateShardCount { to, .. } => seen.stream.open_shards?.value == *to,
            Action::SplitShard { shard_id, .. } | Action::MergeShards { shard_id, .. } => {
                let shards = Some(&seen.load.shards).filter(|shards| !shards.is_empty())?;
                !shards.iter().any(|shard| shard.shard_id == *shard_id)
            }
            Action::UpdateStreamWarmThroughput { to_mib, .. } => seen.stream.warm_throughput_mib?.value == *to_mib,
            Action::UpdateService { .. } => return None,
        };
        match done {
            true => Some(Settled::Done),
            false => (elapsed(self.at, seen.at) >= LOOK_AGAIN).then_some(Settled::NotSeen),
        }
    }
}

impl Table {
    /// Writes an intent, before AWS is asked.
    ///
    /// # Errors
    /// [`TableError::NotLeading`] when the lead is over; otherwise when the table cannot be written.
    pub(crate) async fn intend(&self, lead: &Lead, name: &str, entry: &Entry) -> Result<(), TableError> {
        let action = "write the ledger of reshards";
        let (from, to) = entry.action.from_to();
        let attributes = [
            ("at_ms", number(entry.at.as_millisecond())),
            ("call", string(call(&entry.action))),
            ("from", number(from)),
            ("to", number(to)),
            ("document", string(serde_json::to_string(&entry.action).map_err(failed(action, &self.name))?)),
            ("outcome", string(Settled::Asked.name())),
            ("expires_at", number(entry.at.as_second() + DECISION_LIFE.as_secs().cast_signed())),
        ];
        let put = self.put(name, format!("{RESHARD}{}", entry.id), attributes).build();
        self.write_as(lead, action, vec![put]).await
    }

    /// Writes what became of a change.
    ///
    /// # Errors
    /// [`TableError::NotLeading`] when the lead is over; otherwise when the table cannot be written. The entry then stays
    /// one of unknown outcome.
    pub(crate) async fn complete(&self, lead: &Lead, name: &str, id: Uuid, settled: Settled) -> Result<(), TableError> {
        let action = "complete the ledger of reshards";
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(key(&pipeline(name), format!("{RESHARD}{id}"))))
            .update_expression("SET outcome = :outcome")
            .expression_attribute_values(":outcome", string(settled.name()))
            .build()
            .map_err(failed(action, &self.name))?;
        self.transact_as(lead, action, vec![TransactWriteItem::builder().update(update).build()]).await
    }

    /// The changes since `since`, the oldest first.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub(crate) async fn ledger(&self, name: &str, since: Timestamp) -> Result<Vec<Entry>, TableError> {
        let from = first_id_of(since).to_string();
        let items = self.query("read the ledger of reshards", name, RESHARD, &from, ENTRIES_MAX).await?;
        items.iter().rev().map(|item| self.entry(item)).collect()
    }

    fn entry(&self, item: &Item) -> Result<Entry, TableError> {
        let reader = self.reader(item);
        let at = Timestamp::from_millisecond(reader.number("at_ms")?);
        let outcome = reader.string("outcome")?;
        let id = reader.string("sk")?.trim_start_matches(RESHARD).parse();
        Ok(Entry {
            id: id.map_err(failed("read the ledger of reshards", &self.name))?,
            at: at.map_err(failed("read the ledger of reshards", &self.name))?,
            action: reader.document()?,
            settled: Settled::ALL.into_iter().find(|it| it.name() == outcome).unwrap_or(Settled::Unknown),
        })
    }
}

fn call(action: &Action) -> &'static str {
    match action {
        Action::UpdateShardCount { .. } => UPDATE_SHARD_COUNT,
        Action::SplitShard { .. } => "split_shard",
        Action::MergeShards { .. } => "merge_shards",
        Action::UpdateStreamWarmThroughput { .. } => "update_stream_warm_throughput",
        Action::UpdateService { .. } => "update_service",
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        observe::{Reading, ShardLoad, Source},
        units::ShardCount,
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn seen(status: &str, open: u32) -> Observation {
        let mut seen = Observation { at: NOW + SignedDuration::from_mins(1), ..Observation::default() };
        seen.stream.status = Some(Reading { value: status.to_owned(), at: NOW, source: Source::Kinesis });
        seen.stream.open_shards = Some(Reading { value: ShardCount(open), at: NOW, source: Source::Kinesis });
        seen
    }

    fn entry(action: Action) -> Entry {
        Entry { id: Uuid::nil(), at: NOW, action, settled: Settled::Asked }
    }

    #[test]
    fn a_look_settles_a_lost_answer_once_the_stream_has_come_to_rest() {
        let asked = entry(Action::UpdateShardCount { stream: "s".into(), from: ShardCount(1), to: ShardCount(2) });
        assert_eq!(asked.settle(&seen("UPDATING", 1)), None);
        assert_eq!(asked.settle(&seen("ACTIVE", 2)), Some(Settled::Done));
        assert_eq!(asked.settle(&seen("ACTIVE", 1)), Some(Settled::NotSeen));
        assert_eq!(asked.settle(&Observation { at: NOW, ..seen("ACTIVE", 1) }), None, "it may just be on its way");
        assert_eq!(asked.settle(&Observation::default()), None, "what cannot be seen settles nothing");
    }

    #[test]
    fn a_split_is_done_when_its_shard_is_no_longer_open() {
        let (stream, shard_id) = ("s".to_owned(), "a".to_owned());
        let asked = entry(Action::SplitShard { stream, shard_id, new_starting_hash_key: "9".into() });
        let mut world = seen("ACTIVE", 2);
        assert_eq!(asked.settle(&world), None, "no shard is known");
        world.load.shards = vec![ShardLoad { shard_id: "a".into(), ..ShardLoad::default() }];
        assert_eq!(asked.settle(&world), Some(Settled::NotSeen));
        world.load.shards[0].shard_id = "b".into();
        assert_eq!(asked.settle(&world), Some(Settled::Done));
    }
}
