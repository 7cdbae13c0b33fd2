//! One pipeline under control: the steps of a tick, and what is remembered between ticks.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{
    Settings,
    act::Hands,
    chain::chain,
    clock::Clock,
    decide::{self, Action, ActionResult, Conclusion, Decision, History, Outcome, RuleReport, Verdict, after, decide},
    limits::{ATTEMPT_TIMEOUT, RECALL_DECISIONS, RECALL_WINDOW, RESHARD_WINDOW},
    observe::{Observation, Observer},
    pipelines::{Assignment, Pipelines},
    policy::PipelineSpec,
    record::{self, Condition, Entry, Facts, Lead, Pause, Settled, Status, Table, TableError, conditions, events},
    telemetry::Telemetry,
    units::Millis,
};

/// A hold that ends within this time is a part of what comes next: longer than the default confirmation and cool-down of
/// a step up.
const PASSING: Millis = Millis(120_000);

/// A pipeline and the means to see and change it.
pub(crate) struct Pipeline {
    spec: Arc<PipelineSpec>,
    lead: Lead,
    clock: Clock,
    table: Table,
    observer: Observer,
    hands: Hands,
    leads: watch::Receiver<Option<Lead>>,
    telemetry: Arc<Telemetry>,
    memory: Option<Memory>,
}

/// What is remembered from one turn to the next. A new leader starts from the control table.
struct Memory {
    assignment: Assignment,
    pause: Option<Pause>,
    history: History,
    conditions: Vec<Condition>,
    /// Changes of the stream of which nobody knows what became.
    open: Vec<Entry>,
    /// The last decision that was stored.
    kept: Option<Decision>,
}

impl Pipeline {
    /// A pipeline that is driven for as long as `lead` lasts.
    pub(crate) fn new(shared: &Pipelines, spec: Arc<PipelineSpec>, lead: Lead) -> Self {
        let Settings { deployment, admin_port, .. } = &shared.settings;
        Self {
            observer: Observer::new(shared.account.clone(), deployment, spec.clone(), *admin_port),
            hands: Hands::new(&shared.clients, spec.cluster.clone()),
            clock: shared.clock,
            table: shared.table.clone(),
            telemetry: shared.telemetry.clone(),
            leads: shared.leads.clone(),
            memory: None,
            spec,
            lead,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Reads what people want and looks at the world.
    pub(crate) async fn observe(&mut self, assignment: &Assignment) -> Result<Observation, TableError> {
        let now = self.clock.now();
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => recall(&self.table, self.name(), assignment, now).await?,
        };
        memory.assignment = assignment.clone();
        let (pause, seen) = tokio::join!(self.table.pause(&self.spec.name), self.observer.observe(now));
        memory.pause = pause?.filter(|pause| pause.is_in_force(now));
        self.memory = Some(memory);
        self.settle(&seen).await?;
        Ok(seen)
    }

    /// Completes the ledger where the stream shows what became of a call without an answer.
    async fn settle(&mut self, seen: &Observation) -> Result<(), TableError> {
        let Some(memory) = self.memory.as_mut() else { return Ok(()) };
        for entry in std::mem::take(&mut memory.open) {
            match entry.settle(seen) {
                Some(settled) => self.table.complete(&self.lead, &self.spec.name, entry.id, settled).await?,
                None => memory.open.push(entry),
            }
        }
        Ok(())
    }

    /// Decides, and remembers what the next decision needs.
    pub(crate) fn decide(&mut self, seen: Observation) -> Option<Decision> {
        let memory = self.memory.as_mut()?;
        let now = seen.at;
        let Conclusion { plan, report, history } = decide(&memory.assignment.policy, &seen, &memory.history, now);
        let remembered = history.memory.clone();
        memory.history = history;
        let outcomes = plan.actions.iter().filter_map(|action| {
            let reason = memory.forbids(action, now)?;
            Some(Outcome { action: action.clone(), at: now, result: ActionResult::Skipped { reason } })
        });
        Some(Decision {
            version: decide::VERSION,
            id: time_ordered_id(now).to_string(),
            pipeline: self.spec.name.clone(),
            at: now,
            policy_generation: memory.assignment.generation,
            epoch: self.lead.epoch,
            outcomes: outcomes.collect(),
            observation: seen,
            plan,
            report,
            memory: remembered,
        })
    }

    /// Writes the status, and the decision when it differs from the last one that was kept.
    pub(crate) async fn record(&mut self, decision: &Decision) -> Result<(), TableError> {
        let Some(memory) = self.memory.as_mut() else { return Ok(()) };
        let keep = memory.kept.as_ref().is_none_or(|kept| kept.id == decision.id || differs(kept, decision));
        let now = self.clock.now();
        let facts = Facts {
            seen: &decision.observation,
            lag_objective: memory.assignment.policy.consumer.lag_objective,
            outcomes: &decision.outcomes,
            policy_error: memory.assignment.error.as_deref(),
            paused: memory.paused(),
        };
        let conditions = conditions(&facts, &memory.conditions, now);
        let status = Status {
            version: record::VERSION,
            pipeline: self.spec.name.clone(),
            heartbeat_at: now,
            leader: self.lead.holder.clone(),
            epoch: self.lead.epoch,
            observed_generation: memory.assignment.generation,
            conditions,
            observation: decision.observation.clone(),
            last_decision: if keep { Some(decision.clone()) } else { memory.kept.clone() },
            history: Some(memory.history.clone()),
        };
        let events = events(&memory.conditions, &status);
        self.table.record(&self.lead, &status, keep.then_some(decision), &events).await?;
        self.telemetry.saw(&status);
        if keep {
            log(decision);
            memory.kept = Some(decision.clone());
        }
        memory.conditions = status.conditions;
        Ok(())
    }

    /// Makes the calls that nothing forbids, in the plan's order, and adds what became of them.
    pub(crate) async fn act(&mut self, decision: &mut Decision) {
        for action in &decision.plan.actions {
            if decision.outcomes.iter().any(|outcome| outcome.action == *action) {
                continue;
            }
            let result = self.carry_out(action).await;
            let outcome = Outcome { action: action.clone(), at: self.clock.now(), result };
            if let Some(memory) = self.memory.as_mut() {
                memory.history.note(&outcome);
            }
            decision.outcomes.push(outcome);
        }
    }

    /// One call, unless the lead was lost or a pause began since the decision. A change of the stream enters the ledger
    /// first; the plan with a change of a service was stored with its decision.
    async fn carry_out(&mut self, action: &Action) -> ActionResult {
        let now = self.clock.now();
        let pause = match self.table.pause(self.name()).await {
            Ok(pause) => pause.filter(|pause| forbids(pause, action, now)).map(|pause| pause.to_string()),
            Err(error) => Some(format!("whether scaling is paused is not known: {}", chain(&error))),
        };
        if let Some(reason) = pause.or_else(|| self.lost()) {
            return ActionResult::Skipped { reason };
        }
        if matches!(action, Action::UpdateService { .. }) {
            return self.hands.carry_out(action).await;
        }
        self.change_stream(action, now).await
    }

    /// Why this process may no longer act: its lead must last as long as a call can take.
    fn lost(&self) -> Option<String> {
        let current = self.leads.borrow();
        let holds =
            |current: &Lead| current.epoch == self.lead.epoch && current.holds(Instant::now() + ATTEMPT_TIMEOUT);
        (!current.as_ref().is_some_and(holds)).then(|| "the lead was lost".to_owned())
    }

    async fn change_stream(&mut self, action: &Action, now: Timestamp) -> ActionResult {
        let mut entry = Entry { id: time_ordered_id(now), at: now, action: action.clone(), settled: Settled::Asked };
        if let Err(error) = self.table.intend(&self.lead, self.name(), &entry).await {
            return ActionResult::Skipped { reason: format!("the ledger could not be written: {}", chain(&error)) };
        }
        if let Some(reason) = self.lost() {
            return ActionResult::Skipped { reason };
        }
        let result = self.hands.carry_out(action).await;
        entry.settled = Settled::of(&result);
        if let Err(error) = self.table.complete(&self.lead, self.name(), entry.id, entry.settled).await {
            tracing::warn!(error = chain(&error), "the ledger keeps a change of the stream without its outcome");
            entry.settled = Settled::Asked;
        }
        if let Some(memory) = self.memory.as_mut().filter(|_| entry.is_open()) {
            memory.open.push(entry);
        }
        result
    }
}

impl Memory {
    /// Why an action is only recorded.
    fn forbids(&self, action: &Action, now: Timestamp) -> Option<String> {
        if self.assignment.policy.guard.dry_run {
            return Some("the policy says dry_run".to_owned());
        }
        self.pause.as_ref().filter(|pause| forbids(pause, action, now)).map(ToString::to_string)
    }

    fn paused(&self) -> Option<String> {
        let dry_run = self.assignment.policy.guard.dry_run.then(|| "the policy says dry_run".to_owned());
        dry_run.or_else(|| self.pause.as_ref().map(ToString::to_string))
    }
}

async fn recall(table: &Table, name: &str, assignment: &Assignment, now: Timestamp) -> Result<Memory, TableError> {
    let status = table.status(name).await?;
    let ledger = table.ledger(name, before(now, RESHARD_WINDOW)).await?;
    let decisions = table.decisions(name, Some(before(now, RECALL_WINDOW)), RECALL_DECISIONS).await?;
    let (conditions, kept, last) =
        status.map(|status| (status.conditions, status.last_decision, status.history)).unwrap_or_default();
    Ok(Memory {
        assignment: assignment.clone(),
        pause: None,
        history: history(last, &ledger, &decisions.into_iter().chain(kept.clone()).collect::<Vec<_>>()),
        conditions,
        open: ledger.into_iter().filter(Entry::is_open).collect(),
        kept,
    })
}

/// What happened before this process led. The ledger knows of calls whose decision was never completed.
fn history(last: Option<History>, ledger: &[Entry], decisions: &[Decision]) -> History {
    let counted = ledger.iter().filter(|entry| entry.is_counted()).map(|entry| entry.at);
    let mut history = History::recall(last, counted.collect(), decisions);
    for Entry { at, action, settled, .. } in ledger {
        let track = match action {
            Action::UpdateStreamWarmThroughput { .. } => &mut history.warm,
            _ => &mut history.shards,
        };
        if *settled != Settled::Refused {
            track.last_change = track.last_change.max(Some(*at));
        }
    }
    history
}

fn forbids(pause: &Pause, action: &Action, now: Timestamp) -> bool {
    let (from, to) = action.from_to();
    pause.forbids(from, to, now)
}

/// Whether a decision says something that the last one that was kept did not. A hold that passes by itself only counts
/// down to what comes next.
fn differs(kept: &Decision, decision: &Decision) -> bool {
    let acts = decision.outcomes.len() < decision.plan.actions.len();
    let plans = !decision.plan.actions.is_empty() && kept.plan != decision.plan;
    let before = kept.report.rules();
    let news = |(name, rule): (&str, &RuleReport)| {
        let kept = before.iter().find(|(kept, _)| *kept == name);
        kept.map(|(_, kept)| kind(kept)) != Some(kind(rule)) && !passes(&rule.verdict, decision)
    };
    acts || plans || decision.report.rules().into_iter().any(news)
}

/// Whether a hold ends soon, with its time or with the change of the stream that is under way.
fn passes(verdict: &Verdict, decision: &Decision) -> bool {
    let updating = decision.observation.stream.status.as_ref().is_some_and(|status| status.value == "UPDATING");
    match verdict {
        Verdict::Held { until: Some(until), .. } => *until <= after(decision.at, PASSING),
        Verdict::Held { until: None, .. } => updating,
        Verdict::Fired { .. } | Verdict::NotApplicable { .. } => false,
    }
}

fn kind(rule: &RuleReport) -> (std::mem::Discriminant<Verdict>, bool) {
    let timed = matches!(rule.verdict, Verdict::Held { until: Some(_), .. });
    (std::mem::discriminant(&rule.verdict), timed)
}

/// One line of log, from the value that is stored.
fn log(decision: &Decision) {
    let document = serde_json::to_string(decision).unwrap_or_default();
    tracing::info!(pipeline = decision.pipeline, id = decision.id, decision = document, "decided");
}

fn before(at: Timestamp, span: Millis) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().saturating_sub_unsigned(span.0)).unwrap_or(Timestamp::MIN)
}

/// A version 7 uuid of this moment.
fn time_ordered_id(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[..10]);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
