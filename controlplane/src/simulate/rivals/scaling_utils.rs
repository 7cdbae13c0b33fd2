//! The scaler of the sample that Weir succeeds.
//!
//! Sources: awslabs/amazon-kinesis-scaling-utils, tag V.9.6.0 (`auto/StreamMonitor.java`, `StreamMetricManager.java`,
//! `StreamScaler.java`), with the configuration of aws-samples/amazon-kinesis-data-processor-aws-fargate, commit c7a1056:
//! PUT and GET, 1 to 16 shards, up by 2 above 75 % for a minute without a cool-off, down by 1 below 25 % for a minute with
//! one of a minute, a look every 45 s. The sample's consumers read with enhanced fan-out, so there is no GetRecords metric
//! and GET always votes down.
//!
//! Faults that are kept: missing data is low use; only what was accepted counts, and refused writes do not; a target above
//! the maximum is not made smaller, so 15 + 2 stays at 15; after a successful UpdateShardCount the capacity that use is
//! measured against is renewed only after five minutes; a call that AWS refuses is carried out by splits and merges one
//! after the other, and meanwhile nothing else is looked at; everything is forgotten in a restart. Simplified: PutRecord
//! and PutRecords count as IncomingBytes and IncomingRecords; while no task reports its shards, resizing waits.

use jiff::{SignedDuration, Timestamp};

use super::{
    resize,
    rival::{ShardScaler, View},
    series::newest_first,
    votes::{Matrix, Thresholds, Vote},
};
use crate::{
    decide::{Action, ActionResult, Outcome},
    limits::{SHARD_BYTES, SHARD_RECORDS},
};

const CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(45);
/// `refreshShardsNumberAfterMin`.
const REFRESH: SignedDuration = SignedDuration::from_mins(5);
const DOWN_COOL_OFF: SignedDuration = SignedDuration::from_mins(1);
const UP_BY: u32 = 2;
const DOWN_BY: u32 = 1;
const MIN: u32 = 1;
const MAX: u32 = 16;
/// A shard gives twice the bytes and records that it takes (the library's own figures).
const READ_FACTOR: f64 = 2.0;

/// What keeps it from looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Busy {
    /// UpdateShardCount was taken; it waits until the stream is ACTIVE.
    Updating { up: bool },
    /// It splits and merges towards a count.
    Resizing { to: u32, up: bool },
}

#[derive(Debug)]
pub(super) struct ScalingUtils {
    matrix: Matrix,
    thresholds: Thresholds,
    /// The shards that use is measured against, and when they were last counted.
    capacity: Option<(u32, Timestamp)>,
    next_look: Option<Timestamp>,
    last_down: Option<Timestamp>,
    busy: Option<Busy>,
}

impl ScalingUtils {
    pub(super) fn of_the_sample(matrix: Matrix) -> Self {
        let thresholds = Thresholds { up: 0.75, up_minutes: 1, down: 0.25, down_minutes: 1 };
        Self { matrix, thresholds, capacity: None, next_look: None, last_down: None, busy: None }
    }

    fn direction(&self, view: &View<'_>, capacity: u32) -> Vote {
        let mut minutes: Vec<_> = newest_first(view.metrics, view.now, self.thresholds.window()).flatten().collect();
        minutes.reverse();
        let seconds = 60.0 * f64::from(capacity.max(1));
        let bytes: Vec<_> = minutes.iter().map(|minute| minute.incoming_bytes / seconds / SHARD_BYTES.0).collect();
        let records: Vec<_> =
            minutes.iter().map(|minute| minute.incoming_records / seconds / SHARD_RECORDS.0).collect();
        let read = |sum: f64, limit: f64| sum / seconds / (READ_FACTOR * limit);
        let read_bytes: Vec<_> =
            minutes.iter().filter_map(|minute| Some(read(minute.read_bytes?, SHARD_BYTES.0))).collect();
        let read_records: Vec<_> =
            minutes.iter().filter_map(|minute| Some(read(minute.read_records?, SHARD_RECORDS.0))).collect();
        let put = self.thresholds.vote(&bytes, &records);
        let get = self.thresholds.vote(&read_bytes, &read_records);
        self.matrix.combine(put, get)
    }

    /// The target, unless it is outside of the bounds. Every answer but a call counts the shards anew.
    fn target(&self, open: u32, vote: Vote, now: Timestamp) -> Option<u32> {
        match vote {
            Vote::Up if self.matrix == Matrix::V980 => Some((open + UP_BY).min(MAX)).filter(|to| *to != open),
            Vote::Up => Some(open + UP_BY).filter(|to| *to <= MAX),
            Vote::Down if self.is_cooling(now) => None,
            Vote::Down => open.checked_sub(DOWN_BY).filter(|to| *to >= MIN),
            Vote::None => None,
        }
    }

    fn is_cooling(&self, now: Timestamp) -> bool {
        self.last_down.is_some_and(|last| now.duration_since(last) < DOWN_COOL_OFF)
    }

    /// Goes on with what it is busy with.
    fn proceed(&mut self, view: &View<'_>, busy: Busy) -> Option<Action> {
        if !view.is_active() {
            return None;
        }
        let up = match busy {
            Busy::Updating { up } => up,
            Busy::Resizing { to, up } => {
                let shards = &view.seen.load.shards;
                let call = resize::next(&view.seen.stream.name, shards, to, MAX);
                if shards.is_empty() || call.is_some() {
                    return call;
                }
                self.capacity = view.open_shards().map(|open| (open, view.now));
                up
            }
        };
        self.busy = None;
        if !up {
            self.last_down = Some(view.now);
        }
        self.next_look = Some(view.now + CHECK_INTERVAL);
        None
    }

    fn refresh(&mut self, open: u32, now: Timestamp) {
        if self.capacity.is_none_or(|(_, at)| now.duration_since(at) > REFRESH) {
            self.capacity = Some((open, now));
        }
    }
}

impl ShardScaler for ScalingUtils {
    fn decide(&mut self, view: &View<'_>) -> Option<Action> {
        if let Some(busy) = self.busy {
            return self.proceed(view, busy);
        }
        if self.next_look.is_some_and(|next| view.now < next) {
            return None;
        }
        self.next_look = Some(view.now + CHECK_INTERVAL);
        let open = view.open_shards()?;
        let capacity = self.capacity.get_or_insert((open, view.now)).0;
        let vote = self.direction(view, capacity);
        let target = self.target(open, vote, view.now);
        let deferred = vote == Vote::Down && self.is_cooling(view.now);
        if target.is_none() && !deferred {
            // "Nothing to do" and "already at maximum" count the shards anew; a deferral does not.
            self.capacity = Some((open, view.now));
        }
        self.refresh(open, view.now);
        target.map(|to| view.update_shard_count(open, to))
    }

    fn note(&mut self, outcome: &Outcome) {
        let Action::UpdateShardCount { from, to, .. } = outcome.action else { return };
        let up = to > from;
        match &outcome.result {
            ActionResult::Done | ActionResult::Unknown { .. } => self.busy = Some(Busy::Updating { up }),
            ActionResult::Refused { code, .. }
                if code.starts_with("LimitExceeded") || code.starts_with("InvalidArgument") =>
            {
                self.busy = Some(Busy::Resizing { to: to.0, up });
            }
            ActionResult::Refused { .. } | ActionResult::Skipped { .. } => (),
        }
    }

    fn restart(&mut self) {
        *self = Self::of_the_sample(self.matrix);
    }
}
