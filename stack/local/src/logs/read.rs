//! Reading events: one stream in either direction, or several streams merged in the order of arrival.
//!
//! A position is a sequence number, so a token is one number: it skips and repeats nothing, includes streams that
//! appear later, and costs a binary search.

use std::{collections::BTreeMap, io};

use bytes::Bytes;

use super::{
    event::Event,
    group::{SharedGroup, lock},
    stream::{BlockAt, Stream, Window},
};

/// The largest page of `GetLogEvents` and `FilterLogEvents` (API reference of both).
pub(super) const PAGE_EVENTS_MAX: usize = 10_000;
const PAGE_BYTES_MAX: usize = 1 << 20;

/// How much is searched for one page before the search is handed back with a token, as AWS does.
const SEARCHED_BYTES_MAX: usize = 16 << 20;

/// How many events a page may hold yet.
struct Room {
    events: usize,
    bytes: usize,
}

impl Room {
    fn new(limit: usize) -> Self {
        Self { events: limit.min(PAGE_EVENTS_MAX), bytes: PAGE_BYTES_MAX }
    }

    /// Takes room for an event. The first event of a page always fits.
    fn take(&mut self, page: &[impl Sized], event: &Event) -> bool {
        let fits = self.events > 0 && (self.bytes >= event.counted_bytes() || page.is_empty());
        if fits {
            self.events -= 1;
            self.bytes = self.bytes.saturating_sub(event.counted_bytes());
        }
        fits
    }
}

/// One stream to be read in pages.
pub(super) struct OneStream {
    pub(super) group: SharedGroup,
    pub(super) name: String,
    pub(super) window: Window,
    pub(super) limit: usize,
}

impl OneStream {
    fn block(&self, find: impl FnOnce(&Stream) -> Option<BlockAt>) -> Option<BlockAt> {
        lock(&self.group).streams.get(&self.name).and_then(find)
    }

    /// The events from `sequence` on, oldest first.
    pub(super) fn forward(&self, mut sequence: u64) -> io::Result<Vec<Event>> {
        let (mut page, mut room) = (Vec::new(), Room::new(self.limit));
        while let Some(block) = self.block(|stream| stream.block_from(sequence, self.window)) {
            let mut block = block.load()?;
            if block.is_empty() {
                break;
            }
            while let Some(event) = Event::read(&mut block) {
                if event.sequence < sequence {
                    continue;
                }
                let after = event.sequence + 1;
                if self.window.contains(event.timestamp_ms) {
                    if !room.take(&page, &event) {
                        return Ok(page);
                    }
                    page.push(event);
                }
                sequence = after;
            }
        }
        Ok(page)
    }

    /// The last events before `sequence`, oldest first.
    pub(super) fn backward(&self, mut sequence: u64) -> io::Result<Vec<Event>> {
        let (mut page, mut room) = (Vec::new(), Room::new(self.limit));
        'full: while let Some(block) = self.block(|stream| stream.block_before(sequence, self.window)) {
            let first = block.first;
            let mut block = block.load()?;
            let events: Vec<Event> = std::iter::from_fn(|| Event::read(&mut block))
                .filter(|event| event.sequence < sequence && self.window.contains(event.timestamp_ms))
                .collect();
            for event in events.into_iter().rev() {
                if !room.take(&page, &event) {
                    break 'full;
                }
                page.push(event);
            }
            sequence = first;
        }
        page.reverse();
        Ok(page)
    }
}

/// A page of several streams.
pub(super) struct Merged {
    /// Stream and event.
    pub(super) events: Vec<(String, Event)>,
    /// Where to go on; `None` when everything that existed at the start of the call was read.
    pub(super) next: Option<u64>,
}

/// What is to be merged.
pub(super) struct Selection<'a> {
    pub(super) from: u64,
    pub(super) window: Window,
    pub(super) limit: usize,
    pub(super) wants_stream: &'a dyn Fn(&str) -> bool,
    pub(super) wants_event: &'a dyn Fn(&Event) -> bool,
}

/// The next events of some streams of a group, in the order of arrival.
pub(super) fn merged(group: &SharedGroup, selection: &Selection<'_>) -> io::Result<Merged> {
    let (mut cursors, end) = open(group, selection);
    let (mut events, mut room, mut searched) = (Vec::new(), Room::new(selection.limit), 0);
    while let Some(((sequence, number), mut cursor)) = cursors.pop_first() {
        if sequence >= end {
            continue;
        }
        if searched > SEARCHED_BYTES_MAX {
            return Ok(Merged { events, next: Some(sequence) });
        }
        if let Some(event) = cursor.event.take() {
            if selection.window.contains(event.timestamp_ms) && (selection.wants_event)(&event) {
                if !room.take(&events, &event) {
                    return Ok(Merged { events, next: Some(sequence) });
                }
                events.push((cursor.stream.clone(), event));
            }
            cursor.position = sequence + 1;
        }
        searched += cursor.advance(group, selection.window)?;
        if let Some(bound) = cursor.bound() {
            cursors.insert((bound, number), cursor);
        }
    }
    Ok(Merged { events, next: None })
}

/// Cursors by the lowest sequence that each may still deliver.
type Cursors = BTreeMap<(u64, usize), Cursor>;

fn open(group: &SharedGroup, selection: &Selection<'_>) -> (Cursors, u64) {
    let mut group = lock(group);
    group.flush();
    let mut cursors = Cursors::new();
    for (number, (name, stream)) in group.streams.iter().enumerate() {
        if !(selection.wants_stream)(name) {
            continue;
        }
        if let Some(block) = stream.block_from(selection.from, selection.window) {
            let bound = block.first.max(selection.from);
            let cursor = Cursor {
                stream: name.clone(),
                position: selection.from,
                unread: Some(block),
                block: Bytes::new(),
                event: None,
            };
            cursors.insert((bound, number), cursor);
        }
    }
    (cursors, group.end)
}

/// A place in one stream. A block is loaded only when its first sequence is the lowest of all cursors.
struct Cursor {
    stream: String,
    /// The lowest sequence that is still wanted.
    position: u64,
    /// The block to go on with, not loaded yet.
    unread: Option<BlockAt>,
    block: Bytes,
    event: Option<Event>,
}

impl Cursor {
    /// Steps to the next event, or to the next block without loading it. Returns how many bytes were read.
    fn advance(&mut self, group: &SharedGroup, window: Window) -> io::Result<usize> {
        let mut read = 0;
        if let Some(unread) = self.unread.take() {
            self.block = unread.load()?;
            read = self.block.len();
        }
        self.event = std::iter::from_fn(|| Event::read(&mut self.block)).find(|event| event.sequence >= self.position);
        if self.event.is_none() {
            let group = lock(group);
            let next = group.streams.get(&self.stream).and_then(|stream| stream.block_from(self.position, window));
            // A block that begins before the position was just read to its end.
            self.unread = next.filter(|block| block.first >= self.position);
        }
        Ok(read)
    }

    fn bound(&self) -> Option<u64> {
        match (&self.event, &self.unread) {
            (Some(event), _) => Some(event.sequence),
            (None, Some(block)) => Some(block.first),
            (None, None) => None,
        }
    }
}
