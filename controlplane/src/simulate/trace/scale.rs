//! From records to shards.

use std::str::FromStr;

use crate::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    units::ShardCount,
};

/// The minute that a scaled peak means: in a fortnight ten minutes are above it, so that one freak minute does not set
/// the scale of the whole trace.
pub const PEAK_QUANTILE: f64 = 0.9995;

/// How records become shards' worth of writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// The trace's [`PEAK_QUANTILE`] minute fills this many shards.
    Peak(ShardCount),
    /// The trace's values are records of this size, and a shard has its quota.
    Records { bytes_per_record: f64 },
}

/// Why a text is no scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scale; write peak=12shards: the 99.95th percentile minute then fills 12 shards")]
pub struct ScaleError(String);

impl Scale {
    /// How many of the trace's records one shard takes in a minute.
    pub(super) fn records_per_shard_minute(self, records: &[Option<f64>]) -> f64 {
        match self {
            Self::Peak(shards) => {
                let peak = quantile(records, PEAK_QUANTILE) / f64::from(shards.0);
                if peak > 0.0 { peak } else { 1.0 }
            }
            Self::Records { bytes_per_record } => 60.0 * SHARD_RECORDS.0.min(SHARD_BYTES.0 / bytes_per_record),
        }
    }
}

/// By nearest rank, of what is known.
fn quantile(records: &[Option<f64>], quantile: f64) -> f64 {
    let mut known: Vec<f64> = records.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let rank = (quantile * known.len() as f64).ceil() as usize;
    known.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

impl FromStr for Scale {
    type Err = ScaleError;

    /// Reads `peak=12shards` or `peak=12`.
    fn from_str(text: &str) -> Result<Self, ScaleError> {
        let count =
            text.trim().strip_prefix("peak=").map(|peak| peak.trim_end_matches("shards").trim_end_matches("shard"));
        match count.map(|count| count.trim().parse()) {
            Some(Ok(count @ 1..)) => Ok(Self::Peak(ShardCount(count))),
            _ => Err(ScaleError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_read_or_refused_with_an_example() {
        assert_eq!("peak=12shards".parse(), Ok(Scale::Peak(ShardCount(12))));
        assert_eq!("peak=1shard".parse(), Ok(Scale::Peak(ShardCount(1))));
        assert_eq!("peak=7".parse(), Ok(Scale::Peak(ShardCount(7))));
        for wrong in ["peak=0", "12", "peak=-1shards", "peak=many"] {
            let error = wrong.parse::<Scale>().expect_err("not a scale").to_string();
            assert!(error.contains("peak=12shards"), "{error}");
        }
    }

    #[test]
    fn large_records_fill_a_shard_by_their_bytes() {
        let per_minute = |bytes_per_record| Scale::Records { bytes_per_record }.records_per_shard_minute(&[]);
        assert_eq!(per_minute(100.0), 60_000.0);
        assert_eq!(per_minute(2.0 * 1024.0 * 1024.0), 30.0);
    }

    #[test]
    fn an_idle_trace_stays_idle_at_any_scale() {
        assert_eq!(Scale::Peak(ShardCount(12)).records_per_shard_minute(&[Some(0.0), None]), 1.0);
    }
}
