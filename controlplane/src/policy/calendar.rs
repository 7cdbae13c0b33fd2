//! When something recurs: cron expressions in a time zone.

use std::cmp::Ordering;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::{
    SignedDuration, Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::value::Value;
use crate::units::Millis;

/// Five fields that say when something begins. They are matched against the wall clock of a [`Zone`].
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    /// In UTC, which here stands for the wall clock of any zone.
    fields: Crontab,
}

impl Cron {
    fn parse(text: &str) -> Option<Self> {
        // A sixth field would be a time zone, which has a key of its own.
        let five = text.split_whitespace().count() == 5;
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let fields = cronexpr::parse_crontab_with(text, options).ok().filter(|_| five)?;
        Some(Self { text: text.to_owned(), fields })
    }
}

impl Default for Cron {
    /// Midnight.
    fn default() -> Self {
        Self::parse("0 0 * * *").expect("five fields")
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialOrd for Cron {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.text.partial_cmp(&other.text)
    }
}

impl Value for Cron {
    const EXPECTED: &'static str =
        "five fields (minute, hour, day of month, month, day of week) such as \"30 7 * * MON-FRI\"";
    const PATTERN: &'static str = r"^\s*\S+(\s+\S+){4}\s*$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        Self::parse(value.as_str()?)
    }

    fn write(&self) -> String {
        self.text.write()
    }
}

/// A time zone by its IANA name. Its rules come with the program, so that they are the same everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.name().partial_cmp(other.name())
    }
}

impl Value for Zone {
    const EXPECTED: &'static str = "the IANA name of a time zone such as \"Europe/Berlin\", or \"UTC\"";
    const PATTERN: &'static str = "^[A-Za-z0-9_+/-]+$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let name = value.as_str()?;
        if name == "UTC" {
            return Some(Self::default());
        }
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    fn write(&self) -> String {
        self.name().to_owned().write()
    }
}

impl Value for Timestamp {
    const EXPECTED: &'static str = "a time with its offset such as 2026-11-27T00:00:00Z";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Datetime(time) => time.to_string().parse().ok(),
            DeValue::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn schema(_: Option<&(Self, Self)>) -> Json {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// Spans of equal length that begin when a cron expression says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recurrence<'a> {
    pub(super) cron: &'a Cron,
    pub(super) zone: &'a Zone,
    pub(super) duration: Millis,
}

impl Recurrence<'_> {
    /// The end of the span that `now` lies in.
    pub(super) fn current(&self, now: Timestamp) -> Option<Timestamp> {
        let duration = SignedDuration::from_millis(i64::try_from(self.duration.0).ok()?);
        let start = self.next(now.checked_sub(duration).ok()?).filter(|start| *start <= now)?;
        start.checked_add(duration).ok()
    }

    /// When the next span begins, after `at`. Where the clocks skip that time it begins as much later, and where they pass
    /// it twice it begins the first time.
    pub(super) fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let on_the_wall = at.to_zoned(self.zone.0.clone()).datetime().to_zoned(TimeZone::UTC).ok()?;
        let next = self.cron.fields.find_next(MakeTimestamp(on_the_wall.timestamp())).ok()?;
        let start = self.zone.0.to_ambiguous_zoned(next.datetime()).compatible().ok()?;
        Some(start.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin(cron: &str, hours: u64) -> (Cron, Zone, Millis) {
        let zone = Zone(TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap());
        (Cron::parse(cron).unwrap(), zone, Millis(hours * 3_600_000))
    }

    fn of((cron, zone, duration): &(Cron, Zone, Millis)) -> Recurrence<'_> {
        Recurrence { cron, zone, duration: *duration }
    }

    #[test]
    fn a_span_follows_the_wall_clock_through_summer_and_winter() {
        let office = berlin("0 8 * * MON-FRI", 10);
        assert_eq!(of(&office).next(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T06:00:00Z")));
        assert_eq!(of(&office).next(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T07:00:00Z")));
    }

    #[test]
    fn a_span_ends_exactly_when_its_time_is_over() {
        let office = berlin("0 8 * * *", 1);
        assert_eq!(of(&office).current(at("2026-12-01T06:59:59Z")), None);
        assert_eq!(of(&office).current(at("2026-12-01T07:00:00Z")), Some(at("2026-12-01T08:00:00Z")));
        assert_eq!(of(&office).current(at("2026-12-01T07:59:59Z")), Some(at("2026-12-01T08:00:00Z")));
        assert_eq!(of(&office).current(at("2026-12-01T08:00:00Z")), None);
    }

    #[test]
    fn a_time_that_the_clocks_skip_begins_as_much_later() {
        let night = berlin("30 2 * * *", 1);
        assert_eq!(of(&night).next(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn a_day_that_never_comes_is_no_day() {
        let never = berlin("0 0 30 2 *", 1);
        assert_eq!(of(&never).next(at("2026-01-01T00:00:00Z")), None);
    }
}
