//! One stream behind its lock, with what has to happen whenever it changes: journal, wake-ups, accounting of memory.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified};

use super::{
    engine::{
        hash::HashKey,
        shard::Record,
        stream::Stream,
        traffic::{Stored, Throttled},
    },
    journal::Journal,
    moment::Moment,
    settings::Settings,
};
use crate::service::AwsError;

/// A stream that many callers use. The lock is held for one call at a time, and never across an await.
pub(crate) struct Cell {
    state: Mutex<State>,
    changed: Notify,
    /// Data and partition keys that all streams keep together.
    retained: Arc<AtomicU64>,
}

struct State {
    stream: Stream,
    journal: Option<Journal>,
}

impl Cell {
    /// A new stream, with a journal when there is a directory for it.
    pub(crate) fn create(stream: Stream, directory: Option<&Path>, retained: Arc<AtomicU64>) -> io::Result<Self> {
        let journal = directory.map(|directory| Journal::create(directory, &stream)).transpose()?;
        Ok(Self::new(stream, journal, retained))
    }

    pub(crate) fn new(stream: Stream, journal: Option<Journal>, retained: Arc<AtomicU64>) -> Self {
        retained.fetch_add(stream.bytes(), Ordering::Relaxed);
        Self { state: Mutex::new(State { stream, journal }), changed: Notify::new(), retained }
    }

    /// Uses the stream as it is at `now`, for what its journal does not keep.
    pub(crate) fn look<R>(&self, now: Moment, look: impl FnOnce(&mut Stream) -> R) -> R {
        self.with(now, |state| look(&mut state.stream))
    }

    /// Changes the stream. What the change returns is the caller's once it is in the journal.
    pub(crate) fn change<R>(
        &self,
        now: Moment,
        change: impl FnOnce(&mut Stream) -> Result<R, AwsError>,
    ) -> Result<R, AwsError> {
        let changed = self.with(now, |state| {
            let result = change(&mut state.stream)?;
            state.keep().map_err(not_kept)?;
            Ok(result)
        });
        self.changed.notify_waiters();
        changed
    }

    /// Puts records. What it returns is the caller's once the records are in the journal.
    pub(crate) fn put<R>(
        &self,
        now: Moment,
        settings: &Settings,
        put: impl FnOnce(&mut Writer<'_>) -> Result<R, AwsError>,
    ) -> Result<R, AwsError> {
        let stored = self.with(now, |state| {
            let State { stream, journal } = state;
            let mut writer = Writer { stream, journal: journal.as_mut(), settings, now };
            let result = put(&mut writer)?;
            journal.as_mut().map_or(Ok(()), |journal| journal.write(stream)).map_err(not_kept)?;
            Ok(result)
        });
        self.changed.notify_waiters();
        stored
    }

    /// Resolves at the next change or put after the call, once enabled or polled.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Drops what the stream kept, at its end.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut state = self.lock();
        let bytes = state.stream.bytes();
        self.retained.fetch_sub(state.stream.drop_oldest(bytes, Moment::from_millis(u64::MAX)), Ordering::Relaxed);
        let journal = state.journal.take();
        drop(state);
        self.changed.notify_waiters();
        journal.map_or(Ok(()), Journal::remove)
    }

    fn with<R>(&self, now: Moment, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let before = state.stream.bytes();
        let advanced = state.stream.advance(now);
        if advanced && let Err(error) = state.keep() {
            tracing::error!(stream = state.stream.name, %error, "a change of the stream could not be kept on disk");
        }
        let result = work(&mut state);
        let after = state.stream.bytes();
        drop(state);
        if after >= before {
            self.retained.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.retained.fetch_sub(before - after, Ordering::Relaxed);
        }
        if advanced {
            self.changed.notify_waiters();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves counters at worst one record off: better than refusing every call after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.add_state(&self.stream)?;
        journal.write(&self.stream)
    }
}

/// Puts into a stream under its lock.
pub(crate) struct Writer<'a> {
    pub(crate) stream: &'a mut Stream,
    journal: Option<&'a mut Journal>,
    settings: &'a Settings,
    now: Moment,
}

impl Writer<'_> {
    /// Stores one record, or says which shard is over its quota.
    pub(crate) fn put(&mut self, hash: HashKey, key: Bytes, data: Bytes) -> Result<Stored, Throttled> {
        let Some(journal) = &mut self.journal else {
            return self.stream.put(hash, key, data, self.settings, self.now);
        };
        let record = Record { arrived: self.now, key: key.clone(), data: data.clone() };
        let stored = self.stream.put(hash, key, data, self.settings, self.now)?;
        journal.add_record(stored.shard, stored.number.index, &record);
        Ok(stored)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn not_kept(error: io::Error) -> AwsError {
    AwsError::internal(format!("the stream's file cannot be written: {error}"))
}
