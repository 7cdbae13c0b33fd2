//! The time of day: what a stream took at the same time of the last two days is a fair guess at what it takes today.
//!
//! The guess may only raise a floor early, and shorten the wait before going down where both days say that little comes.
//! It needs two whole days: one alone may have been an exception.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::floors::Floor;
use crate::units::Millis;

/// Length of a slot of the day: short enough for a rise at a quarter past, long enough to be small to store.
const SLOT_S: i64 = 15 * 60;
const SLOTS_A_DAY: i64 = 96;
/// Two days back, and the next hours of the third.
const SLOTS: i64 = 3 * SLOTS_A_DAY;

/// How full the floor's shards may be: the highest moment of a quarter of an hour on both days.
const FULL: f64 = 0.95;

/// How long before its slot a floor counts: two steps of the shard count, each up to two minutes.
const LEAD_S: i64 = 4 * 60;

/// Less growth than this is a quarter of an hour's own ripple.
const RISE: f64 = 1.3;

/// How far a step down looks ahead: a step up soon after it would cost two calls for little.
const AHEAD_S: i64 = 90 * 60;

/// Where both days say that little comes, a low load counts after this time.
const SURE_AFTER: Millis = Millis(10 * 60_000);

/// Levels of a demand: each is a twentieth more than the one below.
const LEVELS_PER_LN: f64 = 20.0;
const FINEST: f64 = 0.05;

/// The highest demand of each slot of the last days, in shards.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Season {
    /// The newest slot, counted from 1970.
    newest: i64,
    /// By slot modulo [`SLOTS`]: 0 where nothing is known, else 1 and the level.
    levels: Vec<u8>,
}

/// What the season says about a step down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ahead {
    /// The highest demand of both days in the next time, each slot by the lower of the two days.
    pub(super) least: f64,
    /// The same by the higher of the two days.
    pub(super) most: f64,
}

impl Season {
    /// Notes a demand in shards.
    pub(super) fn note(&mut self, demand: f64, now: Timestamp) {
        let slot = slot(now);
        if self.levels.len() != SLOTS as usize || slot < self.newest || slot - self.newest >= SLOTS {
            *self = Self { newest: slot, levels: vec![0; SLOTS as usize] };
        }
        for skipped in self.newest + 1..=slot {
            self.levels[index(skipped)] = 0;
        }
        self.newest = slot;
        let level = &mut self.levels[index(slot)];
        *level = (*level).max(coded(demand));
    }

    /// What both days had between now and a later time; nothing where a slot of one of them is not known.
    fn ahead(&self, now: Timestamp, seconds: i64) -> Option<Ahead> {
        let (first, last) = (slot(now), (now.as_second() + seconds).div_euclid(SLOT_S));
        let mut ahead = Ahead { least: 0.0, most: 0.0 };
        for slot in first..=last {
            let (one, other) = (self.level(slot - SLOTS_A_DAY)?, self.level(slot - 2 * SLOTS_A_DAY)?);
            ahead.least = ahead.least.max(one.min(other));
            ahead.most = ahead.most.max(one.max(other));
        }
        Some(ahead)
    }

    fn level(&self, slot: i64) -> Option<f64> {
        let known = slot <= self.newest && self.newest - slot < SLOTS;
        let level = *self.levels.get(index(slot)).filter(|_| known)?;
        (level > 0).then(|| decoded(level))
    }

    /// The floor that the next minutes ask for.
    pub(super) fn floor(&self, now: Timestamp) -> Option<Floor> {
        let ahead = self.ahead(now, LEAD_S)?;
        let count = super::demand::whole(ahead.least / FULL);
        Some(Floor { count, name: "the same time of the last two days".to_owned() })
    }

    /// The highest demand of the last 24 hours, as far as it is known.
    pub(super) fn highest_of_a_day(&self, now: Timestamp) -> Option<f64> {
        let last = slot(now);
        let first = last - SLOTS_A_DAY;
        (first..=last).filter_map(|slot| self.level(slot)).reduce(f64::max)
    }

    /// By which factor both days rose from now to the next minutes; 1 where they did not, or are not known.
    pub(super) fn growth(&self, now: Timestamp) -> f64 {
        let (Some(here), Some(ahead)) = (self.ahead(now, 0), self.ahead(now, LEAD_S)) else { return 1.0 };
        let growth = ahead.least / here.most.max(FINEST);
        if growth > RISE { growth } else { 1.0 }
    }

    /// What a step down should leave, and how long a low load must have lasted: `window`, or less where both days say
    /// that little comes.
    pub(super) fn down(&self, down: u32, target: f64, window: Millis, now: Timestamp) -> (u32, Millis) {
        let Some(ahead) = self.ahead(now, AHEAD_S) else { return (down, window) };
        let kept = super::demand::whole(ahead.least / FULL);
        let sure = super::demand::whole(ahead.most / target) <= down.max(kept);
        (down.max(kept), if sure { window.min(SURE_AFTER) } else { window })
    }
}

fn slot(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SLOT_S)
}

fn index(slot: i64) -> usize {
    slot.rem_euclid(SLOTS) as usize
}

fn coded(demand: f64) -> u8 {
    1 + (LEVELS_PER_LN * (1.0 + demand.max(0.0) / FINEST).ln()).ceil().clamp(0.0, 254.0) as u8
}

fn decoded(level: u8) -> f64 {
    ((f64::from(level - 1) / LEVELS_PER_LN).exp() - 1.0) * FINEST
}

/// As text: the newest slot, and two hexadecimal digits for each slot from the oldest on.
impl Serialize for Season {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = format!("{}:", self.newest);
        if !self.levels.is_empty() {
            (self.newest - SLOTS + 1..=self.newest)
                .for_each(|slot| text.push_str(&format!("{:02x}", self.levels[index(slot)])));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Season {
    /// What cannot be read is forgotten: two days teach it again.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(read(&text).unwrap_or_default())
    }
}

fn read(text: &str) -> Option<Season> {
    let (newest, digits) = text.split_once(':')?;
    let newest: i64 = newest.parse().ok()?;
    if digits.len() != 2 * SLOTS as usize || !digits.is_ascii() {
        return None;
    }
    let mut levels = vec![0; SLOTS as usize];
    for (offset, slot) in (newest.checked_sub(SLOTS)? + 1..=newest).enumerate() {
        levels[index(slot)] = u8::from_str_radix(&digits[2 * offset..2 * offset + 2], 16).ok()?;
    }
    Some(Season { newest, levels })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const DAY_S: i64 = SLOTS_A_DAY * SLOT_S;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    /// Days with six shards from 09:00 to 17:00, and one otherwise, but for `quiet` ones.
    fn season(days: i64, quiet: &[i64]) -> Season {
        let mut season = Season::default();
        for minute in 0..days * 1440 {
            let (day, hour) = (minute / 1440, minute / 60 % 24);
            let busy = (9..17).contains(&hour) && !quiet.contains(&day);
            season.note(if busy { 6.0 } else { 1.0 }, at(minute * 60));
        }
        season
    }

    #[test]
    fn the_floor_rises_shortly_before_what_both_days_had() {
        let season = season(2, &[]);
        let floor = |hour: f64| season.floor(at(2 * DAY_S + (hour * 3600.0) as i64)).map(|floor| floor.count);
        assert_eq!([floor(8.9), floor(8.95), floor(16.9), floor(17.0)], [Some(2), Some(7), Some(7), Some(2)]);
    }

    #[test]
    fn a_rise_is_foreseen_by_its_factor_and_only_shortly_before() {
        let season = season(2, &[]);
        let growth = |hour: f64| season.growth(at(2 * DAY_S + (hour * 3600.0) as i64));
        assert_eq!([growth(8.9), growth(9.0), growth(16.95)], [1.0, 1.0, 1.0]);
        assert!((5.0..7.0).contains(&growth(8.95)), "{}", growth(8.95));
    }

    #[test]
    fn one_day_alone_says_nothing_and_an_exception_is_none_of_its_business() {
        assert_eq!(season(1, &[]).floor(at(DAY_S)), None);
        let noon = 2 * DAY_S + 12 * 3600;
        assert_eq!(season(2, &[1]).floor(at(noon)).map(|floor| floor.count), Some(2));
    }

    #[test]
    fn a_step_down_leaves_what_is_needed_soon_and_waits_less_where_both_days_agree() {
        let season = season(2, &[]);
        let hour = Millis(3_600_000);
        assert_eq!(season.down(2, 0.7, hour, at(2 * DAY_S + 8 * 3600)), (7, hour));
        assert_eq!(season.down(2, 0.7, hour, at(2 * DAY_S + 18 * 3600)), (2, SURE_AFTER));
        assert_eq!(season.down(2, 0.7, hour, at(5 * DAY_S)), (2, hour));
    }

    #[test]
    fn it_outlives_its_leader() {
        let season = season(2, &[0]);
        let text = serde_json::to_string(&season).unwrap();
        assert_eq!(serde_json::from_str::<Season>(&text).unwrap(), season);
        assert_eq!(serde_json::from_str::<Season>("\"12:zz\"").unwrap(), Season::default());
    }

    #[test]
    fn levels_are_within_a_twentieth_from_a_tenth_of_a_shard_to_ten_thousand() {
        for demand in [0.1, 0.7, 1.0, 12.0, 300.0, 9_000.0] {
            let known = decoded(coded(demand));
            assert!(known >= demand && known <= demand * 1.09, "{demand}: {known}");
        }
    }
}
