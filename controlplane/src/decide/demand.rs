//! How much the stream is asked to take, in shards.

use jiff::Timestamp;

use super::{clients::Held, history::elapsed};
use crate::{
    limits::{METRIC_AGE_FRESH, SHARD_BYTES, SHARD_RECORDS},
    observe::{LoadObservation, Reading},
    units::{ByteCount, BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond},
};

/// From this share of refused records on a stream counts as throttled: retries even out less.
const THROTTLED_SHARE: f64 = 0.01;

/// How many attempts clients are taken to make per record while writes are refused: they back off between two attempts,
/// and what a producer refuses it has first held for seconds.
const ATTEMPTS: f64 = 1.5;

/// Seconds of the demand that producers hold anyway, for a moment each: packing, and a request under way.
const BACKLOG_S: f64 = 2.0;

/// From this share of what the shards take on it comes from other producers: reports of ten seconds do not quite agree.
const OTHERS_MIN: f64 = 0.1;

/// What the stream is asked to take.
///
/// Where producers tell what they hold and what they refuse, what is offered for the first time is known, whatever the
/// shards take: while a backlog is drained they take more. Where they do not, the truth is not known while shards refuse
/// writes. What these accept is a lower bound, and what clients offer an upper one, for it counts every attempt: the
/// demand is then what is accepted, or the offered flow over [`ATTEMPTS`] where that is more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Demand {
    pub(super) bytes: BytesPerSecond,
    pub(super) records: RecordsPerSecond,
    /// The load as a number of full shards, over the last minute.
    pub(super) shards: f64,
    /// The same as the newest report has it.
    pub(super) newest: f64,
    /// What the shards accept, in full shards.
    pub(super) accepted: f64,
    /// What producers and clients hold, in seconds of a full shard; nothing where producers do not tell.
    pub(super) waiting: Option<f64>,
    /// Whether only what Kinesis accepted is known, which no overload can raise above the stream's limit.
    pub(super) accepted_only: bool,
}

impl Demand {
    /// The demand, or nothing when what the shards take is not known. `held` is what waits outside of the stream.
    ///
    /// What clients offer may be more than the shards take. Kinesis records grow with the offered bytes, but there are
    /// never more of them than user records.
    pub(super) fn of(load: &LoadObservation, held: Option<Held>) -> Option<Self> {
        let incoming_bytes = known(load.incoming_bytes)?;
        let incoming_records = known(load.incoming_records)?;
        let offered = known(load.offered_bytes);
        let held = held.filter(|_| offered.is_some());
        let offered_bytes = offered.map(|bytes| new(bytes, load, held));
        let least = held.map_or(incoming_bytes, |held| others(incoming_bytes, offered.unwrap_or_default(), held));
        let bytes = offered_bytes.unwrap_or_default().max(least);
        let growth = if incoming_bytes > 0.0 { bytes / incoming_bytes } else { 1.0 };
        let offered_records =
            known(load.offered_records).map_or(f64::INFINITY, |records| records * ratio(offered_bytes, offered));
        let least = if held.is_some() { 0.0 } else { incoming_records };
        let records = (incoming_records * growth).min(offered_records).max(least);
        let full = |bytes, records| f64::max(bytes / SHARD_BYTES.0, records / SHARD_RECORDS.0);
        let shards = full(bytes, records);
        Some(Self {
            bytes: BytesPerSecond(bytes),
            records: RecordsPerSecond(records),
            shards,
            newest: shards,
            accepted: full(incoming_bytes, incoming_records),
            waiting: held
                .map(|held| if bytes > 0.0 { held.bytes * shards / bytes } else { held.bytes / SHARD_BYTES.0 }),
            accepted_only: offered_bytes.is_none(),
        })
    }

    /// Whether producers hold enough to keep the shards at work for a while, or did so in the time that the reports are
    /// about, when the shards took more than what is new: then the shards refuse what is repeated.
    pub(super) fn is_draining(&self) -> bool {
        let drained = self.accepted > self.newest * (1.0 + OTHERS_MIN);
        self.waiting.is_some_and(|waiting| drained || waiting > self.shards * BACKLOG_S)
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

/// The age of a reading, where it is too old to say that there is too much of anything.
pub(super) fn late<T>(reading: Option<Reading<T>>, now: Timestamp) -> Option<Millis> {
    reading.map(|reading| elapsed(reading.at, now)).filter(|age| *age > METRIC_AGE_FRESH)
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

/// What of an offered flow in bytes is offered for the first time.
pub(super) fn new(offered: f64, load: &LoadObservation, held: Option<Held>) -> f64 {
    match held {
        // The guess at what comes again may be too high: what was new before it began is forgotten only as it goes.
        Some(held) => (offered - held.repeated).max(held.clear.min(offered)),
        None if is_throttled(load) == Some(true) => offered / ATTEMPTS,
        None => offered,
    }
}

/// What the shards take although no producer of ours was offered it or held it.
fn others(incoming: f64, offered: f64, held: Held) -> f64 {
    if incoming - offered - held.drained > incoming * OTHERS_MIN { incoming } else { 0.0 }
}

fn ratio(part: Option<f64>, whole: Option<f64>) -> f64 {
    part.zip(whole).map_or(1.0, |(part, whole)| if whole > 0.0 { part / whole } else { 1.0 })
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

plain!(ByteCount, BytesPerSecond, Fraction, RecordCount, RecordsPerSecond);

impl From<Millis> for f64 {
    fn from(value: Millis) -> Self {
        value.0 as Self
    }
}
