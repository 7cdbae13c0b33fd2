//! Whether steps up help. Flink's autoscaler asks the same: a step that brings less than a tenth of what it should was
//! not the remedy, and more of it is not either.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    history::{after, elapsed},
    steer::Hold,
};
use crate::units::Millis;

/// The least part of the expected gain that a step must bring (Flink: scaling effectiveness threshold).
const HELPFUL: f64 = 0.1;

/// How many useless steps are enough.
const ENOUGH: u32 = 2;

/// How long after a step has settled its effect is judged: reports average over ten seconds, and leases move.
const JUDGED_AFTER: Millis = Millis(30_000);

/// After this long another step is tried.
const RETRY: Millis = Millis(30 * 60_000);

/// A change of the rate by this share means that something else has changed.
const OTHER_RATE: f64 = 0.25;

/// What the last steps up have brought.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Effect {
    pub trial: Option<Trial>,
    /// Steps in a row that brought nothing.
    pub useless: u32,
    /// The rate after the last of them, and when it was judged.
    pub judged: Option<(f64, Timestamp)>,
}

/// A step up whose effect is not judged yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub from: u32,
    pub to: u32,
    /// What was achieved before.
    pub rate: f64,
    pub settled_at: Option<Timestamp>,
}

/// What a tick sees of the effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) count: u32,
    /// What is achieved: records processed, bytes taken.
    pub(super) rate: f64,
    /// Whether more is wanted than is achieved: only then can a step show what it brings.
    pub(super) short: bool,
    /// Whether the last change is through.
    pub(super) settled: bool,
}

impl Effect {
    /// Judges the last step as soon as it can be.
    pub(super) fn look(&mut self, sight: Sight, now: Timestamp) {
        let changed = self
            .judged
            .is_some_and(|(rate, at)| (sight.rate - rate).abs() > rate * OTHER_RATE || elapsed(at, now) >= RETRY);
        if !sight.short || changed {
            *self = Self::default();
            return;
        }
        let Some(trial) = self.trial.as_mut().filter(|trial| sight.settled && sight.count >= trial.to) else { return };
        let settled_at = *trial.settled_at.get_or_insert(now);
        if elapsed(settled_at, now) >= JUDGED_AFTER {
            self.judge(sight.rate, now);
        }
    }

    fn judge(&mut self, rate: f64, now: Timestamp) {
        let Some(trial) = self.trial.take() else { return };
        let expected = trial.rate * (f64::from(trial.to) / f64::from(trial.from.max(1)) - 1.0);
        self.useless = if rate - trial.rate < expected * HELPFUL { self.useless + 1 } else { 0 };
        self.judged = (self.useless > 0).then_some((rate, now));
    }

    /// Remembers a step up that begins now.
    pub(super) fn begin(&mut self, from: u32, to: u32, sight: Sight, now: Timestamp) {
        if self.trial.as_ref().is_some_and(|trial| sight.count >= trial.to) {
            self.judge(sight.rate, now);
        }
        self.trial = (sight.short && to > from).then_some(Trial { from, to, rate: sight.rate, settled_at: None });
    }

    /// Why no further step is taken.
    pub(super) fn hold(&self, cause: &str) -> Option<Hold> {
        let (_, at) = self.judged?;
        if self.useless >= ENOUGH {
            let reason = format!("the last {} steps up brought nothing: {cause}", self.useless);
            return Some(Hold { reason, until: Some(after(at, RETRY)) });
        }
        self.trial.as_ref().map(|_| Hold::new("what the last step up brings is not seen yet"))
    }
}
