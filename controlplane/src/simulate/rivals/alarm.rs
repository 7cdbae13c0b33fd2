//! CloudWatch alarms that call a Lambda function through SNS.
//!
//! An alarm acts when its state becomes ALARM, not while it stays there. A function that fails is repeated twice by
//! Lambda, after one minute and after two more (AWS Lambda developer guide, asynchronous invocation). To act again an
//! alarm must leave ALARM first: by itself, or because the function sets it to INSUFFICIENT_DATA.

use jiff::{SignedDuration, Timestamp};

/// Time until Lambda repeats a failed function, by how often it failed.
const REPEATS: [SignedDuration; 2] = [SignedDuration::from_mins(1), SignedDuration::from_mins(2)];

/// An alarm with its function.
#[derive(Debug, Clone, Default)]
pub(super) struct Alarm {
    in_alarm: bool,
    failures: usize,
    repeat_at: Option<Timestamp>,
}

impl Alarm {
    /// Whether the function runs now, as the alarm's condition holds or not.
    pub(super) fn fires(&mut self, breaching: bool, now: Timestamp) -> bool {
        let became = breaching && !self.in_alarm;
        self.in_alarm = breaching;
        if became {
            (self.failures, self.repeat_at) = (0, None);
        }
        became || self.repeat_at.take_if(|at| *at <= now).is_some()
    }

    /// The function failed.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.repeat_at = REPEATS.get(self.failures).map(|wait| now + *wait);
        self.failures += 1;
    }

    /// Out of ALARM, to be judged anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Alarms are judged once a minute: true at the first look of each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EveryMinute(Option<i64>);

impl EveryMinute {
    pub(super) fn due(&mut self, now: Timestamp) -> bool {
        let minute = now.as_second().div_euclid(60);
        self.0.replace(minute) != Some(minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    #[test]
    fn an_alarm_acts_once_until_it_is_reset_or_leaves_the_state() {
        let mut alarm = Alarm::default();
        let fired: Vec<bool> = [true, true, false, true]
            .into_iter()
            .zip(0..)
            .map(|(breaching, minute)| alarm.fires(breaching, at(minute)))
            .collect();
        assert_eq!(fired, [true, false, false, true]);
        alarm.reset();
        assert!(alarm.fires(true, at(4)));
    }

    #[test]
    fn a_failed_function_is_repeated_twice() {
        let mut alarm = Alarm::default();
        let mut runs = Vec::new();
        for minute in 0..30 {
            if alarm.fires(true, at(minute)) {
                runs.push(minute);
                alarm.failed(at(minute));
            }
        }
        assert_eq!(runs, [0, 1, 3]);
    }
}
