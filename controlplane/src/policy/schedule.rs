//! `[[schedule]]` and `[[guard.freeze]]`: what is known before it happens.

use jiff::Timestamp;

use super::{
    Direction,
    calendar::{Cron, Recurrence, Zone},
    section::section,
    sections::{SHARDS_MAX, TASKS_MAX},
};
use crate::units::{Millis, ShardCount, TaskCount};

const MINUTE: Millis = Millis(60_000);
const HOUR: Millis = Millis(3_600_000);
/// A month of 31 days.
const MONTH: Millis = Millis(31 * 24 * 3_600_000);

section! {
    /// `[[schedule]]`: a load that is known beforehand. Counts do not go below these floors while it lasts, and are
    /// raised early enough to be there when it begins.
    Schedule "schedule" needs ("name", "cron") {
        /// What reports call it.
        name: String = String::new();
        /// When it begins: minute, hour, day of month, month, day of week.
        cron: Cron = Cron::default();
        /// The time zone of `cron`.
        time_zone: Zone = Zone::default();
        /// How long it lasts.
        duration: Millis = HOUR, MINUTE => MONTH;
        /// At least this many shards, or "off".
        min_shards: Option<ShardCount> = None, Some(ShardCount(1)) => Some(SHARDS_MAX);
        /// At least this many producer tasks, or "off".
        min_producers: Option<TaskCount> = None, Some(TaskCount(1)) => Some(TASKS_MAX);
        /// At least this many consumer tasks, or "off".
        min_consumers: Option<TaskCount> = None, Some(TaskCount(1)) => Some(TASKS_MAX);
    }
}

impl Schedule {
    /// When it ends, if it is under way.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Option<Timestamp> {
        self.recurrence().current(now)
    }

    /// When it begins the next time.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.recurrence().next(now)
    }

    fn recurrence(&self) -> Recurrence<'_> {
        Recurrence { cron: &self.cron, zone: &self.time_zone, duration: self.duration }
    }
}

section! {
    /// `[[guard.freeze]]`: a time in which counts are left alone, either from each match of `cron` for `duration`, or
    /// between `from` and `to`.
    Freeze "guard.freeze" needs ("name") {
        /// What reports call it.
        name: String = String::new();
        /// Which changes it forbids: "up", "down" or "all".
        direction: Direction = Direction::All;
        /// When it begins: minute, hour, day of month, month, day of week, or "off".
        cron: Option<Cron> = None;
        /// The time zone of `cron`.
        time_zone: Zone = Zone::default();
        /// How long it lasts after each match of `cron`.
        duration: Millis = HOUR, MINUTE => MONTH;
        /// When it begins, where it comes only once, or "off".
        from: Option<Timestamp> = None;
        /// When it ends, where it comes only once, or "off".
        to: Option<Timestamp> = None;
    }
}

impl Freeze {
    /// When it ends, if it is in force.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Option<Timestamp> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return (from <= now && now < to).then_some(to);
        }
        let cron = self.cron.as_ref()?;
        Recurrence { cron, zone: &self.time_zone, duration: self.duration }.current(now)
    }

    #[must_use]
    pub fn forbids(&self, direction: Direction) -> bool {
        self.direction == Direction::All || self.direction == direction
    }
}
