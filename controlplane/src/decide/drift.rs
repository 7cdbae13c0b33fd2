//! Counts that somebody else has changed: seen, said, and put right twice an hour at most. Two who undo each other's work
//! without end are worse than one wrong count that is known.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Input,
    history::{Track, after, elapsed},
    input,
    steer::{Hold, Wish},
};
use crate::units::Millis;

/// How often within [`WINDOW`] a count that somebody else has changed is put right.
const CORRECTIONS: usize = 2;

const WINDOW: Millis = Millis(3_600_000);

/// How long AWS may still show a count of before our last call.
const GRACE: Millis = Millis(60_000);

/// What is known about who changed a count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Owned {
    /// What our last call asked for, or what was there when we first looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u32>,
    /// What there was before our last call, until what was asked for is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// A change of somebody else that is not answered yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// When such a change was put right, within the last hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Timestamp>,
}

/// A count and when it was still right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Before {
    pub count: u32,
    pub at: Timestamp,
}

/// A change that we did not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    pub at: Timestamp,
    pub from: u32,
    pub to: u32,
}

impl Owned {
    /// Compares what is there with what should be.
    pub(super) fn look(&mut self, count: u32, now: Timestamp) {
        self.corrections.retain(|at| elapsed(*at, now) < WINDOW);
        self.drift = self.drift.filter(|drift| drift.from != count && elapsed(drift.at, now) < WINDOW);
        let expected = *self.expected.get_or_insert(count);
        if count == expected {
            self.before = None;
            return;
        }
        match self.before {
            Some(before) if before.count == count && elapsed(before.at, now) < GRACE => return,
            // What we asked for was never seen: our call was not heard.
            Some(before) if before.count == count => {}
            _ => self.drift = Some(Drift { at: now, from: expected, to: count }),
        }
        (self.expected, self.before) = (Some(count), None);
    }

    /// Remembers a call of ours.
    pub(super) fn asked(&mut self, from: u32, to: u32, at: Timestamp) {
        (self.expected, self.before) = (Some(to), Some(Before { count: from, at }));
        if self.drift.take().is_some_and(|drift| (drift.from > drift.to) == (to > from)) {
            self.corrections.push(at);
        }
    }

    /// The same for a split or a merge, which change the count by one.
    pub(super) fn asked_one(&mut self, up: bool, at: Timestamp) {
        if let Some(count) = self.expected {
            self.asked(count, if up { count + 1 } else { count.saturating_sub(1) }, at);
        }
    }

    /// The wish, at least what was needed before somebody took it away; and whether that is so. More than is needed counts
    /// as asked for when somebody has just added it: it goes with the window.
    pub(super) fn answer(
        &self,
        mut wish: Wish,
        track: &Track,
        inputs: &mut Vec<Input>,
        now: Timestamp,
    ) -> (Wish, bool) {
        let Some(Drift { from, to, at }) = self.drift else { return (wish, false) };
        inputs.push(input("changed by somebody else", &format!("{from} to {to} at {at:.0}")));
        if to > from && at == now {
            wish.down = wish.down.max(to);
        }
        let needed = track.asked.back().map_or(0, |asked| asked.count).min(from);
        if to > from || needed <= wish.up {
            return (wish, false);
        }
        let why = format!("somebody else changed {from} to {to}, and {needed} were needed");
        (Wish { up: needed, down: wish.down.max(needed), why }, true)
    }

    /// Why another correction in this direction must wait.
    pub(super) fn hold(&self, up: bool) -> Option<Hold> {
        let Drift { from, to, .. } = self.drift.filter(|drift| (drift.from > drift.to) == up)?;
        let oldest = *self.corrections.len().checked_sub(CORRECTIONS).and_then(|index| self.corrections.get(index))?;
        let reason =
            format!("somebody else changed {from} to {to}, and that was put right {CORRECTIONS} times in an hour");
        Some(Hold { reason, until: Some(after(oldest, WINDOW)) })
    }
}
