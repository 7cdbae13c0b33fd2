//! The append-only file of one stream, which survives the process.
//!
//! A file is a sequence of entries: length and CRC-32 of the payload (four bytes each, little endian), then the
//! payload: either the stream without its records, as JSON, or one record. Each put appends its records once, so its
//! cost does not grow with the stream. Entries are handed to the operating system before a put is answered and not
//! forced to the disk: they survive the end of the process (SIGKILL too), not a power cut.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use bytes::{Buf, BufMut, Bytes};
use flate2::Crc;

use super::{
    engine::{
        shard::{Record, ShardId},
        stream::Stream,
    },
    moment::Moment,
};

const EXTENSION: &str = "stream";
const HEADER_BYTES: usize = 8;
const STATE: u8 = 0;
const RECORD: u8 = 1;

/// A put of 10 MiB fits an entry with room to spare; a longer length is damage.
const ENTRY_BYTES_MAX: usize = 64 << 20;

/// The file is rewritten when it is twice as long as what it keeps, and this much more.
const SLACK_BYTES: u64 = 64 << 20;

/// The file of one stream.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// Entries not yet written.
    pending: Vec<u8>,
    /// The last write failed, perhaps in the middle of an entry, and nothing behind such an entry is ever read again.
    is_torn: bool,
}

impl Journal {
    /// Begins the file of a stream, with everything that the stream keeps.
    pub(crate) fn create(directory: &Path, stream: &Stream) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(&stream.name).with_added_extension(EXTENSION);
        let (file, length) = write_whole(&path, stream)?;
        Ok(Self { path, file, length, pending: Vec::new(), is_torn: false })
    }

    /// Reads every file in `directory`. A file that begins with damage is set aside with a warning.
    pub(crate) fn open_all(directory: &Path) -> io::Result<Vec<(Self, Stream)>> {
        fs::create_dir_all(directory)?;
        let mut opened = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            match replay(BufReader::new(File::open(&path)?))? {
                Some(stream) => opened.push((Self::create(directory, &stream)?, stream)),
                None => {
                    tracing::warn!(path = %path.display(), "no stream can be read from this file: it is set aside");
                    fs::rename(&path, path.with_added_extension("damaged"))?;
                }
            }
        }
        Ok(opened)
    }

    /// Adds the stream as it is now, without its records.
    pub(crate) fn add_state(&mut self, stream: &Stream) -> io::Result<()> {
        push_state(&mut self.pending, stream)
    }

    /// Adds one record.
    pub(crate) fn add_record(&mut self, shard: ShardId, index: u64, record: &Record) {
        push_record(&mut self.pending, shard, index, record);
    }

    /// Writes what was added; or the whole file anew, when most of it is about records that are gone or it is torn.
    pub(crate) fn write(&mut self, stream: &Stream) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if !self.is_torn {
            self.file.write_all(&pending).inspect_err(|_| self.is_torn = true)?;
            self.length += pending.len() as u64;
        }
        if self.is_torn || self.length > 2 * stream.bytes() + SLACK_BYTES {
            (self.file, self.length) = write_whole(&self.path, stream)?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Deletes the file.
    pub(crate) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Writes a file beside `path` and puts it in its place, so that there is a whole one at any moment.
fn write_whole(path: &Path, stream: &Stream) -> io::Result<(File, u64)> {
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&beside)?;
    let mut buffer = Vec::new();
    let mut length = 0;
    push_state(&mut buffer, stream)?;
    for (shard, index, record) in stream.records() {
        push_record(&mut buffer, shard, index, record);
        if buffer.len() >= 1 << 20 {
            file.write_all(&buffer)?;
            length += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.write_all(&buffer)?;
    fs::rename(&beside, path)?;
    Ok((file, length + buffer.len() as u64))
}

fn push_state(buffer: &mut Vec<u8>, stream: &Stream) -> io::Result<()> {
    let state = serde_json::to_vec(stream)?;
    push(buffer, |payload| {
        payload.put_u8(STATE);
        payload.put_slice(&state);
    });
    Ok(())
}

fn push_record(buffer: &mut Vec<u8>, shard: ShardId, index: u64, record: &Record) {
    push(buffer, |payload| {
        payload.put_u8(RECORD);
        payload.put_u32_le(shard.0);
        payload.put_u64_le(index);
        payload.put_u64_le(record.arrived.millis());
        payload.put_u32_le(u32::try_from(record.key.len()).unwrap_or(u32::MAX));
        payload.put_slice(&record.key);
        payload.put_slice(&record.data);
    });
}

fn push(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.put_bytes(0, HEADER_BYTES);
    write(buffer);
    let payload = &buffer[start + HEADER_BYTES..];
    let (length, sum) = (u32::try_from(payload.len()).unwrap_or(u32::MAX), checksum(payload));
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(payload);
    crc.sum()
}

/// Builds the stream from the entries up to the first torn or damaged one. None when there is no stream in them.
fn replay(mut reader: impl Read) -> io::Result<Option<Stream>> {
    let mut stream = None;
    while let Some(payload) = read_entry(&mut reader)? {
        match (payload.first(), &mut stream) {
            (Some(&STATE), _) => {
                let Ok(state) = serde_json::from_slice::<Stream>(&payload[1..]) else { break };
                stream = Some(state.adopt(stream.take()));
            }
            (Some(&RECORD), Some(stream)) => {
                let Some((shard, index, record)) = read_record(payload.slice(1..)) else { break };
                stream.restore(shard, index, record);
            }
            _ => break,
        }
    }
    Ok(stream)
}

fn read_entry(reader: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    reader.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    if header.len() < HEADER_BYTES {
        return Ok(None);
    }
    let mut header = header.as_slice();
    let (length, sum) = (header.get_u32_le() as usize, header.get_u32_le());
    if length > ENTRY_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = Vec::with_capacity(length);
    reader.take(length as u64).read_to_end(&mut payload)?;
    Ok((payload.len() == length && checksum(&payload) == sum).then(|| payload.into()))
}

fn read_record(mut payload: Bytes) -> Option<(ShardId, u64, Record)> {
    let shard = ShardId(payload.try_get_u32_le().ok()?);
    let index = payload.try_get_u64_le().ok()?;
    let arrived = Moment::from_millis(payload.try_get_u64_le().ok()?);
    let key_length = payload.try_get_u32_le().ok()? as usize;
    (key_length <= payload.len()).then(|| {
        let key = payload.split_to(key_length);
        (shard, index, Record { arrived, key, data: payload })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kinesis::{
        engine::{
            hash,
            stream::{Mode, NewStream},
        },
        settings::Settings,
    };

    const NOW: Moment = Moment::from_millis(1_763_865_600_000);

    fn stream() -> Stream {
        let new = NewStream {
            name: "orders".to_owned(),
            account: "000000000000".to_owned(),
            arn: "arn:aws:kinesis:eu-central-1:000000000000:stream/orders".to_owned(),
            mode: Mode::Provisioned,
            shards: 1,
            record_kib_max: 1024,
            tags: BTreeMap::new(),
        };
        let mut stream = Stream::new(new, NOW, NOW);
        stream.advance(NOW);
        stream
    }

    fn put(journal: &mut Journal, stream: &mut Stream, data: &'static [u8]) -> io::Result<()> {
        let (key, data) = (Bytes::from_static(b"k"), Bytes::from_static(data));
        let hash = hash::of_partition_key(&key);
        let stored = stream.put(hash, key.clone(), data.clone(), &Settings::default(), NOW).ok().unwrap();
        journal.add_record(stored.shard, stored.number.index, &Record { arrived: NOW, key, data });
        journal.write(stream)
    }

    #[test]
    fn what_is_put_after_a_failed_write_survives() {
        let directory = tempfile::tempdir().unwrap();
        let mut stream = stream();
        let mut journal = Journal::create(directory.path(), &stream).unwrap();
        put(&mut journal, &mut stream, b"one").unwrap();
        // A file that is open for reading only refuses to be written.
        journal.file = File::open(&journal.path).unwrap();
        assert!(put(&mut journal, &mut stream, b"refused").is_err());
        put(&mut journal, &mut stream, b"two").unwrap();
        put(&mut journal, &mut stream, b"three").unwrap();
        drop(journal);
        let (_, read) = Journal::open_all(directory.path()).unwrap().pop().unwrap();
        let data: Vec<_> = read.records().map(|(_, _, record)| record.data.clone()).collect();
        assert_eq!(data, ["one", "refused", "two", "three"], "a refused put may be stored, an answered one must be");
    }
}
