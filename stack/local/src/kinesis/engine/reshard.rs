//! How a stream changes with time: creation, resharding, expiry, deletion.

use std::{collections::VecDeque, time::Duration};

use super::{
    hash::{HashKey, HashRange},
    plan::{self, Change},
    shard::{Shard, ShardId},
    stream::{Becoming, Mode, Stream},
};
use crate::{
    kinesis::{fault, moment::Moment, settings::Settings},
    service::AwsError,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Expiry is looked at once in this time: retention is counted in hours.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);

impl Stream {
    /// Applies everything that was due by `now`. True when the stream is no longer what it was, records aside.
    pub(crate) fn advance(&mut self, now: Moment) -> bool {
        let resharded = self.apply_due_changes(now);
        let settled = match self.becoming {
            Some(Becoming::Active(until) | Becoming::Updated(until)) => until <= now,
            Some(Becoming::Resharded(ref changes)) => changes.is_empty(),
            _ => false,
        };
        if settled {
            self.becoming = None;
            self.warm.current = self.warm.target;
        }
        let registered = self.settle_consumers(now);
        let expired = self.expire(now);
        resharded || settled || registered || expired
    }

    /// True when a consumer became active or went away.
    fn settle_consumers(&mut self, now: Moment) -> bool {
        let before = self.consumers.len();
        self.consumers.retain(|consumer| !consumer.is_gone(now));
        let active = self.consumers.iter_mut().map(|consumer| consumer.settle(now)).filter(|changed| *changed).count();
        active > 0 || self.consumers.len() < before
    }

    /// Whether the stream was deleted and its time is over.
    pub(crate) fn is_gone(&self, now: Moment) -> bool {
        matches!(self.becoming, Some(Becoming::Gone(until)) if until <= now)
    }

    /// When [`Self::advance`] next has something to do, not counting expiry.
    pub(crate) fn next_change(&self) -> Option<Moment> {
        match self.becoming.as_ref()? {
            Becoming::Active(until) | Becoming::Gone(until) | Becoming::Updated(until) => Some(*until),
            Becoming::Resharded(changes) => changes.front().map(|&(at, _)| at),
        }
    }

    fn apply_due_changes(&mut self, now: Moment) -> bool {
        let mut applied = false;
        while let Some((at, change)) = self.take_due_change(now) {
            self.apply(change, at);
            applied = true;
        }
        applied
    }

    fn take_due_change(&mut self, now: Moment) -> Option<(Moment, Change)> {
        match self.becoming.as_mut()? {
            Becoming::Resharded(changes) => changes.pop_front_if(|&mut (at, _)| at <= now),
            _ => None,
        }
    }

    /// Makes one change of a reshard. A change that no longer fits the shards does nothing.
    fn apply(&mut self, change: Change, now: Moment) {
        match change {
            Change::Split(key) => {
                let Some(position) = self.route_of(key) else { return };
                let (parent, range) = (self.shards[position].id, self.shards[position].range);
                let Some((lower, upper)) = range.split(key) else { return };
                let epoch = self.close(position, now);
                for range in [lower, upper] {
                    self.open_shard(range, epoch, now).parent = Some(parent);
                }
            }
            Change::Merge(key) => {
                let (Some(upper), Some(lower)) =
                    (self.route_of(key), key.checked_sub(1).and_then(|k| self.route_of(k)))
                else {
                    return;
                };
                if upper == lower {
                    return;
                }
                let (parent, adjacent) = (self.shards[lower].id, self.shards[upper].id);
                let range = HashRange { end: self.shards[upper].range.end, ..self.shards[lower].range };
                let epoch = self.close(lower, now).max(self.close(upper, now));
                let child = self.open_shard(range, epoch, now);
                (child.parent, child.adjacent_parent) = (Some(parent), Some(adjacent));
            }
        }
        self.route();
    }

    /// Closes a shard and returns the epoch of its children.
    fn close(&mut self, position: usize, now: Moment) -> u64 {
        let shard = &mut self.shards[position];
        shard.closed = Some(now.max(shard.opened));
        now.seconds().max(shard.epoch + 1)
    }

    /// Forgets expired records, and closed shards that can have none. True when a shard was forgotten.
    fn expire(&mut self, now: Moment) -> bool {
        if now.since(self.trimmed) < TRIM_INTERVAL {
            return false;
        }
        self.trimmed = now;
        let horizon = self.trim_horizon(now);
        for shard in &mut self.shards {
            while shard.oldest().is_some_and(|arrived| arrived < horizon) {
                self.bytes -= shard.pop();
            }
        }
        let before = self.shards.len();
        self.shards.retain(|shard| shard.closed.is_none_or(|closed| closed >= horizon));
        let forgotten = self.shards.len() < before;
        if forgotten {
            self.route();
        }
        forgotten
    }

    /// Begins `changes`, one after the other.
    fn reshard(&mut self, changes: impl IntoIterator<Item = Change>, settings: &Settings, now: Moment) {
        let mut at = now.plus(settings.reshard_delay);
        let due = changes.into_iter().map(|change| {
            at = at.plus(settings.reshard_step);
            (at, change)
        });
        self.becoming = Some(Becoming::Resharded(due.collect()));
    }

    /// Begins `SplitShard`. `room` is how many more open shards the account may have.
    pub(crate) fn split(
        &mut self,
        id: &str,
        key: &str,
        room: impl FnOnce(usize) -> Result<(), AwsError>,
        settings: &Settings,
        now: Moment,
    ) -> Result<(), AwsError> {
        self.require_reshardable("SplitShard")?;
        let shard = self.open_shard_named(id)?;
        let key: HashKey = key.parse().map_err(|_| fault::not_a_hash_key("NewStartingHashKey", key))?;
        if key <= shard.range.start.saturating_add(1) || key >= shard.range.end {
            return Err(fault::not_in_range(self, shard, key));
        }
        room(1)?;
        self.reshard([Change::Split(key)], settings, now);
        Ok(())
    }

    /// Begins `MergeShards`.
    pub(crate) fn merge(&mut self, id: &str, other: &str, settings: &Settings, now: Moment) -> Result<(), AwsError> {
        self.require_reshardable("MergeShards")?;
        let (one, two) = (self.open_shard_named(id)?, self.open_shard_named(other)?);
        let (lower, upper) = if one.range.start < two.range.start { (one, two) } else { (two, one) };
        if lower.range.end.checked_add(1) != Some(upper.range.start) {
            return Err(fault::not_adjacent(self, id, other));
        }
        let key = upper.range.start;
        self.reshard([Change::Merge(key)], settings, now);
        Ok(())
    }

    /// Begins `UpdateShardCount`.
    pub(crate) fn update_shard_count(
        &mut self,
        target: u32,
        room: impl FnOnce(usize) -> Result<(), AwsError>,
        settings: &Settings,
        now: Moment,
    ) -> Result<(), AwsError> {
        self.require_reshardable("UpdateShardCount")?;
        let open = self.open_shards().len();
        fault::check_target(open, target, settings)?;
        forget_before(&mut self.shard_count_updates, now);
        if self.shard_count_updates.len() >= settings.shard_count_updates_per_day {
            return Err(fault::too_many_updates(self, "UpdateShardCount", settings.shard_count_updates_per_day));
        }
        let changes = plan::uniform(self.open_shards().map(|shard| shard.range.start), target);
        room(plan::peak(open, &changes) - open)?;
        self.shard_count_updates.push_back(now);
        self.reshard(changes, settings, now);
        Ok(())
    }

    /// Begins `UpdateStreamMode`.
    pub(crate) fn update_mode(&mut self, mode: Mode, settings: &Settings, now: Moment) -> Result<(), AwsError> {
        self.require_active()?;
        forget_before(&mut self.mode_updates, now);
        if self.mode_updates.len() >= settings.mode_updates_per_day {
            return Err(fault::too_many_updates(self, "UpdateStreamMode", settings.mode_updates_per_day));
        }
        self.mode_updates.push_back(now);
        self.mode = mode;
        self.update(settings, now);
        Ok(())
    }

    /// Begins `UpdateStreamWarmThroughput`: a shard for each MiB/s. Shards that are there already stay.
    pub(crate) fn warm(
        &mut self,
        mib: u32,
        room: impl FnOnce(usize) -> Result<(), AwsError>,
        settings: &Settings,
        now: Moment,
    ) -> Result<(), AwsError> {
        self.require_active()?;
        let open = self.open_shards().len();
        if usize::try_from(mib).is_ok_and(|shards| shards > open) {
            let changes = plan::uniform(self.open_shards().map(|shard| shard.range.start), mib);
            room(plan::peak(open, &changes) - open)?;
            self.reshard(changes, settings, now);
        } else {
            self.update(settings, now);
        }
        self.warm.target = mib;
        Ok(())
    }

    fn require_reshardable(&self, operation: &str) -> Result<(), AwsError> {
        if self.mode == Mode::OnDemand {
            return Err(fault::on_demand(self, operation));
        }
        self.require_active()
    }

    fn open_shard_named(&self, id: &str) -> Result<&Shard, AwsError> {
        let shard = id.parse::<ShardId>().ok().and_then(|id| self.shard(id));
        let shard = shard.ok_or_else(|| fault::no_shard(self, id))?;
        if shard.closed.is_some() { Err(fault::shard_closed(self, id)) } else { Ok(shard) }
    }
}

fn forget_before(ledger: &mut VecDeque<Moment>, now: Moment) {
    while ledger.pop_front_if(|called| now.since(*called) >= DAY).is_some() {}
}
