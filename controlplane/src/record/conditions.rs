//! The conditions of a pipeline, made from what one tick saw and did. Pure.

use jiff::Timestamp;

use super::{Condition, ConditionKind};
use crate::{
    decide::{Action, ActionResult, Outcome, is_throttled, throttled_share},
    observe::{Observation, ServiceObservation},
    units::Millis,
};

/// What one tick knows.
pub(crate) struct Facts<'a> {
    pub(crate) seen: &'a Observation,
    pub(crate) lag_objective: Millis,
    pub(crate) outcomes: &'a [Outcome],
    /// Why the stored policy is not in force.
    pub(crate) policy_error: Option<&'a str>,
    /// Why nothing is changed although it could be.
    pub(crate) paused: Option<String>,
}

/// Whether a condition holds, with one word for machines and a sentence for people.
struct State {
    status: bool,
    reason: &'static str,
    message: String,
}

/// Every condition, in a fixed order. A time of transition is kept while the status stays.
pub(crate) fn conditions(facts: &Facts<'_>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    use ConditionKind::{Degraded, Lagging, Paused, Ready, Scaling, Throttled};
    let others = [
        (Scaling, scaling(facts)),
        (Throttled, throttled(facts)),
        (Lagging, lagging(facts)),
        (Degraded, degraded(facts)),
        (Paused, paused(facts)),
    ];
    let against = others.iter().find(|(kind, state)| state.status && matches!(kind, Throttled | Lagging | Degraded));
    let ready = match against {
        Some((_, state)) => State { status: false, reason: state.reason, message: state.message.clone() },
        None => running(facts),
    };
    std::iter::once((Ready, ready)).chain(others).map(|(kind, state)| condition(kind, state, before, now)).collect()
}

fn condition(kind: ConditionKind, state: State, before: &[Condition], now: Timestamp) -> Condition {
    let same = before.iter().find(|condition| condition.kind == kind && condition.status == state.status);
    Condition {
        kind,
        status: state.status,
        reason: state.reason.to_owned(),
        message: state.message,
        last_transition_at: same.map_or(now, |condition| condition.last_transition_at),
    }
}

fn running(facts: &Facts<'_>) -> State {
    let empty = [&facts.seen.producer, &facts.seen.consumer]
        .into_iter()
        .filter(|service| !service.name.is_empty())
        .find(|service| service.running.is_none_or(|running| running.value.0 == 0));
    match empty {
        Some(service) => no("NoTasks", format!("{} runs no task", service.name)),
        None => yes("AsAsked", "the pipeline is as the policy asks"),
    }
}

fn scaling(facts: &Facts<'_>) -> State {
    let stream = &facts.seen.stream;
    if let Some(status) = stream.status.as_ref().filter(|status| status.value != "ACTIVE") {
        return yes("StreamUpdating", format!("stream {} is {}", stream.name, status.value));
    }
    let done = facts.outcomes.iter().find(|outcome| outcome.result == ActionResult::Done);
    if let Some(outcome) = done {
        return yes("Changed", outcome.action.to_string());
    }
    match [&facts.seen.producer, &facts.seen.consumer].into_iter().find_map(moving) {
        Some(message) => yes("TasksMoving", message),
        None => no("Settled", "no change is under way"),
    }
}

fn moving(service: &ServiceObservation) -> Option<String> {
    let (desired, running) = (service.desired?.value, service.running?.value);
    (desired != running).then(|| format!("{} runs {running} of {}", service.name, desired.0))
}

fn throttled(facts: &Facts<'_>) -> State {
    match (is_throttled(&facts.seen.load), throttled_share(&facts.seen.load)) {
        (Some(true), Some(share)) => yes("WritesRefused", format!("the shards refuse {share} of the records")),
        (Some(false), _) => no("WritesTaken", "the shards take what is written"),
        _ => no("Unknown", "whether the shards refuse writes is not known"),
    }
}

fn lagging(facts: &Facts<'_>) -> State {
    let objective = facts.lag_objective;
    match facts.seen.load.lag.map(|lag| lag.value) {
        Some(lag) if lag > objective => yes("BehindObjective", format!("consumers are {lag} behind, over {objective}")),
        Some(lag) => no("WithinObjective", format!("consumers are {lag} behind, within {objective}")),
        None => no("Unknown", "how far consumers are behind is not known"),
    }
}

fn degraded(facts: &Facts<'_>) -> State {
    if let Some(error) = facts.policy_error {
        return yes("PolicyInvalid", format!("the last good policy stays in force: {error}"));
    }
    let failed = facts.outcomes.iter().find_map(|outcome| match &outcome.result {
        ActionResult::Refused { code, message } => Some((&outcome.action, format!("{code}: {message}"))),
        ActionResult::Unknown { message } => Some((&outcome.action, message.clone())),
        ActionResult::Done | ActionResult::Skipped { .. } => None,
    });
    if let Some((action, message)) = failed {
        return yes("ActionFailed", format!("{action}: {message}"));
    }
    match facts.seen.blind_spots.as_slice() {
        [] => no("Sound", "everything can be read and changed"),
        blind => yes("Blind", blind.join("; ")),
    }
}

fn paused(facts: &Facts<'_>) -> State {
    match &facts.paused {
        Some(message) => yes("AsAsked", message.clone()),
        None => no("NotPaused", "changes are made"),
    }
}

fn yes(reason: &'static str, message: impl Into<String>) -> State {
    State { status: true, reason, message: message.into() }
}

fn no(reason: &'static str, message: impl Into<String>) -> State {
    State { status: false, reason, message: message.into() }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UpdateShardCount { stream, from, to } => write!(f, "{stream}: {} to {to}", from.0),
            Self::UpdateService { name, from, to, .. } => write!(f, "{name}: {} to {to}", from.0),
            Self::SplitShard { stream, shard_id, .. } => write!(f, "{stream}: split {shard_id}"),
            Self::MergeShards { stream, shard_id, adjacent_shard_id } => {
                write!(f, "{stream}: merge {shard_id} and {adjacent_shard_id}")
            }
            Self::UpdateStreamWarmThroughput { stream, from_mib, to_mib } => {
                write!(f, "{stream}: warm throughput {from_mib} to {to_mib} MiB/s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observe::{Reading, Source, StreamObservation},
        units::{RecordsPerSecond, ShardCount, TaskCount},
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn reading<T>(value: T) -> Option<Reading<T>> {
        Some(Reading { value, at: NOW, source: Source::TaskReports })
    }

    fn service() -> ServiceObservation {
        ServiceObservation {
            name: "service".to_owned(),
            desired: reading(TaskCount(1)),
            running: reading(TaskCount(1)),
            pending: reading(TaskCount(0)),
            cpu: None,
        }
    }

    fn calm() -> Observation {
        let mut seen = Observation {
            at: NOW,
            stream: StreamObservation {
                name: "weir".to_owned(),
                status: reading("ACTIVE".to_owned()),
                on_demand: false,
                open_shards: reading(ShardCount(1)),
                undrained_parents: reading(ShardCount(0)),
                ..StreamObservation::default()
            },
            producer: service(),
            consumer: service(),
            ..Observation::default()
        };
        seen.load.lag = reading(Millis(5));
        seen.load.throttled_records = reading(RecordsPerSecond(0.0));
        seen.load.incoming_records = reading(RecordsPerSecond(100.0));
        seen
    }

    fn of(seen: &Observation, policy_error: Option<&str>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
        let facts = Facts { seen, lag_objective: Millis(1_000), outcomes: &[], policy_error, paused: None };
        conditions(&facts, before, now)
    }

    fn true_ones(conditions: &[Condition]) -> Vec<(ConditionKind, &str)> {
        conditions.iter().filter(|condition| condition.status).map(|it| (it.kind, it.reason.as_str())).collect()
    }

    #[test]
    fn a_calm_pipeline_is_ready_and_nothing_else() {
        assert_eq!(true_ones(&of(&calm(), None, &[], NOW)), [(ConditionKind::Ready, "AsAsked")]);
    }

    #[test]
    fn refused_writes_and_lag_stand_against_ready() {
        let mut seen = calm();
        seen.load.throttled_records = reading(RecordsPerSecond(50.0));
        seen.load.lag = reading(Millis(2_000));
        let told = of(&seen, None, &[], NOW);
        let expected = [(ConditionKind::Throttled, "WritesRefused"), (ConditionKind::Lagging, "BehindObjective")];
        assert_eq!(true_ones(&told), expected);
        assert_eq!(told[0].reason, "WritesRefused", "Ready says why it is not");
    }

    #[test]
    fn a_broken_policy_degrades_with_its_message() {
        let told = of(&calm(), Some("line 3: no"), &[], NOW);
        assert_eq!(true_ones(&told), [(ConditionKind::Degraded, "PolicyInvalid")]);
        assert!(told.iter().any(|condition| condition.message.contains("line 3: no")));
    }

    #[test]
    fn a_transition_is_dated_when_the_status_changes_and_not_when_the_message_does() {
        let later = Timestamp::from_second(60).unwrap();
        let before = of(&calm(), None, &[], NOW);
        let mut seen = calm();
        seen.consumer.desired = reading(TaskCount(3));
        let after = of(&seen, None, &before, later);
        let date = |kind| after.iter().find(|condition| condition.kind == kind).unwrap().last_transition_at;
        assert_eq!((date(ConditionKind::Ready), date(ConditionKind::Scaling)), (NOW, later));
    }
}
