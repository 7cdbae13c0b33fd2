//! Who is compared: anything that looks at the world and answers with calls.

use jiff::Timestamp;

use super::Metrics;
use crate::{
    decide::{Action, Outcome},
    observe::Observation,
};

/// An autoscaler in the simulated world.
pub trait Contender: Send {
    /// As tables and JSON name it.
    fn name(&self) -> &str;

    /// How it wants the world to begin.
    fn setup(&self) -> Setup {
        Setup::default()
    }

    /// Looks and answers with calls, which are made at once, in order.
    fn tick(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) -> Vec<Action>;

    /// What became of a call.
    fn note(&mut self, _outcome: &Outcome) {}

    /// The controller is started anew: it knows what `ledger` has, the calls of UpdateShardCount, the oldest first.
    fn restart(&mut self, _ledger: &[Timestamp], _now: Timestamp) {}
}

/// What a contender begins with; where it says nothing the physics decide.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Setup {
    /// Seconds between two looks.
    pub period_s: Option<u32>,
    pub shards: Option<u32>,
    pub producers: Option<u32>,
    pub consumers: Option<u32>,
    /// AWS owns the shard count.
    pub on_demand: bool,
    /// Whether consumers poll, so that `GetRecords.*` exist.
    pub polls: Option<bool>,
}
