//! What `decide` must remember from one tick to the next. A plain value: the shell keeps it, tests write it down.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Action, ActionResult, Clients, Decision, Level, Memory, Outcome, Service,
    clients::Held,
    demand::Demand,
    effect::Effect,
    evidence::{ColdPair, Heat},
};
use crate::{
    limits::{LIMIT_BACKOFF, REFUSAL_BACKOFF, RESHARD_WINDOW},
    observe::LoadObservation,
    units::{BytesPerSecond, Millis},
};

/// The memory of one pipeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    pub shards: Track,
    pub producers: Track,
    pub consumers: Track,
    /// The warm throughput of an on-demand stream.
    pub warm: Track,
    /// When UpdateShardCount was called, the oldest first. Calls of unknown outcome count too.
    pub reshards: Vec<Timestamp>,
    /// Shards that were hot lately.
    pub hot: Vec<Heat>,
    /// Neighbours that are cold, where they are looked at.
    pub cold: Vec<ColdPair>,
    /// The highest demand of each of the last minutes, where the stream is on-demand: the minute since 1970, and the rate.
    pub demanded: VecDeque<(i64, BytesPerSecond)>,
    /// The last split or merge that AWS refused.
    pub single_refused: Option<Refusal>,
    /// The newest tick: time that goes back takes everything that is remembered along.
    pub ticked_at: Option<Timestamp>,
    /// What one producer task takes with all of its CPU, in user bytes per second.
    pub producer_rate: Option<f64>,
    /// What clients hold that producers refused.
    pub clients: Clients,
    /// What outlives this leader.
    pub memory: Memory,
}

impl History {
    /// What a new leader must know: what the last one remembered when it last wrote the status, the calls of the last 24
    /// hours, and what decisions record since, in any order. Windows go on where the last leader left them, if that is not
    /// long ago; else they start anew, which only delays going down.
    #[must_use]
    pub fn recall(last: Option<Self>, reshards: Vec<Timestamp>, decisions: &[Decision]) -> Self {
        let known_until = last.as_ref().and_then(|last| last.ticked_at);
        let mut history = last.unwrap_or_default();
        let is_news = |decision: &&Decision| known_until.is_none_or(|until| decision.at >= until);
        let mut decisions: Vec<_> = decisions.iter().filter(is_news).collect();
        decisions.sort_by_key(|decision| decision.at);
        for decision in decisions {
            history.memory = decision.memory.clone();
            decision.outcomes.iter().for_each(|outcome| history.note(outcome));
            // Whoever decided this may have called and died: what it asked for is not somebody else's.
            let tried = |action: &Action| decision.outcomes.iter().any(|outcome| outcome.action == *action);
            let untold = decision.plan.actions.iter().filter(|action| !tried(action));
            untold.for_each(|action| history.memory.asked(action, decision.at));
        }
        history.shards.last_change = history.shards.last_change.max(reshards.last().copied());
        history.reshards = reshards;
        history
    }

    /// Remembers what became of an action. One of unknown outcome counts as done: the next look shows the truth.
    pub fn note(&mut self, outcome: &Outcome) {
        if let Action::SplitShard { .. } = &outcome.action {
            self.memory.split(&outcome.result);
        }
        let track = match &outcome.action {
            Action::SplitShard { .. } | Action::MergeShards { .. } => return self.note_single(outcome),
            Action::UpdateShardCount { .. } => &mut self.shards,
            Action::UpdateStreamWarmThroughput { .. } => &mut self.warm,
            Action::UpdateService { service: Service::Producer, .. } => &mut self.producers,
            Action::UpdateService { service: Service::Consumer, .. } => &mut self.consumers,
        };
        match &outcome.result {
            ActionResult::Skipped { .. } => return,
            ActionResult::Refused { code, .. } => {
                track.refused = Some(Refusal::new(code, outcome.at));
                return;
            }
            ActionResult::Done | ActionResult::Unknown { .. } => track.changed(outcome.at),
        }
        self.memory.asked(&outcome.action, outcome.at);
        if matches!(outcome.action, Action::UpdateShardCount { .. }) {
            self.reshards.push(outcome.at);
        }
    }

    /// A split or a merge changes the stream too, but AWS does not count it among the calls of 24 hours, and it is refused
    /// for reasons of its own.
    fn note_single(&mut self, outcome: &Outcome) {
        match &outcome.result {
            ActionResult::Skipped { .. } => {}
            ActionResult::Refused { code, .. } => self.single_refused = Some(Refusal::new(code, outcome.at)),
            ActionResult::Done | ActionResult::Unknown { .. } => {
                self.shards.last_change = Some(outcome.at);
                self.single_refused = None;
                self.memory.asked(&outcome.action, outcome.at);
            }
        }
    }

    /// Takes note of the time. A clock that was set back neither ends cool-downs nor makes them longer: what is remembered
    /// goes back with it. The calls that AWS counts stay where they are, which at worst spares a call.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let back = self.ticked_at.map_or(Millis(0), |ticked_at| elapsed(now, ticked_at));
        if back > Millis(0) {
            for track in [&mut self.shards, &mut self.producers, &mut self.consumers, &mut self.warm] {
                track.go_back(back);
            }
            self.cold.iter_mut().for_each(|pair| pair.since = before(pair.since, back));
            self.hot.clear();
            self.clients = Clients::default();
            if let Some(refusal) = &mut self.single_refused {
                refusal.until = before(refusal.until, back);
            }
        }
        self.ticked_at = Some(now);
    }

    /// What the stream is asked to take, over the last minute.
    pub(super) fn demand(&mut self, load: &LoadObservation, held: Option<Held>, now: Timestamp) -> Option<Demand> {
        let demand = Demand::of(load, held)?;
        Some(Demand { shards: self.shards.load.note(demand.shards, now), ..demand })
    }

    /// Calls of UpdateShardCount in the 24 hours before `now`.
    #[must_use]
    pub fn reshards_before(&self, now: Timestamp) -> Vec<Timestamp> {
        self.reshards.iter().copied().filter(|at| elapsed(*at, now) < RESHARD_WINDOW).collect()
    }
}

/// The memory of one count: shards, or the tasks of a service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    /// What was asked for within the stabilisation window. An entry goes when a later one asks for as much, so the first
    /// is the highest and no window can make this long.
    pub asked: VecDeque<Asked>,
    /// Since when every tick had an answer: a window with a hole in it proves nothing.
    pub watched_since: Option<Timestamp>,
    /// The last tick that had an answer.
    pub watched_until: Option<Timestamp>,
    /// Since when more is asked for than there is.
    pub short_since: Option<Timestamp>,
    /// The last moment at which a change was begun or, of a stream, under way.
    pub last_change: Option<Timestamp>,
    /// The last call that AWS refused.
    pub refused: Option<Refusal>,
    /// What the last steps up have brought.
    pub effect: Effect,
    /// What the count has to carry.
    pub load: Level,
    /// What the tasks use of their CPU, in whole tasks.
    pub cpu: Level,
}

/// A call that AWS refused, and until when it is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: String,
    pub until: Timestamp,
}

impl Refusal {
    pub(super) const LIMIT: &'static str = "LimitExceededException";

    fn new(code: &str, at: Timestamp) -> Self {
        let backoff = if code == Self::LIMIT { LIMIT_BACKOFF } else { REFUSAL_BACKOFF };
        Self { code: code.to_owned(), until: after(at, backoff) }
    }
}

/// What one tick asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub at: Timestamp,
    pub count: u32,
}

/// A longer hole between two answers starts the window anew.
const HOLE_MAX: Millis = Millis(120_000);

impl Track {
    /// Remembers what this tick asks for.
    pub(super) fn ask(&mut self, now: Timestamp, count: u32, short: bool, window: Millis) {
        let unbroken = self.watched_until.is_some_and(|until| elapsed(until, now) <= HOLE_MAX);
        if !unbroken {
            self.asked.clear();
            self.watched_since = Some(now);
        }
        self.watched_until = Some(now);
        self.asked.retain(|asked| elapsed(asked.at, now) < window && asked.count > count);
        self.asked.push_back(Asked { at: now, count });
        self.short_since = if short { self.short_since.or(Some(now)) } else { None };
    }

    fn go_back(&mut self, by: Millis) {
        let marks = [&mut self.watched_since, &mut self.watched_until, &mut self.short_since, &mut self.last_change];
        marks.into_iter().flatten().for_each(|at| *at = before(*at, by));
        self.asked.iter_mut().for_each(|asked| asked.at = before(asked.at, by));
        if let Some(refusal) = &mut self.refused {
            refusal.until = before(refusal.until, by);
        }
        self.effect = Effect::default();
        (self.load, self.cpu) = (Level::default(), Level::default());
    }

    /// The highest count that was asked for within the window.
    pub(super) fn peak(&self) -> Option<Asked> {
        self.asked.front().copied()
    }

    /// Remembers that the count was changed.
    pub fn changed(&mut self, at: Timestamp) {
        self.last_change = Some(at);
        self.short_since = None;
        self.refused = None;
    }
}

/// Time from `from` to `to`; zero when the clock went back.
#[must_use]
pub fn elapsed(from: Timestamp, to: Timestamp) -> Millis {
    Millis(u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or_default())
}

/// The moment `span` after `at`.
#[must_use]
pub fn after(at: Timestamp, span: Millis) -> Timestamp {
    let millis = i64::try_from(span.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}

/// The moment `span` before `at`.
fn before(at: Timestamp, span: Millis) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().saturating_sub_unsigned(span.0)).unwrap_or(Timestamp::MIN)
}
