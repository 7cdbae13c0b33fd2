//! A log group: its streams, and the order of arrival over all of them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{Settings, event, event::Event, stream::Stream};

/// Where streams keep their files.
pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
    pub(super) begun: AtomicU64,
}

impl Files {
    /// Removes what an earlier process left: its index is gone, so nothing can read it. Other files are not touched.
    pub(super) fn clear(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        for entry in self.directory.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "events") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn stream(&self, created_ms: u64) -> Stream {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        Stream::new(self.directory.join(format!("{number:08}")), created_ms, self.settings.bytes_per_stream)
    }
}

/// A log group. One lock guards it, so that whoever sees event n of a group can read every event before n.
pub(super) struct Group {
    pub(super) created_ms: u64,
    pub(super) retention_days: Option<u32>,
    pub(super) kms_key_id: Option<String>,
    pub(super) class: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) streams: BTreeMap<String, Stream>,
    /// The sequence of the next event.
    pub(super) end: u64,
    files: Arc<Files>,
}

/// A group as it is shared between appenders, readers and the flush.
pub(super) type SharedGroup = Arc<Mutex<Group>>;

/// Locks a group. No code panics between two halves of a change, so a poisoned lock still guards a whole group.
pub(super) fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    pub(super) fn new(files: Arc<Files>, created_ms: u64) -> Self {
        Self {
            created_ms,
            retention_days: None,
            kms_key_id: None,
            class: "STANDARD".to_owned(),
            tags: BTreeMap::new(),
            streams: BTreeMap::new(),
            end: 0,
            files,
        }
    }

    /// Creates a stream; false when it exists.
    pub(super) fn create_stream(&mut self, name: &str, now_ms: u64) -> bool {
        if self.streams.contains_key(name) {
            return false;
        }
        if self.streams.len() >= self.files.settings.streams_per_group {
            self.remove_quietest();
        }
        self.streams.insert(name.to_owned(), self.files.stream(now_ms));
        true
    }

    fn remove_quietest(&mut self) {
        let last = |stream: &Stream| stream.last_event.map_or(stream.created_ms, |event| event.ingested_ms);
        let quietest = self.streams.iter().min_by_key(|(_, stream)| last(stream)).map(|(name, _)| name.clone());
        if let Some(stream) = quietest.and_then(|name| self.streams.remove(&name)) {
            stream.remove();
        }
    }

    /// Adds a message that was logged at `timestamp_ms`, cut in pieces where it is longer than an event may be.
    pub(super) fn append(&mut self, stream: &str, timestamp_ms: u64, ingested_ms: u64, message: Bytes) {
        if !self.streams.contains_key(stream) {
            self.create_stream(stream, ingested_ms);
        }
        let Some(stream) = self.streams.get_mut(stream) else { return };
        for message in event::split(message) {
            stream.push(&Event { sequence: self.end, timestamp_ms, ingested_ms, message });
            self.end += 1;
        }
    }

    pub(super) fn flush(&mut self) {
        self.streams.values_mut().for_each(Stream::flush);
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.streams.values().map(|stream| stream.stored_bytes).sum()
    }

    /// Deletes every file of the group.
    pub(super) fn remove_streams(&mut self) {
        std::mem::take(&mut self.streams).into_values().for_each(Stream::remove);
    }
}
