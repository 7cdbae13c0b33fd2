//! Values as people read them. What nobody read is `?`, never zero.

use std::fmt::Display;

use controlplane::{
    observe::Reading,
    units::{BytesPerSecond, RecordsPerSecond, TaskCount},
};
use jiff::{SignedDuration, Timestamp};

/// From this age on a value carries its age: twice the default tick.
const AGED: SignedDuration = SignedDuration::from_secs(30);

/// A reading with its unit, and its age where that is worth knowing.
pub(crate) fn reading<T: Display>(reading: Option<&Reading<T>>, now: Timestamp) -> String {
    let Some(reading) = reading else { return "?".to_owned() };
    let old = now.duration_since(reading.at);
    if old > AGED { format!("{} ({} ago)", reading.value, age(old)) } else { reading.value.to_string() }
}

/// A flow: records and bytes.
pub(crate) fn flow(
    records: Option<&Reading<RecordsPerSecond>>,
    bytes: Option<&Reading<BytesPerSecond>>,
    now: Timestamp,
) -> String {
    format!("{}, {}", reading(records, now), reading(bytes, now))
}

/// A count of tasks without its unit.
pub(crate) fn count(tasks: Option<&Reading<TaskCount>>) -> String {
    tasks.map_or_else(|| "?".to_owned(), |tasks| tasks.value.0.to_string())
}

/// An age in its largest unit. A clock that is a little behind is no age at all.
pub(crate) fn age(age: SignedDuration) -> String {
    match age.as_secs().max(0) {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3_600 => format!("{} min", seconds / 60),
        seconds @ ..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit_and_is_never_negative() {
        assert_eq!(age(SignedDuration::from_secs(-3)), "0 s");
        assert_eq!(age(SignedDuration::from_secs(59)), "59 s");
        assert_eq!(age(SignedDuration::from_secs(61)), "1 min");
        assert_eq!(age(SignedDuration::from_hours(49)), "2 d");
    }

    #[test]
    fn what_nobody_read_is_a_question_mark() {
        assert_eq!(reading::<u32>(None, Timestamp::UNIX_EPOCH), "?");
        assert_eq!(count(None), "?");
    }
}
