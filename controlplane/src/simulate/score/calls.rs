//! How often the shard count was changed, and to what effect.

use super::super::{Call, Minute};

const DAY_S: u32 = 24 * 3_600;
const HOUR_S: u32 = 3_600;

/// Throttling below this share is noise.
const THROTTLED: f64 = 0.01;

/// Minutes before and after a step up that tell whether it helped, and the time that it may take.
const LOOK: usize = 5;
const LEAD: usize = 5;

/// Changes that AWS took, or may have taken.
pub(super) fn changes(minutes: &[Minute]) -> Vec<&Call> {
    reshards(minutes).filter(|call| call.error.as_deref().is_none_or(|error| error == "Unknown")).collect()
}

pub(super) fn refused(minutes: &[Minute]) -> usize {
    reshards(minutes).filter(|call| call.error.as_deref().is_some_and(|error| error != "Unknown")).count()
}

fn reshards(minutes: &[Minute]) -> impl Iterator<Item = &Call> {
    minutes.iter().flat_map(|minute| &minute.actions).filter(|call| call.call.reshards())
}

pub(super) fn most_in_a_day(changes: &[&Call]) -> usize {
    let within = |(index, last): (usize, &&Call)| {
        let first = changes[..=index].partition_point(|call| call.at_s + DAY_S <= last.at_s);
        index + 1 - first
    };
    changes.iter().enumerate().map(within).max().unwrap_or_default()
}

pub(super) fn reversals(changes: &[&Call]) -> usize {
    let turned = |pair: &&[&Call]| {
        let up = |call: &Call| call.to > call.from;
        up(pair[0]) != up(pair[1]) && pair[1].at_s - pair[0].at_s < HOUR_S
    };
    changes.windows(2).filter(turned).count()
}

pub(super) fn ineffective(minutes: &[Minute], changes: &[&Call]) -> usize {
    let throttled = |from: usize, to: usize| {
        let minutes = minutes.get(from.min(minutes.len())..to.min(minutes.len())).unwrap_or_default();
        let records: f64 = minutes.iter().map(|minute| minute.records).sum();
        let throttled: f64 = minutes.iter().map(|minute| minute.throttled_records).sum();
        throttled / records.max(f64::MIN_POSITIVE)
    };
    let no_help = |call: &&&Call| {
        let minute = (call.at_s / 60) as usize;
        let before = throttled(minute.saturating_sub(LOOK), minute);
        let after = throttled(minute + LEAD, minute + LEAD + LOOK);
        call.to > call.from && before > THROTTLED && after >= before
    };
    changes.iter().filter(no_help).count()
}

#[cfg(test)]
mod tests {
    use super::{super::super::CallKind, *};

    fn call(hour: f64, from: u32, to: u32) -> Call {
        Call { at_s: (hour * 3600.0) as u32, call: CallKind::UpdateShardCount, from, to, error: None }
    }

    #[test]
    fn the_busiest_day_may_begin_at_any_call() {
        let calls = [0.0, 20.0, 23.0, 24.0, 43.0].map(|hour| call(hour, 1, 2));
        assert_eq!(most_in_a_day(&calls.iter().collect::<Vec<_>>()), 4, "20 to 43; the one at 0 is a day before 24");
        assert_eq!(most_in_a_day(&[]), 0);
    }

    #[test]
    fn a_turn_within_an_hour_is_a_reversal() {
        let calls = [call(0.0, 2, 4), call(0.9, 4, 2), call(2.0, 2, 4), call(2.1, 4, 8)];
        assert_eq!(reversals(&calls.iter().collect::<Vec<_>>()), 1);
    }

    #[test]
    fn a_step_up_that_leaves_as_much_throttled_did_not_help() {
        let minute = |throttled_records| Minute { records: 100.0, throttled_records, ..Minute::default() };
        let minutes: Vec<_> = (0..60).map(|at| minute(if at < 30 { 10.0 } else { 0.0 })).collect();
        let calls = [call(10.0 / 60.0, 2, 4), call(26.0 / 60.0, 4, 8)];
        assert_eq!(ineffective(&minutes, &calls.iter().collect::<Vec<_>>()), 1);
    }
}
