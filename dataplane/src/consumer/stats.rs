//! What the consumer counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;

use super::{
    counts::{Count, Counts},
    lease::Load,
    process::Chunk,
    unpack::Record,
};
use crate::{
    rate::{Flow, WINDOW_SECONDS, Window},
    report::{ConsumerReport, LeaseReport},
};

/// The figures of the consumer.
#[derive(Debug)]
pub(crate) struct Stats {
    origin: Instant,
    processed: Mutex<Flow>,
    leases: Mutex<BTreeMap<String, Arc<LeaseStats>>>,
    /// Whether the lease table was read.
    ready: AtomicBool,
    /// How shards are read, and why.
    retrieval: Mutex<(&'static str, String)>,
    counts: Arc<Counts>,
    /// Unfinished leases and live workers of the application, as last seen.
    fleet: Mutex<Option<(u64, u64)>>,
}

/// The figures of a lease while it is held.
#[derive(Debug)]
pub(crate) struct LeaseStats {
    figures: Mutex<Figures>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Figures {
    processed: Flow,
    /// Microseconds at work.
    busy: Window<1>,
    /// What is being processed: since when, and how far behind it was when it was fetched.
    at_work: Option<Work>,
    behind_ms: Option<u64>,
    checkpoint_at: Option<Instant>,
    /// Calls of the processor that are under way.
    under_way: usize,
    /// Why the shard does not get on, if it does not.
    stopped: Option<String>,
}

/// Where what a processor does is written down.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<'a> {
    pub(crate) lease: &'a LeaseStats,
    pub(crate) worker: &'a Stats,
}

impl Accounts<'_> {
    pub(crate) fn note_begun<M>(&self, chunk: &Chunk<M>) {
        self.lease.note_begun(chunk.behind_ms, chunk.fetched_at, Instant::now());
    }

    pub(crate) fn note_done(&self, records: &[Record]) {
        let bytes = records.iter().map(|record| record.data.len() as u64).sum();
        let (count, now) = (records.len() as u64, Instant::now());
        self.lease.note_done(count, bytes, now);
        self.worker.note_processed(count, bytes, now);
    }
}

#[derive(Debug, Clone, Copy)]
struct Work {
    since: Instant,
    fetched_at: Instant,
    behind_ms: u64,
}

impl Stats {
    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            origin,
            processed: Mutex::new(Flow::new(origin)),
            leases: Mutex::default(),
            ready: AtomicBool::new(false),
            retrieval: Mutex::default(),
            counts: Arc::default(),
            fleet: Mutex::default(),
        }
    }

    /// Adds a lease that was taken.
    pub(crate) fn add(&self, shard_id: &str) -> Arc<LeaseStats> {
        let figures = Figures {
            processed: Flow::new(self.origin),
            busy: Window::new(self.origin),
            at_work: None,
            behind_ms: None,
            checkpoint_at: None,
            under_way: 0,
            stopped: None,
        };
        let stats = Arc::new(LeaseStats { figures: Mutex::new(figures), counts: self.counts.clone() });
        lock(&self.leases).insert(shard_id.to_owned(), stats.clone());
        stats
    }

    pub(crate) fn remove(&self, shard_id: &str) {
        lock(&self.leases).remove(shard_id);
    }

    pub(crate) fn note_processed(&self, records: u64, bytes: u64, now: Instant) {
        lock(&self.processed).add(now, records, bytes);
    }

    /// What a lease costs: its bytes, and its part of the CPU time by how busy it is. `None` while it is held for less
    /// than a window.
    pub(crate) fn load(&self, lease: &LeaseStats, held_since: Instant, cpus: Option<f64>) -> Option<Load> {
        let now = Instant::now();
        if now.saturating_duration_since(held_since).as_secs() < WINDOW_SECONDS {
            return None;
        }
        let leases = lock(&self.leases).clone();
        let busy = |lease: &LeaseStats| lock(&lease.figures).busy.per_second(now)[0];
        let all: f64 = leases.values().map(|lease| busy(lease)).sum();
        let share = if all > 0.0 { busy(lease) / all } else { 0.0 };
        let kilobytes_per_second = lock(&lease.figures).processed.rate(now).bytes_per_second / 1024.0;
        Some(Load { kilobytes_per_second, cpus: cpus.unwrap_or(0.0) * share })
    }

    pub(crate) fn set_fleet(&self, leases: usize, workers: usize) {
        *lock(&self.fleet) = Some((leases as u64, workers as u64));
    }

    pub(crate) fn fleet(&self) -> Option<(u64, u64)> {
        *lock(&self.fleet)
    }

    pub(crate) fn set_retrieval(&self, name: &'static str, reason: String) {
        *lock(&self.retrieval) = (name, reason);
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Records and bytes since the start.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let processed = lock(&self.processed);
        (processed.records, processed.bytes)
    }

    /// Records and bytes of each lease since it was taken.
    pub(crate) fn lease_totals(&self) -> BTreeMap<String, (u64, u64)> {
        let leases = lock(&self.leases).clone();
        let total = |lease: &LeaseStats| {
            let figures = lock(&lease.figures);
            (figures.processed.records, figures.processed.bytes)
        };
        leases.into_iter().map(|(shard_id, lease)| (shard_id, total(&lease))).collect()
    }

    pub(crate) fn report(&self, stream: &str, application: &str, now: Instant) -> ConsumerReport {
        let leases = lock(&self.leases).clone();
        let (retrieval, retrieval_reason) = lock(&self.retrieval).clone();
        let leases: Vec<_> = leases.iter().map(|(shard_id, lease)| lease.report(shard_id, now)).collect();
        ConsumerReport {
            stream: stream.to_owned(),
            application: application.to_owned(),
            processed: lock(&self.processed).rate(now),
            behind_ms: leases.iter().filter_map(|lease| lease.behind_ms).max(),
            retrieval: retrieval.to_owned(),
            retrieval_reason,
            leases,
        }
    }
}

impl LeaseStats {
    /// Notes an answer of Kinesis.
    pub(crate) fn note_read(&self, behind_ms: Option<u64>) {
        let mut figures = lock(&self.figures);
        figures.behind_ms = behind_ms.or(figures.behind_ms);
    }

    /// Counts something that happened to this lease.
    pub(crate) fn count(&self, what: Count) {
        self.counts.add(what, 1);
    }

    pub(crate) fn add(&self, what: Count, amount: u64) {
        self.counts.add(what, amount);
    }

    /// Notes that the processor has begun with records fetched at `fetched_at`.
    pub(crate) fn note_begun(&self, behind_ms: Option<u64>, fetched_at: Instant, now: Instant) {
        let mut figures = lock(&self.figures);
        figures.under_way += 1;
        // The oldest of several tells how late the shard is.
        figures.at_work.get_or_insert(Work { since: now, fetched_at, behind_ms: behind_ms.unwrap_or(0) });
    }

    /// Notes that the processor failed. What it had is still to be done.
    pub(crate) fn note_failed(&self) {
        lock(&self.figures).under_way = 0;
    }

    /// Notes why the shard does not get on, or that it does.
    pub(crate) fn set_stopped(&self, reason: Option<String>) {
        lock(&self.figures).stopped = reason;
    }

    /// Notes that the processor is done with them.
    pub(crate) fn note_done(&self, records: u64, bytes: u64, now: Instant) {
        let mut figures = lock(&self.figures);
        figures.processed.add(now, records, bytes);
        figures.under_way = figures.under_way.saturating_sub(1);
        if let (0, Some(work)) = (figures.under_way, figures.at_work) {
            figures.at_work = None;
            let busy = now.saturating_duration_since(work.since).as_micros();
            figures.busy.add(now, [u64::try_from(busy).unwrap_or(u64::MAX)]);
        }
    }

    pub(crate) fn note_checkpoint(&self, now: Instant) {
        lock(&self.figures).checkpoint_at = Some(now);
    }

    fn report(&self, shard_id: &str, now: Instant) -> LeaseReport {
        let figures = lock(&self.figures);
        let since = |then: Instant| now.saturating_duration_since(then);
        let [busy] = figures.busy.per_second(now);
        // Work that is not done yet counts as well, or a slow processor would look idle.
        let current = figures.at_work.map_or(0.0, |work| since(work.since).as_secs_f64() / WINDOW_SECONDS as f64);
        let waiting = figures.at_work.map(|work| work.behind_ms + since(work.fetched_at).as_millis() as u64);
        LeaseReport {
            shard_id: shard_id.to_owned(),
            processed: figures.processed.rate(now),
            behind_ms: waiting.or(figures.behind_ms),
            busy_fraction: (busy / 1e6 + current).min(1.0),
            checkpoint_age_ms: figures.checkpoint_at.map(|then| since(then).as_millis() as u64),
            stopped: figures.stopped.clone(),
        }
    }
}

/// Counters are right whatever panicked between two of them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn records_in_the_hands_of_a_slow_processor_make_the_lease_busy_and_late() {
        let origin = Instant::now();
        let stats = Stats::new(origin);
        let lease = stats.add("shardId-000000000000");
        let at = |seconds| origin + Duration::from_secs(seconds);
        lease.note_read(Some(500));
        lease.note_begun(Some(500), at(10), at(11));
        let report = stats.report("stream", "application", at(16));
        assert_eq!(report.behind_ms, Some(6500));
        assert_eq!(report.leases[0].busy_fraction, 0.5);
        lease.note_done(3, 30, at(16));
        lease.note_read(Some(0));
        let report = stats.report("stream", "application", at(17));
        assert_eq!((report.behind_ms, report.leases[0].busy_fraction), (Some(0), 0.5));
        assert_eq!(report.leases[0].processed.records_per_second, 0.3);
        stats.remove("shardId-000000000000");
        assert_eq!(stats.report("stream", "application", at(17)).behind_ms, None);
    }
}
