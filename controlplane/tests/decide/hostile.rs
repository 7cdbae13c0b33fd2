//! What AWS should never answer, and might.

use controlplane::{
    decide::{Conclusion, History, Verdict, decide},
    observe::{
        ForeignScaler, KeyShare, Observation, Reading, ServiceObservation, ShardLoad, Source, StreamObservation,
    },
    policy::Policy,
    units::{BytesPerSecond, Fraction, RecordCount, RecordsPerSecond, ShardCount},
};
use jiff::{SignedDuration, Timestamp};

use crate::scenario::World;

fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365)
}

/// An hour of ticks in which nothing but time passes.
fn hour(seen: &Observation) -> Vec<Conclusion> {
    let policy = Policy::parse("version = 1\n[stream]\nmax_shards = 10000\nmax_warm_throughput = \"1 GiB/s\"").unwrap();
    let mut history = History::default();
    let ticks = (0..60).map(|minute| start() + SignedDuration::from_mins(minute));
    ticks
        .map(|now| {
            let conclusion = decide(&policy, &Observation { at: now, ..seen.clone() }, &history, now);
            history = conclusion.history.clone();
            conclusion
        })
        .collect()
}

fn changes_nothing(seen: &Observation) {
    for conclusion in hour(seen) {
        assert_eq!(conclusion.plan.actions, [], "{:#?}", conclusion.report);
    }
}

fn reading<T>(value: T) -> Option<Reading<T>> {
    Some(Reading { value, at: start(), source: Source::TaskReports })
}

#[test]
fn an_empty_observation_changes_nothing() {
    let named = |name: &str| ServiceObservation { name: name.to_owned(), ..ServiceObservation::default() };
    let stream = StreamObservation { name: "weir".to_owned(), ..StreamObservation::default() };
    changes_nothing(&Observation { stream, producer: named("p"), consumer: named("c"), ..Observation::default() });
}

#[test]
fn numbers_that_no_measurement_can_be_change_nothing() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, f64::MIN] {
        let mut seen = World { shards: 4, consumers: 4, producers: 4, ..World::default() }.observation(start());
        seen.load.incoming_bytes = reading(BytesPerSecond(number));
        seen.load.incoming_records = reading(RecordsPerSecond(number));
        seen.load.offered_bytes = reading(BytesPerSecond(number));
        seen.load.offered_records = reading(RecordsPerSecond(number));
        seen.load.throttled_records = reading(RecordsPerSecond(number));
        seen.load.processed_records = reading(RecordsPerSecond(number));
        seen.load.backlog = reading(RecordCount(number));
        seen.load.consumer_busy = reading(Fraction(number));
        seen.consumer.cpu = reading(Fraction(number));
        seen.producer.cpu = reading(Fraction(number));
        changes_nothing(&seen);
    }
}

#[test]
fn a_status_that_nobody_knows_changes_no_stream() {
    for status in ["", "MIGRATING", "DELETING", "active", "ACTIVE "] {
        let parts = vec![1.3, 0.1, 0.1, 0.1];
        let world =
            World { status: status.to_owned(), shards: 4, offered_mib: 9.0, hot_shards: parts, ..World::default() };
        let changes = hour(&world.observation(start())).into_iter().flat_map(|conclusion| conclusion.plan.actions);
        let stream: Vec<_> = changes.filter(|action| format!("{action:?}").contains("Shard")).collect();
        assert_eq!(stream, [], "{status:?}");
    }
}

#[test]
fn ten_thousand_shards_with_ranges_that_make_no_sense_are_left_alone() {
    let mut seen = World { shards: 10_000, offered_mib: 3_000.0, ..World::default() }.observation(start());
    seen.stream.open_shards = reading(ShardCount(10_000));
    seen.load.shards = (0..10_000_u128).map(nonsense).collect();
    seen.load.busiest_shards = seen.load.shards[..8].to_vec();
    for conclusion in hour(&seen) {
        let single = conclusion.plan.actions.iter().any(|action| format!("{action:?}").contains("shard_id"));
        assert!(!single, "{:?}", conclusion.plan);
    }
}

/// Ranges that are empty, turned round, unknown or all the same, with loads that are not numbers.
fn nonsense(index: u128) -> ShardLoad {
    let (start, end) = match index % 4 {
        0 => (Some(u128::MAX), Some(0)),
        1 => (None, Some(index)),
        2 => (Some(7), Some(7)),
        _ => (Some(index), None),
    };
    ShardLoad {
        shard_id: format!("shardId-{:012}", index % 5_000),
        records: RecordsPerSecond(if index.is_multiple_of(3) { f64::NAN } else { 2_000.0 }),
        bytes: BytesPerSecond(f64::INFINITY),
        throttled: RecordsPerSecond(-4.0),
        starting_hash_key: start,
        ending_hash_key: end,
        slices: vec![f32::NAN, -1.0, f32::INFINITY],
        heaviest: Some(KeyShare { hash_key: u128::MAX, share: f64::NAN }),
    }
}

#[test]
fn every_rule_still_says_something_when_nothing_is_known() {
    let mut seen = World { unknown: vec!["everything".to_owned()], ..World::default() }.observation(start());
    seen.foreign = vec![ForeignScaler { target: String::new(), kind: String::new() }; 1_000];
    for conclusion in hour(&seen) {
        for (name, rule) in conclusion.report.rules() {
            let (Verdict::Fired { reason, .. } | Verdict::Held { reason, .. } | Verdict::NotApplicable { reason }) =
                &rule.verdict;
            assert!(!reason.is_empty(), "{name} gives no reason");
        }
        assert_eq!(conclusion.plan.actions, []);
    }
}
