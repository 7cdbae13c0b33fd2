//! Rivals on series and in short worlds.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{CallKind, Demand, MetricMinute, Metrics, Scene, Timeline},
    Kind,
    rival::{ShardScaler, View},
    *,
};
use crate::{
    decide::ActionResult,
    limits::SHARD_BYTES,
    observe::{Observation, Reading, Source},
    simulate::trace::{Gaps, Shape},
    units::ShardCount,
};

/// Minutes with a use of one shard by bytes, `None` where CloudWatch never has one, and the time `later` minutes after
/// the last.
pub(super) fn published(uses: &[Option<f64>], later: i64) -> (Metrics, Timestamp) {
    let start = Timestamp::UNIX_EPOCH;
    let mut metrics = Metrics::new(start, uses.len());
    for (minute, usage) in (1..).zip(uses) {
        let incoming_bytes = usage.unwrap_or_default() * 60.0 * SHARD_BYTES.0;
        let sums = MetricMinute { incoming_bytes, ..MetricMinute::default() };
        metrics.publish(sums, usage.map(|_| minute * 60));
    }
    (metrics, start + SignedDuration::from_mins(uses.len() as i64 + later))
}

fn stream_of(open: u32, now: Timestamp) -> Observation {
    let mut seen = Observation::default();
    seen.stream.open_shards = Some(Reading { value: ShardCount(open), at: now, source: Source::Kinesis });
    seen.stream.status = Some(Reading { value: "ACTIVE".to_owned(), at: now, source: Source::Kinesis });
    seen
}

/// Where a scaler that has just begun goes with so many shards, each used like this in the last minutes, the oldest first.
fn goes(scaler: &mut dyn ShardScaler, open: u32, uses: &[f64]) -> Option<u32> {
    let uses: Vec<_> = uses.iter().map(|usage| Some(usage * f64::from(open))).collect();
    let (metrics, now) = published(&uses, 1);
    let seen = stream_of(open, now);
    scaler.decide(&View { seen: &seen, metrics: &metrics, now }).map(|action| action.from_to().1)
}

#[test]
fn the_sample_goes_down_inside_its_dead_band_and_its_successor_does_not() {
    for (usage, shipped, later) in
        [(0.5, Some(3), None), (0.3, Some(3), None), (0.2, Some(3), Some(3)), (0.8, Some(6), Some(6))]
    {
        assert_eq!(goes(&mut ScalingUtils::of_the_sample(Matrix::V960), 4, &[usage]), shipped, "{usage}");
        assert_eq!(goes(&mut ScalingUtils::of_the_sample(Matrix::V980), 4, &[usage]), later, "{usage}");
    }
}

#[test]
fn the_sample_stays_below_its_maximum_where_two_more_are_too_many() {
    assert_eq!(goes(&mut ScalingUtils::of_the_sample(Matrix::V960), 15, &[0.9]), None);
    assert_eq!(goes(&mut ScalingUtils::of_the_sample(Matrix::V980), 15, &[0.9]), Some(16));
    assert_eq!(goes(&mut ScalingUtils::of_the_sample(Matrix::V960), 1, &[0.1]), None, "one shard is the least");
}

#[test]
fn the_lambda_sample_needs_25_minutes_to_double_and_285_of_300_to_halve() {
    let mut uses = vec![0.8; 25];
    assert_eq!(goes(&mut AwsLambda::default(), 4, &uses), Some(8));
    assert_eq!(goes(&mut AwsLambda::default(), 4, &uses[..24]), None);
    uses[2] = 0.1;
    assert_eq!(goes(&mut AwsLambda::default(), 4, &uses), None, "its period is only 0.66");
    let mut low = vec![0.2; 300];
    assert_eq!(goes(&mut AwsLambda::default(), 5, &low), Some(2), "which AWS refuses");
    low[..15].fill(0.9);
    assert_eq!(goes(&mut AwsLambda::default(), 4, &low), Some(2), "three periods of 60 may be high");
    low[..20].fill(0.9);
    assert_eq!(goes(&mut AwsLambda::default(), 4, &low), None);
    assert_eq!(goes(&mut AwsLambda::default(), 1, &[0.0; 300]), None);
}

#[test]
fn substation_judges_single_minutes() {
    assert_eq!(goes(&mut Substation::default(), 6, &[0.71; 5]), Some(10));
    assert_eq!(goes(&mut Substation::default(), 6, &[0.71, 0.71, 0.69, 0.71, 0.71]), None);
    assert_eq!(goes(&mut Substation::default(), 6, &[0.34; 60]), Some(4));
    assert_eq!(goes(&mut Substation::default(), 6, &[0.34; 59]), None);
    assert_eq!(goes(&mut Substation::default(), 1, &[0.0; 60]), None);
}

#[test]
fn epsagon_rises_after_five_minutes_and_falls_after_a_day() {
    assert_eq!(goes(&mut Epsagon::default(), 4, &[0.75; 5]), Some(6));
    let mut day = vec![0.1; 1_440];
    day[700..705].fill(0.2);
    assert_eq!(goes(&mut Epsagon::default(), 16, &day), Some(8));
    day[700..705].fill(0.3);
    assert_eq!(goes(&mut Epsagon::default(), 16, &day), None);
}

#[test]
fn app_auto_scaling_begins_with_thresholds_of_a_few_records() {
    let records = |per_minute: f64, minutes: u32| {
        let mut metrics = Metrics::new(Timestamp::UNIX_EPOCH, 20);
        for minute in 1..=minutes {
            let sums = MetricMinute { incoming_records: per_minute, ..MetricMinute::default() };
            metrics.publish(sums, Some(minute * 60));
        }
        metrics
    };
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(16);
    let seen = stream_of(2, now);
    let goes = |metrics: &Metrics| {
        let view = View { seen: &seen, metrics, now };
        AppAutoScaling::default().decide(&view).map(|action| action.from_to().1)
    };
    assert_eq!(goes(&records(1_001.0, 15)), Some(3), "17 records a second");
    assert_eq!(goes(&records(139.0, 15)), Some(1), "695 in five minutes");
    assert_eq!(goes(&records(141.0, 15)), None);
}

fn day(shape: Shape) -> Demand {
    shape.trace(1_440, 5).demand("peak=12".parse().expect("a scale"), Gaps::Bridge)
}

fn run(kind: Kind, demand: &Demand) -> Timeline {
    Scene::new(demand.clone()).run(kind.contender(demand).as_mut(), 1)
}

fn calls(timeline: &Timeline) -> impl Iterator<Item = &super::super::Call> {
    timeline.minutes.iter().flat_map(|minute| &minute.actions)
}

#[test]
fn nobody_gets_more_than_kinesis_and_ecs_give() {
    for shape in [Shape::Square, Shape::FlashCrowd, Shape::Noise] {
        let demand = day(shape);
        for kind in Kind::ALL {
            let timeline = run(kind, &demand);
            assert_eq!(timeline.minutes.len(), 1_440);
            let counted = |call: &&super::super::Call| call.call == CallKind::UpdateShardCount && call.error.is_none();
            let taken: Vec<_> = calls(&timeline).filter(counted).collect();
            assert!(taken.len() <= 10, "{kind} on {shape}: {} calls in a day", taken.len());
            assert!(
                taken.iter().all(|call| call.to <= 2 * call.from && call.to >= call.from.div_ceil(2)),
                "{kind} on {shape}"
            );
        }
    }
}

#[test]
fn the_sample_as_shipped_never_comes_to_rest() {
    let demand = Demand { shards: vec![2.0; 600], known: vec![true; 600], start: Timestamp::UNIX_EPOCH };
    let timeline = run(Kind::Sample, &demand);
    let reshards = calls(&timeline).filter(|call| call.call.reshards() && call.error.is_none());
    assert!(reshards.count() > 100, "constant load at half of four shards");
    let refused = calls(&timeline).filter(|call| call.error.as_deref() == Some("LimitExceededException"));
    assert!(refused.count() > 0, "the ten calls of the day are used up");
    let steady = calls(&run(Kind::Substation, &demand)).filter(|call| call.call.reshards()).count();
    assert!(steady < 5, "{steady}");
}

#[test]
fn fixed_counts_stay() {
    let demand = day(Shape::Sine);
    for kind in [Kind::StaticMean, Kind::StaticPeak] {
        let timeline = run(kind, &demand);
        assert!(calls(&timeline).next().is_none());
        assert!(timeline.minutes.iter().all(|minute| minute.shards == timeline.minutes[0].shards));
    }
}

#[test]
fn keda_has_a_replica_for_every_two_shards() {
    let timeline = run(Kind::Keda, &day(Shape::Step));
    let last = timeline.minutes.last().expect("minutes");
    assert!((last.tasks - (last.shards / 2.0).ceil()).abs() < 0.01, "{} tasks, {} shards", last.tasks, last.shards);
}

#[test]
fn a_service_grows_by_its_cpu_over_the_target() {
    let timeline = run(Kind::CpuTracking, &day(Shape::Step));
    let (first, last) = (&timeline.minutes[400], timeline.minutes.last().expect("minutes"));
    assert!(first.tasks <= 2.0 && last.tasks >= 6.0, "{} then {} tasks", first.tasks, last.tasks);
}

#[test]
fn names_are_read_as_lists() {
    assert_eq!(Kind::parse_list("all").expect("all").len(), Kind::ALL.len());
    assert_eq!(Kind::parse_list("keda, on-demand").expect("two"), [Kind::Keda, Kind::OnDemand]);
    assert!(Kind::parse_list("keda,mine").expect_err("unknown").to_string().contains("`mine`"));
}

#[test]
fn a_refused_call_is_tried_again_by_lambda_and_then_no_more() {
    let mut epsagon = Epsagon::default();
    let mut asked = Vec::new();
    let (metrics, from) = published(&[Some(4.0); 100], 0);
    for minute in 0..10 {
        let now = from + SignedDuration::from_mins(minute);
        let seen = stream_of(4, now);
        if let Some(action) = epsagon.decide(&View { seen: &seen, metrics: &metrics, now }) {
            asked.push(minute);
            let result = ActionResult::Refused { code: "LimitExceededException".to_owned(), message: String::new() };
            epsagon.note(&crate::decide::Outcome { action, at: now, result });
        }
    }
    assert_eq!(asked, [0, 1, 3]);
}
