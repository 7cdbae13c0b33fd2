//! Weir itself as a contender: the real `decide` with its real memory.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Contender, Metrics};
use crate::{
    decide::{Action, Conclusion, Decision, History, Outcome, VERSION, after, decide},
    limits::{RECALL_DECISIONS, RECALL_WINDOW},
    observe::Observation,
    policy::Policy,
};

/// The name in tables and JSON.
pub const NAME: &str = "weir";

/// Weir under a policy.
#[derive(Debug, Clone)]
pub struct Weir {
    name: String,
    policy: Policy,
    history: History,
    /// Decisions that did something, as the control table keeps them for the next leader.
    decisions: VecDeque<Decision>,
}

impl Weir {
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::named(NAME, policy)
    }

    /// Weir under a policy that stands beside others.
    #[must_use]
    pub fn named(name: &str, policy: Policy) -> Self {
        Self { name: name.to_owned(), policy, history: History::default(), decisions: VecDeque::new() }
    }

    /// What Weir would conclude now, without remembering it.
    #[must_use]
    pub fn conclude(&self, seen: &Observation, now: Timestamp) -> Conclusion {
        decide(&self.policy, seen, &self.history, now)
    }

    fn keep(&mut self, decision: Decision) {
        let now = decision.at;
        self.decisions.push_back(decision);
        // The last one stays, as in the pipeline's status.
        while self.decisions.len() > RECALL_DECISIONS
            || self.decisions.len() > 1
                && self.decisions.front().is_some_and(|decision| after(decision.at, RECALL_WINDOW) < now)
        {
            self.decisions.pop_front();
        }
    }
}

impl Contender for Weir {
    fn name(&self) -> &str {
        &self.name
    }

    fn tick(&mut self, seen: &Observation, _metrics: &Metrics, now: Timestamp) -> Vec<Action> {
        let conclusion = decide(&self.policy, seen, &self.history, now);
        self.history = conclusion.history;
        if self.policy.guard.dry_run {
            return Vec::new();
        }
        let actions = conclusion.plan.actions.clone();
        if !actions.is_empty() {
            self.keep(Decision {
                version: VERSION,
                id: String::new(),
                pipeline: self.name.clone(),
                at: now,
                policy_generation: 1,
                epoch: 1,
                observation: seen.clone(),
                plan: conclusion.plan,
                report: conclusion.report,
                memory: self.history.memory.clone(),
                outcomes: Vec::new(),
            });
        }
        actions
    }

    fn note(&mut self, outcome: &Outcome) {
        self.history.note(outcome);
        if let Some(decision) = self.decisions.back_mut() {
            decision.outcomes.push(outcome.clone());
        }
    }

    fn restart(&mut self, ledger: &[Timestamp], now: Timestamp) {
        let since = now - jiff::SignedDuration::from_hours(24);
        let reshards = ledger.iter().copied().filter(|at| *at > since).collect();
        // As the status of the last tick has it: written and read.
        let last = serde_json::to_value(&self.history).and_then(serde_json::from_value).ok();
        self.history = History::recall(last, reshards, self.decisions.make_contiguous());
    }
}
