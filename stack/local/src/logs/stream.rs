//! One log stream: segment files, an index over them, and what is not written yet.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::event::Event;

/// How much is buffered before it is written, and about how much of a file one entry of the index stands for: small
/// enough to read for one event, large enough that the index of a full stream stays below a megabyte.
const BLOCK_BYTES: usize = 64 << 10;

/// A full stream is this many files: dropping the oldest forgets one part in sixteen.
const SEGMENTS_PER_STREAM: u64 = 16;

/// Which events of a stream are wanted, by timestamp, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

impl Window {
    pub(super) fn contains(&self, timestamp_ms: u64) -> bool {
        (self.from_ms..=self.until_ms).contains(&timestamp_ms)
    }
}

/// What a run of events holds: sequences and timestamps, both ends included.
#[derive(Debug, Clone, Copy)]
struct Extent {
    first: u64,
    last: u64,
    oldest_ms: u64,
    newest_ms: u64,
}

impl Extent {
    fn of(event: &Event) -> Self {
        let Event { sequence, timestamp_ms, .. } = *event;
        Self { first: sequence, last: sequence, oldest_ms: timestamp_ms, newest_ms: timestamp_ms }
    }

    fn join(self, later: Self) -> Self {
        Self {
            first: self.first,
            last: later.last,
            oldest_ms: self.oldest_ms.min(later.oldest_ms),
            newest_ms: self.newest_ms.max(later.newest_ms),
        }
    }

    fn overlaps(&self, window: Window) -> bool {
        self.oldest_ms <= window.until_ms && self.newest_ms >= window.from_ms
    }
}

struct Block {
    extent: Extent,
    offset: u64,
    bytes: usize,
}

struct Segment {
    path: PathBuf,
    bytes: u64,
    blocks: Vec<Block>,
}

/// Where a block lies, for reading it without holding the group's lock.
#[derive(Debug)]
pub(super) struct BlockAt {
    path: PathBuf,
    offset: u64,
    bytes: usize,
    /// The sequence of its first event.
    pub(super) first: u64,
}

impl BlockAt {
    /// The block's events, or nothing when its segment was dropped in the meantime.
    pub(super) fn load(&self) -> io::Result<Bytes> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Bytes::new()),
            file => file?,
        };
        let mut block = vec![0; self.bytes];
        file.seek(SeekFrom::Start(self.offset))?;
        file.read_exact(&mut block)?;
        Ok(block.into())
    }
}

/// When the newest event was logged and when it came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastEvent {
    pub(super) timestamp_ms: u64,
    pub(super) ingested_ms: u64,
}

/// A log stream.
pub(super) struct Stream {
    pub(super) created_ms: u64,
    pub(super) first_event_ms: Option<u64>,
    pub(super) last_event: Option<LastEvent>,
    pub(super) stored_bytes: u64,
    /// Its files are `<files>-<number>.events`.
    files: PathBuf,
    files_begun: u32,
    bytes_max: u64,
    segments: VecDeque<Segment>,
    pending: Vec<u8>,
    pending_extent: Option<Extent>,
}

impl Stream {
    pub(super) fn new(files: PathBuf, created_ms: u64, bytes_max: u64) -> Self {
        Self {
            created_ms,
            first_event_ms: None,
            last_event: None,
            stored_bytes: 0,
            files,
            files_begun: 0,
            bytes_max,
            segments: VecDeque::new(),
            pending: Vec::new(),
            pending_extent: None,
        }
    }

    /// Adds an event, whose sequence is higher than that of all before it.
    pub(super) fn push(&mut self, event: &Event) {
        let extent = Extent::of(event);
        self.pending_extent = Some(self.pending_extent.map_or(extent, |pending| pending.join(extent)));
        event.write(&mut self.pending);
        self.first_event_ms.get_or_insert(event.timestamp_ms);
        self.last_event = Some(LastEvent { timestamp_ms: event.timestamp_ms, ingested_ms: event.ingested_ms });
        if self.pending.len() >= BLOCK_BYTES {
            self.flush();
        }
    }

    /// Writes what is pending. What cannot be written (a full disk) is lost, and the log of the process says so.
    pub(super) fn flush(&mut self) {
        let Some(extent) = self.pending_extent.take() else { return };
        let pending = std::mem::take(&mut self.pending);
        if let Err(error) = self.store(&pending, extent) {
            tracing::warn!(%error, files = %self.files.display(), bytes = pending.len(), "cannot keep log lines");
            // The end of the file is unknown now: go on in a new one.
            self.begin_segment();
        }
        self.drop_oldest();
        self.pending = pending;
        self.pending.clear();
        self.pending.shrink_to(BLOCK_BYTES);
    }

    fn store(&mut self, pending: &[u8], extent: Extent) -> io::Result<()> {
        if self.segments.back().is_none_or(|segment| segment.bytes >= self.bytes_max / SEGMENTS_PER_STREAM) {
            self.begin_segment();
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        OpenOptions::new().create(true).append(true).open(&segment.path)?.write_all(pending)?;
        match segment.blocks.last_mut() {
            Some(block) if block.bytes + pending.len() <= BLOCK_BYTES => {
                block.bytes += pending.len();
                block.extent = block.extent.join(extent);
            }
            _ => segment.blocks.push(Block { extent, offset: segment.bytes, bytes: pending.len() }),
        }
        segment.bytes += pending.len() as u64;
        self.stored_bytes += pending.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self) {
        self.files_begun += 1;
        let path = PathBuf::from(format!("{}-{:04}.events", self.files.display(), self.files_begun));
        self.segments.push_back(Segment { path, bytes: 0, blocks: Vec::new() });
    }

    fn drop_oldest(&mut self) {
        while self.stored_bytes > self.bytes_max && self.segments.len() > 1 {
            if let Some(segment) = self.segments.pop_front() {
                self.stored_bytes -= segment.bytes;
                remove(&segment.path);
            }
        }
    }

    /// The first written block that may hold events of `window` with `sequence` or later.
    pub(super) fn block_from(&self, sequence: u64, window: Window) -> Option<BlockAt> {
        self.segments.iter().find_map(|segment| {
            let begin = segment.blocks.partition_point(|block| block.extent.last < sequence);
            let block = segment.blocks.get(begin..)?.iter().find(|block| block.extent.overlaps(window))?;
            Some(at(segment, block))
        })
    }

    /// The last written block that may hold events of `window` before `sequence`.
    pub(super) fn block_before(&self, sequence: u64, window: Window) -> Option<BlockAt> {
        self.segments.iter().rev().find_map(|segment| {
            let end = segment.blocks.partition_point(|block| block.extent.first < sequence);
            let block = segment.blocks.get(..end)?.iter().rev().find(|block| block.extent.overlaps(window))?;
            Some(at(segment, block))
        })
    }

    /// Deletes every file of the stream.
    pub(super) fn remove(self) {
        self.segments.iter().for_each(|segment| remove(&segment.path));
    }
}

fn at(segment: &Segment, block: &Block) -> BlockAt {
    BlockAt { path: segment.path.clone(), offset: block.offset, bytes: block.bytes, first: block.extent.first }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "cannot remove a log segment");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: Window = Window { from_ms: 0, until_ms: u64::MAX };

    fn event(sequence: u64, bytes: usize) -> Event {
        Event { sequence, timestamp_ms: sequence * 10, ingested_ms: 0, message: vec![b'x'; bytes].into() }
    }

    fn read(stream: &Stream, mut from: u64, window: Window) -> Vec<u64> {
        let mut sequences = Vec::new();
        while let Some(block) = stream.block_from(from, window) {
            let mut block = block.load().unwrap();
            while let Some(event) = Event::read(&mut block) {
                if event.sequence >= from {
                    sequences.push(event.sequence);
                    from = event.sequence + 1;
                }
            }
        }
        sequences
    }

    #[test]
    fn a_full_stream_forgets_its_oldest_segment_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut stream = Stream::new(directory.path().join("s"), 0, 4 << 20);
        (0..6_000).for_each(|sequence| stream.push(&event(sequence, 1_000)));
        stream.flush();
        let kept = read(&stream, 0, ALWAYS);
        let first = kept[0];
        assert_eq!(kept, (first..6_000).collect::<Vec<_>>());
        assert!((3_500..=4_200).contains(&kept.len()), "{} events kept of about 4,080 that fit", kept.len());
        let on_disk: u64 = directory.path().read_dir().unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
        assert!(on_disk <= 4 << 20, "{on_disk} bytes on disk");
        stream.remove();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn small_writes_share_a_block_and_a_window_skips_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut stream = Stream::new(directory.path().join("s"), 0, 1 << 30);
        for sequence in 0..1_000 {
            stream.push(&event(sequence, 500));
            stream.flush();
        }
        let blocks: usize = stream.segments.iter().map(|segment| segment.blocks.len()).sum();
        assert!(blocks <= 10, "{blocks} blocks for 528 kB");
        let late = Window { from_ms: 9_990, until_ms: u64::MAX };
        assert!(stream.block_from(0, late).unwrap().first > 800);
        assert!(stream.block_from(1_000, ALWAYS).is_none());
        assert!(stream.block_before(1, ALWAYS).is_some_and(|block| block.first == 0));
        assert!(stream.block_before(0, ALWAYS).is_none());
    }
}
