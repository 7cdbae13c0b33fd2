//! A stream: its shards, what it is becoming, and everything else that describes it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    consumer::Consumer,
    hash::{HashKey, HashRange},
    metering::{Meter, Metric},
    plan::Change,
    shard::{Shard, ShardId},
};
use crate::{
    kinesis::{fault, moment::Moment, settings::Settings},
    service::AwsError,
};

/// How capacity is managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    Provisioned,
    OnDemand,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// What keeps a stream from being `ACTIVE`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Becoming {
    Active(Moment),
    Gone(Moment),
    /// A change other than resharding, which is in force already.
    Updated(Moment),
    /// The changes still to come, each at its time. The stream is active again with the last of them.
    Resharded(VecDeque<(Moment, Change)>),
}

/// Writes that an on-demand stream takes at once, in MiB/s.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct WarmThroughput {
    pub(crate) current: u32,
    pub(crate) target: u32,
}

/// A stream. Serialised without its records, quotas and meters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) created: Moment,
    pub(crate) mode: Mode,
    pub(crate) retention_hours: u32,
    pub(crate) record_kib_max: u32,
    /// The KMS key, when records are encrypted. Only the state is kept: nothing is encrypted here.
    pub(crate) key_id: Option<String>,
    pub(crate) shard_metrics: BTreeSet<Metric>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Open and closed ones, by id. A closed shard is forgotten when its last record has expired.
    pub(crate) shards: Vec<Shard>,
    pub(crate) consumers: Vec<Consumer>,
    /// What an on-demand stream is kept ready for.
    #[serde(default)]
    pub(crate) warm: WarmThroughput,
    pub(crate) becoming: Option<Becoming>,
    pub(super) next_shard: u32,
    pub(super) shard_count_updates: VecDeque<Moment>,
    pub(super) mode_updates: VecDeque<Moment>,
    /// The open shards by their first key, as positions in `shards`.
    #[serde(skip)]
    pub(super) routes: Vec<(HashKey, usize)>,
    #[serde(skip)]
    pub(super) bytes: u64,
    #[serde(skip)]
    pub(super) trimmed: Moment,
    #[serde(skip)]
    pub(crate) meter: Meter,
}

/// What a stream is created with.
pub(crate) struct NewStream {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) mode: Mode,
    pub(crate) shards: u32,
    pub(crate) record_kib_max: u32,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Retention of a new stream, in hours (`CreateStream`).
const RETENTION_HOURS: u32 = 24;

impl Stream {
    /// A stream that is being created until `until`.
    pub(crate) fn new(new: NewStream, now: Moment, until: Moment) -> Self {
        let mut stream = Self {
            name: new.name,
            account: new.account,
            arn: new.arn,
            created: now,
            mode: new.mode,
            retention_hours: RETENTION_HOURS,
            record_kib_max: new.record_kib_max,
            key_id: None,
            shard_metrics: BTreeSet::new(),
            tags: new.tags,
            shards: Vec::new(),
            consumers: Vec::new(),
            warm: WarmThroughput::default(),
            becoming: Some(Becoming::Active(until)),
            next_shard: 0,
            shard_count_updates: VecDeque::new(),
            mode_updates: VecDeque::new(),
            routes: Vec::new(),
            bytes: 0,
            trimmed: now,
            meter: Meter::default(),
        };
        for range in HashRange::uniform(new.shards) {
            stream.open_shard(range, now.seconds(), now);
        }
        stream.route();
        stream
    }

    pub(super) fn open_shard(&mut self, range: HashRange, epoch: u64, now: Moment) -> &mut Shard {
        let shard = Shard::open(ShardId(self.next_shard), range, epoch, now);
        self.next_shard += 1;
        let position = self.shards.len();
        self.shards.push(shard);
        &mut self.shards[position]
    }

    pub(crate) fn status(&self) -> &'static str {
        match self.becoming {
            None => "ACTIVE",
            Some(Becoming::Active(_)) => "CREATING",
            Some(Becoming::Gone(_)) => "DELETING",
            Some(Becoming::Updated(_) | Becoming::Resharded(_)) => "UPDATING",
        }
    }

    /// Refuses what needs an `ACTIVE` stream.
    pub(crate) fn require_active(&self) -> Result<(), AwsError> {
        match self.becoming {
            None => Ok(()),
            Some(_) => Err(fault::not_active(self)),
        }
    }

    /// Refuses what needs shards: reads and writes go on while a stream is `UPDATING`.
    pub(crate) fn require_usable(&self) -> Result<(), AwsError> {
        match self.becoming {
            Some(Becoming::Active(_) | Becoming::Gone(_)) => Err(fault::no_stream(&self.name, &self.account)),
            _ => Ok(()),
        }
    }

    pub(crate) fn shard(&self, id: ShardId) -> Option<&Shard> {
        let position = self.shards.binary_search_by_key(&id, |shard| shard.id).ok()?;
        self.shards.get(position)
    }

    pub(super) fn shard_mut(&mut self, id: ShardId) -> Option<&mut Shard> {
        let position = self.shards.binary_search_by_key(&id, |shard| shard.id).ok()?;
        self.shards.get_mut(position)
    }

    /// The open shards by hash key.
    pub(crate) fn open_shards(&self) -> impl ExactSizeIterator<Item = &Shard> {
        self.routes.iter().map(|&(_, position)| &self.shards[position])
    }

    /// The shards that continue `parent`, once it is closed.
    pub(crate) fn children(&self, parent: ShardId) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(move |shard| shard.parent == Some(parent) || shard.adjacent_parent == Some(parent))
    }

    pub(crate) fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_hours) * 3600)
    }

    /// The moment before which records are expired.
    pub(crate) fn trim_horizon(&self, now: Moment) -> Moment {
        now.minus(self.retention()).max(self.created)
    }

    /// Data and partition keys kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts a change in force and keeps the stream `UPDATING` for a while.
    pub(crate) fn update(&mut self, settings: &Settings, now: Moment) {
        self.becoming = Some(Becoming::Updated(now.plus(settings.update_delay)));
    }

    /// Finds the open shards anew after `shards` has changed.
    pub(super) fn route(&mut self) {
        let open = self.shards.iter().enumerate().filter(|(_, shard)| shard.closed.is_none());
        self.routes = open.map(|(position, shard)| (shard.range.start, position)).collect();
        self.routes.sort_unstable();
    }

    /// The position in `shards` of the open shard that `key` belongs to.
    pub(super) fn route_of(&self, key: HashKey) -> Option<usize> {
        let after = self.routes.partition_point(|&(start, _)| start <= key);
        self.routes.get(after.checked_sub(1)?).map(|&(_, position)| position)
    }

    /// Brings a deserialised stream, which has no records, to life with those of `previous`.
    pub(crate) fn adopt(mut self, previous: Option<Self>) -> Self {
        for mut old in previous.into_iter().flat_map(|previous| previous.shards) {
            if let Some(shard) = self.shard_mut(old.id) {
                shard.records = std::mem::take(&mut old.records);
            }
        }
        self.bytes = self.shards.iter().flat_map(|shard| &shard.records).map(super::shard::Record::size).sum();
        self.route();
        self
    }
}
