//! What the producer counts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    kpl::{Metric, Unpublished},
    route::Shard,
    spread::Spread,
};
use crate::{
    aggregation::HashKey,
    rate::{Flow, Window},
    report::{ProducerReport, ProducerShard},
};

/// How long a shard is reported after its last record.
const SHARD_MEMORY: Duration = Duration::from_secs(60);

/// The figures of the producer, shared by requests and the sender.
#[derive(Debug)]
pub(crate) struct Stats(Mutex<Figures>);

#[derive(Debug, Clone)]
pub(crate) struct Figures {
    origin: Instant,
    /// User records, and bytes of their data, that clients asked to store.
    pub(crate) offered: Flow,
    /// Those that Kinesis has confirmed.
    pub(crate) accepted: Flow,
    /// Those that were answered with 503.
    pub(crate) refused: Flow,
    /// User records that were stored by a further try after one that was not answered: each may be there twice.
    pub(crate) possible_copies: u64,
    /// Kinesis records, and bytes of their data, that were sent, again or for the first time.
    pub(crate) sent: Flow,
    pub(crate) shards: BTreeMap<Arc<str>, ShardFigures>,
    pub(crate) requests_in_flight: u64,
    /// What waits with the sender.
    pub(crate) backlog_bytes: u64,
    pub(crate) backlog_since: Option<Instant>,
    /// Since the last publication to CloudWatch.
    pub(crate) unpublished: Unpublished,
}

#[derive(Debug, Clone)]
pub(crate) struct ShardFigures {
    pub(crate) sent: Flow,
    pub(crate) throttled: u64,
    pub(crate) retried: u64,
    troubles: Window<2>,
    last_sent: Instant,
    /// Unknown until the shard took something while its range was known.
    spread: Option<Spread>,
}

impl Stats {
    pub(crate) fn new(origin: Instant) -> Self {
        Self(Mutex::new(Figures {
            origin,
            offered: Flow::new(origin),
            accepted: Flow::new(origin),
            refused: Flow::new(origin),
            possible_copies: 0,
            sent: Flow::new(origin),
            shards: BTreeMap::new(),
            requests_in_flight: 0,
            backlog_bytes: 0,
            backlog_since: None,
            unpublished: Unpublished::default(),
        }))
    }

    pub(crate) fn figures(&self) -> MutexGuard<'_, Figures> {
        // Counters are right whatever panicked between two of them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    /// Notes a Kinesis record of `bytes` on its way to a shard.
    pub(crate) fn note_sent(&mut self, shard_id: &Arc<str>, bytes: u64, retry: bool, now: Instant) {
        self.sent.add(now, 1, bytes);
        let shard = self.shard(shard_id, now);
        shard.last_sent = now;
        if retry {
            shard.retried += 1;
            shard.troubles.add(now, [0, 1]);
        }
    }

    /// Notes a Kinesis record of `bytes` that a shard took, with the user records in it.
    pub(crate) fn note_stored(&mut self, shard_id: &Arc<str>, bytes: u64, users: usize, user_bytes: u64, now: Instant) {
        self.accepted.add(now, users as u64, user_bytes);
        self.shard(shard_id, now).sent.add(now, 1, bytes);
        self.unpublished.add(Metric::UserRecordsPut, users, 1.0);
        self.unpublished.add(Metric::UserRecordsDataPut, users, user_bytes as f64 / users.max(1) as f64);
        self.unpublished.add(Metric::UserRecordsPerKinesisRecord, 1, users as f64);
        self.unpublished.add(Metric::KinesisRecordsPut, 1, 1.0);
        self.unpublished.add(Metric::KinesisRecordsDataPut, 1, bytes as f64);
    }

    /// Notes where in its shard's range a stored Kinesis record of `bytes` has gone, and whether it is bound to there.
    pub(crate) fn note_place(&mut self, shard: &Shard, hash: HashKey, bound: bool, bytes: u64, now: Instant) {
        let figures = self.shard(&shard.id, now);
        let spread = figures.spread.get_or_insert_with(|| Spread::new(shard.hash_keys.clone(), now));
        spread.add(hash, bound, bytes, now);
    }

    /// Notes a Kinesis record that was refused, or not answered for, with this code.
    pub(crate) fn note_failed(&mut self, shard_id: &Arc<str>, code: &Arc<str>, throttled: bool, now: Instant) {
        self.unpublished.add_error(code);
        if throttled {
            let shard = self.shard(shard_id, now);
            shard.throttled += 1;
            shard.troubles.add(now, [1, 0]);
        }
    }

    /// Notes user records whose time is up.
    pub(crate) fn note_expired(&mut self, users: usize, user_bytes: u64, now: Instant) {
        self.refused.add(now, users as u64, user_bytes);
        self.unpublished.add(Metric::UserRecordsPut, users, 0.0);
        self.unpublished.add(Metric::UserRecordExpired, users, 1.0);
    }

    /// User records that were offered and whose fate is open.
    pub(crate) fn pending(&self) -> u64 {
        self.offered.records.saturating_sub(self.accepted.records + self.refused.records)
    }

    /// What is to be published now, and not again.
    pub(crate) fn take_unpublished(&mut self) -> Unpublished {
        self.unpublished.add(Metric::UserRecordsPending, 1, self.pending() as f64);
        std::mem::take(&mut self.unpublished)
    }

    /// The producer's part of the report. `waiting` is what the packer holds: bytes and the time of the oldest.
    pub(crate) fn report(&mut self, stream: &str, waiting: (usize, Option<Instant>), now: Instant) -> ProducerReport {
        self.shards.retain(|_, shard| now.saturating_duration_since(shard.last_sent) < SHARD_MEMORY);
        let oldest = [waiting.1, self.backlog_since].into_iter().flatten().min();
        ProducerReport {
            stream: stream.to_owned(),
            offered: self.offered.rate(now),
            accepted: self.accepted.rate(now),
            refused: self.refused.rate(now),
            sent: self.sent.rate(now),
            requests_in_flight: self.requests_in_flight,
            buffered_bytes: waiting.0 as u64 + self.backlog_bytes,
            oldest_buffered_ms: oldest.map(|oldest| now.saturating_duration_since(oldest).as_millis() as u64),
            shards: self.shards.iter().map(|(shard_id, shard)| shard.report(shard_id, now)).collect(),
        }
    }

    fn shard(&mut self, shard_id: &Arc<str>, now: Instant) -> &mut ShardFigures {
        let origin = self.origin;
        self.shards.entry(shard_id.clone()).or_insert_with(|| ShardFigures {
            sent: Flow::new(origin),
            throttled: 0,
            retried: 0,
            troubles: Window::new(origin),
            last_sent: now,
            spread: None,
        })
    }
}

impl ShardFigures {
    fn report(&self, shard_id: &str, now: Instant) -> ProducerShard {
        let [throttled_per_second, retried_per_second] = self.troubles.per_second(now);
        ProducerShard {
            shard_id: shard_id.to_owned(),
            sent: self.sent.rate(now),
            throttled_per_second,
            retried_per_second,
            slices: self.spread.as_ref().map(Spread::slices).unwrap_or_default(),
            heaviest: self.spread.as_ref().and_then(Spread::heaviest),
        }
    }
}
