//! One log event and how it lies in a segment file.
//!
//! Layout, big endian: sequence (8 bytes), timestamp and time of ingestion in milliseconds (8 each), length of the
//! message (4), message.

use bytes::{Buf, Bytes};

const HEADER_BYTES: usize = 28;

/// AWS's limit of one event, which counts [`OVERHEAD_BYTES`] (service quotas of CloudWatch Logs).
pub(super) const EVENT_BYTES_MAX: usize = 1 << 20;

/// What AWS counts for an event besides its message (API reference of `PutLogEvents`).
pub(super) const OVERHEAD_BYTES: usize = 26;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Position in the order of arrival within the group, over all its streams.
    pub(super) sequence: u64,
    pub(super) timestamp_ms: u64,
    pub(super) ingested_ms: u64,
    pub(super) message: Bytes,
}

impl Event {
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let length = u32::try_from(self.message.len()).unwrap_or(u32::MAX);
        buffer.reserve(HEADER_BYTES + self.message.len());
        buffer.extend_from_slice(&self.sequence.to_be_bytes());
        buffer.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        buffer.extend_from_slice(&self.ingested_ms.to_be_bytes());
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(&self.message);
    }

    /// Takes the next event off a block; `None` at its end.
    pub(super) fn read(block: &mut Bytes) -> Option<Self> {
        if block.len() < HEADER_BYTES {
            return None;
        }
        let (sequence, timestamp_ms, ingested_ms) = (block.get_u64(), block.get_u64(), block.get_u64());
        let length = usize::try_from(block.get_u32()).ok().filter(|length| *length <= block.len())?;
        Some(Self { sequence, timestamp_ms, ingested_ms, message: block.split_to(length) })
    }

    /// What the event counts for against the size of a page.
    pub(super) fn counted_bytes(&self) -> usize {
        self.message.len() + OVERHEAD_BYTES
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }
}

/// Cuts a line into messages that fit into events, never inside a UTF-8 character.
pub(super) fn split(mut line: Bytes) -> impl Iterator<Item = Bytes> {
    let mut first = true;
    std::iter::from_fn(move || {
        if line.is_empty() && !std::mem::take(&mut first) {
            return None;
        }
        first = false;
        let mut end = line.len().min(EVENT_BYTES_MAX - OVERHEAD_BYTES);
        let is_inside_character = |end: usize| line.get(end).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
        for _ in 0..3 {
            end -= usize::from(is_inside_character(end) && end > 1);
        }
        Some(line.split_to(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_longer_than_an_event_is_cut_between_characters() {
        let line = "ü".repeat(EVENT_BYTES_MAX);
        let parts: Vec<Bytes> = split(line.clone().into()).collect();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() <= EVENT_BYTES_MAX - OVERHEAD_BYTES));
        assert_eq!(parts.iter().map(|part| std::str::from_utf8(part).unwrap()).collect::<String>(), line);
        assert_eq!(split(Bytes::new()).count(), 1, "an empty line is an event too");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn events_are_read_as_they_were_written(
            events in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8)
        ) {
            let events: Vec<Event> = events
                .into_iter()
                .map(|(sequence, timestamp_ms, ingested_ms, message)| {
                    Event { sequence, timestamp_ms, ingested_ms, message: message.into() }
                })
                .collect();
            let mut buffer = Vec::new();
            events.iter().for_each(|event| event.write(&mut buffer));
            let mut block = Bytes::from(buffer);
            let read: Vec<Event> = std::iter::from_fn(|| Event::read(&mut block)).collect();
            prop_assert_eq!(read, events);
        }
    }
}
