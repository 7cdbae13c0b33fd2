//! How much the stream is asked to take, in shards.

use crate::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    observe::{LoadObservation, Reading},
    units::{BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond},
};

/// From this share of refused records on a stream counts as throttled: retries even out less.
const THROTTLED_SHARE: f64 = 0.01;

/// How many attempts clients are taken to make per record while writes are refused: they back off between two attempts,
/// and what a producer refuses it has first held for seconds.
const ATTEMPTS: f64 = 1.5;

/// What the stream is asked to take.
///
/// While shards refuse writes the truth is not known. What they accept is a lower bound, and what clients offer an upper
/// one, for it counts every attempt. The demand is then what is accepted, or the offered flow over [`ATTEMPTS`] where
/// that is more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Demand {
    pub(super) bytes: BytesPerSecond,
    pub(super) records: RecordsPerSecond,
    /// The load as a number of full shards.
    pub(super) shards: f64,
    /// What the shards accept, in full shards.
    pub(super) accepted: f64,
    /// Whether only what Kinesis accepted is known, which no overload can raise above the stream's limit.
    pub(super) accepted_only: bool,
}

impl Demand {
    /// The demand, or nothing when what the shards take is not known.
    ///
    /// What clients offer may be more than the shards take. Kinesis records grow with the offered bytes, but there are
    /// never more of them than user records.
    pub(super) fn of(load: &LoadObservation) -> Option<Self> {
        let incoming_bytes = known(load.incoming_bytes)?;
        let incoming_records = known(load.incoming_records)?;
        let attempts = attempts(load);
        let offered_bytes = known(load.offered_bytes).map(|bytes| bytes / attempts);
        let bytes = offered_bytes.unwrap_or_default().max(incoming_bytes);
        let growth = if incoming_bytes > 0.0 { bytes / incoming_bytes } else { 1.0 };
        let offered_records = known(load.offered_records).map_or(f64::INFINITY, |records| records / attempts);
        let records = (incoming_records * growth).min(offered_records).max(incoming_records);
        let full = |bytes, records| f64::max(bytes / SHARD_BYTES.0, records / SHARD_RECORDS.0);
        Some(Self {
            bytes: BytesPerSecond(bytes),
            records: RecordsPerSecond(records),
            shards: full(bytes, records),
            accepted: full(incoming_bytes, incoming_records),
            accepted_only: offered_bytes.is_none(),
        })
    }

    /// How full `shards` shards would be.
    pub(super) fn utilization(&self, shards: u32) -> Fraction {
        Fraction(self.shards / f64::from(shards.max(1)))
    }

    /// How many shards are as full as `target` at most.
    pub(super) fn shards_at(&self, target: f64) -> u32 {
        whole(self.shards / target)
    }
}

/// The share of Kinesis records that the shards refuse; nothing when it is not known.
pub(crate) fn throttled_share(load: &LoadObservation) -> Option<Fraction> {
    let throttled = known(load.throttled_records)?;
    let incoming = known(load.incoming_records)?;
    Some(Fraction(if throttled > 0.0 { throttled / (throttled + incoming) } else { 0.0 }))
}

/// Whether the shards refuse more than retries even out; nothing when it is not known.
pub(crate) fn is_throttled(load: &LoadObservation) -> Option<bool> {
    throttled_share(load).map(|share| share.0 > THROTTLED_SHARE)
}

/// How many attempts stand for one record in what clients offer.
pub(super) fn attempts(load: &LoadObservation) -> f64 {
    if is_throttled(load) == Some(true) { ATTEMPTS } else { 1.0 }
}

/// A number that a metric can be: AWS and foreign tasks may report what no load can be.
pub(super) fn known<T: Into<f64>>(reading: Option<Reading<T>>) -> Option<f64> {
    reading.map(|reading| reading.value.into()).filter(|value| value.is_finite() && *value >= 0.0)
}

/// The next whole number, without what rounding adds to a product that is whole already.
pub(super) fn whole(count: f64) -> u32 {
    (count - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

macro_rules! plain {
    ($($unit:ty),+) => {
        $(impl From<$unit> for f64 {
            fn from(value: $unit) -> Self {
                value.0
            }
        })+
    };
}

plain!(BytesPerSecond, Fraction, RecordCount, RecordsPerSecond);

impl From<Millis> for f64 {
    fn from(value: Millis) -> Self {
        value.0 as Self
    }
}
