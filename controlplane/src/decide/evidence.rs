//! What must be seen more than once before a single shard is changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::elapsed;
use crate::units::Millis;

/// Of how many minutes how many must be hot: a burst is shorter, and a scaler that waits longer is late.
const MINUTES: i64 = 5;
pub(super) const MINUTES_NEEDED: usize = 3;

/// A shard that was hot lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heat {
    pub shard_id: String,
    /// The minutes since 1970 in which it was hot, of the last five.
    pub minutes: Vec<i64>,
    /// Since when it refuses writes.
    pub refusing_since: Option<Timestamp>,
}

/// Two neighbours that have little to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdPair {
    pub lower: String,
    pub upper: String,
    pub since: Timestamp,
}

/// A shard that is hot in this tick.
pub(super) struct Hot<'a> {
    pub(super) shard_id: &'a str,
    pub(super) refuses: bool,
}

/// Adds what this tick saw and forgets what is older than five minutes.
pub(super) fn heat(heats: &mut Vec<Heat>, hot: &[Hot<'_>], now: Timestamp) {
    let minute = now.as_second().div_euclid(60);
    for heat in heats.iter_mut() {
        let seen = hot.iter().find(|hot| hot.shard_id == heat.shard_id);
        if !seen.is_some_and(|hot| hot.refuses) {
            heat.refusing_since = None;
        }
        heat.minutes.retain(|past| minute - past < MINUTES && *past <= minute);
    }
    for Hot { shard_id, refuses } in hot {
        let index = heats.iter().position(|heat| heat.shard_id == *shard_id).unwrap_or_else(|| {
            let shard_id = (*shard_id).to_owned();
            heats.push(Heat { shard_id, minutes: Vec::new(), refusing_since: None });
            heats.len() - 1
        });
        let heat = &mut heats[index];
        if heat.minutes.last() != Some(&minute) {
            heat.minutes.push(minute);
        }
        if *refuses {
            heat.refusing_since = heat.refusing_since.or(Some(now));
        }
    }
    heats.retain(|heat| !heat.minutes.is_empty());
}

/// Whether a shard was hot in enough minutes, or has refused writes for `confirm`.
pub(super) fn is_proven(heats: &[Heat], shard_id: &str, confirm: Millis, now: Timestamp) -> bool {
    heats.iter().any(|heat| {
        let refusing = heat.refusing_since.is_some_and(|since| elapsed(since, now) >= confirm);
        heat.shard_id == shard_id && (refusing || heat.minutes.len() >= MINUTES_NEEDED)
    })
}
