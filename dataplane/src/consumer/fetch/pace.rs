//! How often and for how much a shard is asked. Pure.
//!
//! A shard answers five GetRecords a second, to all its readers together, and two megabytes a second (Kinesis,
//! "Quotas and limits"). Who else reads is not known: refusals say that somebody does.

use std::time::Duration;

/// The pause while there is something to read: it leaves one of the five calls to others.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// The pause at a shard that has nothing.
const PAUSE_IDLE: Duration = Duration::from_secs(1);

/// The longest pause at a shard that refuses.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// What a pause that refusals made longer gets shorter by with each answer.
const RELIEF: Duration = Duration::from_millis(50);

const BYTES_PER_SECOND: usize = 2 << 20;

/// The most records of one answer.
const RECORDS_MAX: usize = 10_000;

/// The most bytes of one answer.
const ANSWER_BYTES_MAX: usize = 10 << 20;

/// What a record is taken to weigh before one was seen.
const RECORD_BYTES: usize = 4 << 10;

/// The pace of one shard.
#[derive(Debug)]
pub(super) struct Pace {
    /// Grows with refusals, shrinks with answers.
    contended: Duration,
    idle: Duration,
    /// Of the last records.
    record_bytes: usize,
}

/// What an answer brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// Whether there was nothing more to read.
    pub(super) caught_up: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { contended: PAUSE_MIN, idle: PAUSE_MIN, record_bytes: RECORD_BYTES }
    }

    /// The pause after an answer, from the call to the next call.
    pub(super) fn after(&mut self, answer: Answered) -> Duration {
        self.contended = self.contended.saturating_sub(RELIEF).max(PAUSE_MIN);
        let empty = answer.records == 0;
        self.idle = if empty && answer.caught_up { (self.idle * 2).min(PAUSE_IDLE) } else { PAUSE_MIN };
        if !empty {
            self.record_bytes = (answer.bytes / answer.records).max(1);
        }
        let paid = Duration::from_secs_f64(answer.bytes as f64 / BYTES_PER_SECOND as f64);
        self.contended.max(self.idle).max(paid)
    }

    /// The pause after a call that was refused because the shard is asked too often.
    pub(super) fn refused(&mut self) -> Duration {
        self.contended = (self.contended * 2).min(PAUSE_MAX);
        self.contended
    }

    /// How many records to ask for, so that about `bytes` come, and the bytes to expect.
    pub(super) fn ask(&self, bytes: usize) -> (usize, usize) {
        let records = (bytes.min(ANSWER_BYTES_MAX) / self.record_bytes).clamp(1, RECORDS_MAX);
        (records, records * self.record_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Answered = Answered { records: 0, bytes: 0, caught_up: true };
    const SOME: Answered = Answered { records: 10, bytes: 10_000, caught_up: false };

    #[test]
    fn an_idle_shard_is_asked_less_and_less_often_and_a_busy_one_at_once_often_again() {
        let mut pace = Pace::new();
        let idle: Vec<_> = (0..4).map(|_| pace.after(NOTHING).as_millis()).collect();
        assert_eq!(idle, [500, 1000, 1000, 1000]);
        assert_eq!(pace.after(SOME), PAUSE_MIN);
    }

    #[test]
    fn refusals_make_room_for_other_readers_and_answers_take_it_back_slowly() {
        let mut pace = Pace::new();
        let refused: Vec<_> = (0..6).map(|_| pace.refused().as_millis()).collect();
        assert_eq!(refused, [500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(pace.after(SOME), PAUSE_MAX - RELIEF);
        for _ in 0..100 {
            pace.after(SOME);
        }
        assert_eq!(pace.after(SOME), PAUSE_MIN);
    }

    #[test]
    fn a_large_answer_is_paid_for_before_the_next_is_asked() {
        let large = Answered { records: 10, bytes: 10 << 20, caught_up: false };
        assert_eq!(Pace::new().after(large), Duration::from_secs(5));
    }

    #[test]
    fn as_many_records_are_asked_for_as_fit_judging_by_the_last() {
        let mut pace = Pace::new();
        assert_eq!(pace.ask(1 << 20), (256, 1 << 20));
        pace.after(Answered { records: 100, bytes: 100 * 100_000, caught_up: false });
        assert_eq!(pace.ask(1 << 20), (10, 1_000_000));
        assert_eq!(pace.ask(1000), (1, 100_000));
        pace.after(Answered { records: 100, bytes: 1000, caught_up: false });
        assert_eq!(pace.ask(1 << 20).0, RECORDS_MAX);
    }
}
