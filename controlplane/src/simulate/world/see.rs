//! What can be seen of the world, as `observe` would read it: reports of the tasks, and CloudWatch where they are missing.

use jiff::Timestamp;

use super::{
    super::{
        Metrics,
        faults::{self, Fault},
    },
    World,
    stream::hash_key,
};
use crate::{
    limits::{METRIC_AGE_MAX, METRIC_DELAY},
    observe::{
        KeyShare, LoadObservation, Observation, Reading, SHARDS_SHOWN, ServiceObservation, ShardLoad, Source,
        StreamObservation,
    },
    units::{ByteCount, BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond, ShardCount, TaskCount},
};

/// Slices of a shard's range of which producers tell the load.
const SLICES: u32 = 16;

const STREAM: &str = "simulated";

impl World<'_> {
    pub(super) fn first_look(&self) -> Observation {
        let service =
            |name: &str| ServiceObservation { name: format!("{STREAM}-{name}"), ..ServiceObservation::default() };
        Observation {
            stream: StreamObservation {
                name: STREAM.to_owned(),
                on_demand: self.setup.on_demand,
                ..StreamObservation::default()
            },
            producer: service("producer"),
            consumer: service("consumer"),
            ..Observation::default()
        }
    }

    /// What one look shows.
    pub(in super::super) fn look(&mut self, second: u32) -> (&Observation, &Metrics) {
        let now = self.at(second);
        self.seen.at = now;
        self.see_stream(now);
        self.see_services(now);
        let reported = !self.faults.have(Fault::ReportsAbsent) && self.producers.running() > 0;
        self.see_shards(second, reported);
        let shards = std::mem::take(&mut self.seen.load.shards);
        let busiest = std::mem::take(&mut self.seen.load.busiest_shards);
        self.seen.load = LoadObservation { shards, busiest_shards: busiest, ..self.load(second, now, reported) };
        self.fill(second, now);
        (&self.seen, &self.metrics)
    }

    fn see_stream(&mut self, now: Timestamp) {
        let readable = self.read();
        let leases = self.read();
        let stream = &mut self.seen.stream;
        let status = if self.stream.is_updating() { "UPDATING" } else { "ACTIVE" };
        match &mut stream.status {
            Some(seen) if readable && seen.value == status => seen.at = now,
            seen => *seen = readable.then(|| by(status.to_owned(), now, Source::Kinesis)),
        }
        stream.open_shards = readable.then(|| by(ShardCount(self.stream.count()), now, Source::Kinesis));
        let parents = self.parents.map_or(0, |(_, parents)| parents);
        stream.undrained_parents = (readable && leases).then(|| by(ShardCount(parents), now, Source::LeaseTable));
    }

    fn see_services(&mut self, now: Timestamp) {
        for producer in [true, false] {
            let readable = self.read();
            let service = if producer { &self.producers } else { &self.consumers };
            let count = |count| readable.then(|| by(TaskCount(count), now, Source::Ecs));
            let (desired, running, pending) =
                (count(service.desired()), count(service.running()), count(service.pending()));
            let seen = if producer { &mut self.seen.producer } else { &mut self.seen.consumer };
            (seen.desired, seen.running, seen.pending, seen.cpu) = (desired, running, pending, None);
        }
    }

    /// Whether AWS answers a read.
    fn read(&mut self) -> bool {
        !self.faults.have(Fault::ApiThrottled) || !self.reads.happens(faults::REFUSED.powi(faults::READ_ATTEMPTS))
    }

    fn load(&mut self, second: u32, now: Timestamp, reported: bool) -> LoadObservation {
        let leases = self.parents.map_or(self.stream.count(), |(_, parents)| parents);
        let mut load = LoadObservation {
            processable_leases: Some(by(ShardCount(leases), now, Source::LeaseTable)),
            ..LoadObservation::default()
        };
        let (end, window) = (second.saturating_sub(self.physics.report_delay_s), self.physics.report_window_s);
        if !reported {
            return load;
        }
        let (user, kinesis, bytes) =
            (self.physics.user_records(), self.physics.kinesis_records(), self.physics.shard_bytes());
        let totals = &self.totals;
        let offered = totals.offered.mean(end, window);
        let accepted = totals.accepted.mean(end, window);
        load.offered_records = Some(told(RecordsPerSecond(offered * user), now));
        load.offered_bytes = Some(told(BytesPerSecond(offered * bytes), now));
        if self.physics.producers_retry {
            load.refused_bytes = Some(told(BytesPerSecond(totals.turned_away.mean(end, window) * bytes), now));
            load.buffered_bytes = Some(told(ByteCount(self.buffered * bytes), now));
        }
        load.incoming_records = Some(told(RecordsPerSecond(accepted * kinesis), now));
        load.incoming_bytes = Some(told(BytesPerSecond(accepted * bytes), now));
        load.throttled_records = Some(told(RecordsPerSecond(totals.refused.mean(end, window) * kinesis), now));
        let producers = f64::from(self.producers.running()) * self.physics.in_shards(self.physics.producer_task_mib);
        self.seen.producer.cpu = Some(told(Fraction((offered / producers).min(1.0)), now));
        if self.consumers.running() == 0 {
            return load;
        }
        let processed = totals.processed.mean(end, window);
        let consumers = f64::from(self.consumers.running()) * self.physics.in_shards(self.physics.consumer_task_mib);
        let unread: f64 = self.groups.iter().map(|group| group.unread.total() * group.count).sum();
        load.processed_records = Some(told(RecordsPerSecond(processed * user), now));
        load.consumer_busy = Some(told(Fraction(totals.busy.mean(end, window)), now));
        load.backlog = Some(told(RecordCount(unread * user), now));
        self.seen.consumer.cpu = Some(told(Fraction((processed / consumers * self.physics.busy_cpu).min(1.0)), now));
        // While leases change hands, some shard has nobody to tell how far behind it is.
        load.lag = (second >= self.paused_until).then(|| told(Millis((self.lag_s(second) * 1e3) as u64), now));
        load
    }

    fn lag_s(&self, second: u32) -> f64 {
        let oldest = self.groups.iter().filter_map(|group| group.unread.oldest()).min();
        oldest.map_or(0.0, |oldest| f64::from(second - oldest)) + self.physics.idle_lag_s
    }

    fn see_shards(&mut self, second: u32, reported: bool) {
        if !reported {
            self.seen.load.shards.clear();
            self.seen.load.busiest_shards.clear();
            self.redraw = true;
            return;
        }
        let redraw = std::mem::take(&mut self.redraw);
        if redraw {
            self.seen.load.shards = self.drawn(second / 60);
        }
        let (end, window) = (second.saturating_sub(self.physics.report_delay_s), self.physics.report_window_s);
        let (kinesis, bytes) = (self.physics.kinesis_records(), self.physics.shard_bytes());
        let rates: Vec<_> = self
            .groups
            .iter()
            .map(|group| (group.accepted.mean(end, window), group.refused.mean(end, window)))
            .collect();
        let load = &mut self.seen.load;
        for (shard, group) in load.shards.iter_mut().zip(&self.members) {
            let (accepted, refused) = rates[*group];
            shard.records = RecordsPerSecond(accepted * kinesis);
            shard.bytes = BytesPerSecond(accepted * bytes);
            shard.throttled = RecordsPerSecond(refused * kinesis);
        }
        if rates.len() == 1 && !redraw {
            for (seen, shard) in load.busiest_shards.iter_mut().zip(&load.shards) {
                (seen.records, seen.bytes, seen.throttled) = (shard.records, shard.bytes, shard.throttled);
            }
            return;
        }
        let asked = |shard: &ShardLoad| shard.bytes.0 + shard.throttled.0 / kinesis * bytes;
        let mut busiest: Vec<&ShardLoad> = load.shards.iter().collect();
        busiest.sort_by(|one, other| asked(other).total_cmp(&asked(one)));
        load.busiest_shards = busiest.into_iter().take(SHARDS_SHOWN).cloned().collect();
    }

    /// The open shards with what does not change until the next reshard or the next change of the keys.
    fn drawn(&self, minute: u32) -> Vec<ShardLoad> {
        let drawn = self.stream.shards().iter().map(|shard| {
            let (low, high) = shard.range();
            let whole = self.keys.share(low, high, minute).max(f64::MIN_POSITIVE);
            let width = (high - low) / f64::from(SLICES);
            let slice = |index: u32| {
                let low = low + width * f64::from(index);
                (self.keys.share(low, low + width, minute) / whole) as f32
            };
            let heaviest = self.keys.heaviest(low, high, minute);
            ShardLoad {
                shard_id: shard.name(),
                starting_hash_key: Some(shard.first),
                ending_hash_key: Some(shard.last),
                slices: (0..SLICES).map(slice).collect(),
                heaviest: heaviest.map(|(at, share)| KeyShare { hash_key: hash_key(at), share: share / whole }),
                ..ShardLoad::default()
            }
        });
        drawn.collect()
    }

    /// What only CloudWatch knows, as `observe` adds it.
    fn fill(&mut self, second: u32, now: Timestamp) {
        let missing = self.seen.load.incoming_bytes.is_none()
            || self.seen.load.lag.is_none()
            || self.seen.producer.cpu.is_none()
            || self.seen.consumer.cpu.is_none();
        if !missing || self.faults.hide_metrics(second) {
            return;
        }
        let age = (METRIC_AGE_MAX + METRIC_DELAY).as_secs() as u32;
        let Some((at, minute)) = self.metrics.newest(now, age) else { return };
        let Observation { load, producer, consumer, .. } = &mut self.seen;
        let mean = |sum: f64| sum / 60.0;
        load.incoming_bytes = load.incoming_bytes.or(Some(published(BytesPerSecond(mean(minute.incoming_bytes)), at)));
        load.incoming_records =
            load.incoming_records.or(Some(published(RecordsPerSecond(mean(minute.incoming_records)), at)));
        load.throttled_records =
            load.throttled_records.or(Some(published(RecordsPerSecond(mean(minute.throttled_records)), at)));
        if self.faults.have(Fault::ReportsAbsent) {
            load.lag = minute.iterator_age_ms.map(|age| published(Millis(age as u64), at));
        }
        producer.cpu = producer.cpu.or(Some(published(Fraction(minute.producer_cpu / 100.0), at)));
        consumer.cpu = consumer.cpu.or(Some(published(Fraction(minute.consumer_cpu / 100.0), at)));
    }
}

fn published<T>(value: T, at: Timestamp) -> Reading<T> {
    by(value, at, Source::CloudWatch)
}

fn by<T>(value: T, at: Timestamp, source: Source) -> Reading<T> {
    Reading { value, at, source }
}

fn told<T>(value: T, at: Timestamp) -> Reading<T> {
    by(value, at, Source::TaskReports)
}
