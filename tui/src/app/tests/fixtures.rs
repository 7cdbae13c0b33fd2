//! A deployment as the tests see it.

use controlplane::{
    decide::{
        Action, ActionResult, Decision, Input, Outcome, Plan, Report, RuleReport, Service, VERSION as DECISION_VERSION,
        Verdict,
    },
    observe::{LoadObservation, Observation, Reading, ServiceObservation, Source, StreamObservation},
    record::{Condition, ConditionKind, Status, VERSION},
    units::{BytesPerSecond, Fraction, Millis, RecordsPerSecond, ShardCount, TaskCount},
};
use jiff::{SignedDuration, Timestamp};
use stack::{
    Identity,
    inventory::{Inventory, Owner, Resource},
};

use crate::app::model::{Deployment, Model, Snapshot};

pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

pub(crate) fn deployment() -> Deployment {
    Deployment {
        name: "weir".to_owned(),
        region: "eu-central-1".to_owned(),
        place: "local 127.0.0.1:4566".to_owned(),
        ingest_url: Some("http://127.0.0.1:8080".to_owned()),
        stale_after: SignedDuration::from_secs(6),
        owned: false,
    }
}

/// A model that has seen a minute of growing load.
pub(crate) fn busy() -> Model {
    let mut model = Model::new(deployment(), now());
    for second in (1..=30).rev() {
        let at = now() - SignedDuration::from_secs(2 * second);
        model.take(snapshot(at, 6_000.0 - 150.0 * second as f64));
    }
    model
}

pub(crate) fn empty() -> Model {
    Model::new(deployment(), now())
}

pub(crate) fn snapshot(at: Timestamp, rate: f64) -> Snapshot {
    Snapshot { read_at: at, status: Some(status(at, rate)), decisions: vec![decision(1), decision(0)] }
}

pub(crate) fn status(at: Timestamp, rate: f64) -> Status {
    Status {
        version: VERSION,
        pipeline: "weir".to_owned(),
        heartbeat_at: at,
        leader: "weir-controlplane/7f3a".to_owned(),
        epoch: 3,
        observed_generation: 2,
        conditions: vec![
            condition(ConditionKind::Ready, false, at),
            condition(ConditionKind::Scaling, true, at),
            condition(ConditionKind::Throttled, false, at),
        ],
        observation: observation(at, rate),
        last_decision: Some(decision(1)),
        history: None,
    }
}

pub(crate) fn condition(kind: ConditionKind, status: bool, at: Timestamp) -> Condition {
    Condition { kind, status, reason: "Test".to_owned(), message: "a test".to_owned(), last_transition_at: at }
}

fn observation(at: Timestamp, rate: f64) -> Observation {
    let kinesis = |count| Some(Reading { value: ShardCount(count), at, source: Source::Kinesis });
    let records = |rate| Some(Reading { value: RecordsPerSecond(rate), at, source: Source::TaskReports });
    let bytes = |rate| Some(Reading { value: BytesPerSecond(rate), at, source: Source::TaskReports });
    Observation {
        at,
        stream: StreamObservation {
            name: "weir".to_owned(),
            status: Some(Reading { value: "UPDATING".to_owned(), at, source: Source::Kinesis }),
            on_demand: false,
            open_shards: kinesis(4),
            undrained_parents: kinesis(2),
            ..StreamObservation::default()
        },
        producer: service("weir-producer", 2, 2, at),
        consumer: service("weir-consumer", 3, 2, at),
        load: LoadObservation {
            offered_records: records(rate),
            offered_bytes: bytes(rate * 500.0),
            incoming_records: records(rate / 100.0),
            incoming_bytes: bytes(rate * 520.0),
            throttled_records: records(0.0),
            processed_records: records(rate * 0.9),
            lag: Some(Reading { value: Millis(1_250), at, source: Source::TaskReports }),
            consumer_busy: None,
            ..LoadObservation::default()
        },
        ..Observation::default()
    }
}

fn service(name: &str, desired: u32, running: u32, at: Timestamp) -> ServiceObservation {
    let tasks = |count| Some(Reading { value: TaskCount(count), at, source: Source::Ecs });
    ServiceObservation {
        name: name.to_owned(),
        desired: tasks(desired),
        running: tasks(running),
        pending: tasks(desired - running),
        cpu: Some(Reading { value: Fraction(0.37), at, source: Source::TaskReports }),
    }
}

pub(crate) fn decision(number: u64) -> Decision {
    let at = now() - SignedDuration::from_secs(90 - 60 * number as i64);
    let action = Action::UpdateShardCount { stream: "weir".to_owned(), from: ShardCount(2), to: ShardCount(4) };
    let consumers = Action::UpdateService {
        service: Service::Consumer,
        name: "weir-consumer".to_owned(),
        from: TaskCount(2),
        to: TaskCount(3),
    };
    Decision {
        version: DECISION_VERSION,
        id: format!("0192-{number}"),
        pipeline: "weir".to_owned(),
        at,
        policy_generation: 2,
        epoch: 3,
        observation: observation(at, 6_000.0),
        plan: Plan { actions: vec![action.clone(), consumers] },
        report: Report {
            shards: rule(
                Verdict::Fired { from: 2, to: 4, reason: "2.86 MiB/s need 4 shards at 75 % use".to_owned() },
                &[("offered", "2.86 MiB/s"), ("target", "75 %"), ("one shard takes", "1.00 MiB/s")],
                Some("would have gone to 5 without the cap of 4"),
            ),
            producers: rule(
                Verdict::Held { reason: "cool-down".to_owned(), until: Some(now() + SignedDuration::from_secs(30)) },
                &[("CPU", "37 %"), ("target", "60 %")],
                None,
            ),
            consumers: rule(Verdict::NotApplicable { reason: "lag 1.2 s is under 10.0 s".to_owned() }, &[], None),
            hot_shard: None,
            cold_merge: None,
            warm: None,
            schedule: None,
            freeze: None,
        },
        memory: Default::default(),
        outcomes: vec![Outcome { action, at, result: ActionResult::Done }],
    }
}

fn rule(verdict: Verdict, inputs: &[(&str, &str)], counterfactual: Option<&str>) -> RuleReport {
    let inputs = inputs.iter().map(|(name, value)| Input { name: (*name).to_owned(), value: (*value).to_owned() });
    RuleReport { verdict, inputs: inputs.collect(), counterfactual: counterfactual.map(str::to_owned) }
}

pub(crate) fn inventory() -> Inventory {
    Inventory {
        deployment: "weir".parse().expect("a name"),
        place: Identity { account: "000000000000".to_owned(), region: "eu-central-1".to_owned() },
        resources: vec![resource("AWS::ECS::Service", "weir-controlplane"), resource("AWS::Kinesis::Stream", "weir")],
        foreign: Vec::new(),
    }
}

pub(crate) fn resource(kind: &str, id: &str) -> Resource {
    Resource { kind: kind.to_owned(), id: id.to_owned(), arn: None, owner: Owner::Stack }
}
