//! Shard iterators: opaque to the caller, they say where a read goes on and when they were given out.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut};

use super::{engine::shard::ShardId, moment::Moment};

const VERSION: u8 = 1;

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardIterator {
    pub(crate) issued: Moment,
    /// When the stream was created: an iterator is none for a later stream of the same name.
    pub(crate) stream_created: Moment,
    pub(crate) shard: ShardId,
    /// The index of the record to read next.
    pub(crate) index: u64,
    pub(crate) stream: String,
}

impl ShardIterator {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.put_u8(VERSION);
        bytes.put_u64(self.issued.millis());
        bytes.put_u64(self.stream_created.millis());
        bytes.put_u32(self.shard.0);
        bytes.put_u64(self.index);
        bytes.put_slice(self.stream.as_bytes());
        STANDARD.encode(bytes)
    }

    /// Reads what [`Self::encode`] wrote. None for any other text.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let mut rest = bytes.as_slice();
        if rest.try_get_u8().ok()? != VERSION {
            return None;
        }
        Some(Self {
            issued: Moment::from_millis(rest.try_get_u64().ok()?),
            stream_created: Moment::from_millis(rest.try_get_u64().ok()?),
            shard: ShardId(rest.try_get_u32().ok()?),
            index: rest.try_get_u64().ok()?,
            stream: String::from_utf8(rest.to_vec()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterator_is_read_back_and_other_texts_are_refused() {
        let iterator = ShardIterator {
            issued: Moment::from_millis(1),
            stream_created: Moment::from_millis(2),
            shard: ShardId(3),
            index: 4,
            stream: "orders".to_owned(),
        };
        assert_eq!(ShardIterator::decode(&iterator.encode()), Some(iterator));
        for text in ["", "AAAA", "not base64", "AQ=="] {
            assert_eq!(ShardIterator::decode(text), None, "{text}");
        }
    }
}
