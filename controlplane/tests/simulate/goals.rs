//! What Weir must reach with its defaults, on short loads of the kinds that the field's traces have.

use controlplane::{
    policy::Policy,
    simulate::{
        CallKind, Clairvoyant, Demand, Fault, Faults, Metrics, Physics, Scene, Score, Terms, Timeline, Weir,
        prices::Prices,
    },
};

use crate::worlds::demand;

fn terms() -> Terms {
    let lag_objective_s = Policy::default().consumer.lag_objective.0 as f64 / 1e3;
    Terms { lag_objective_s, prices: Prices::default(), physics: Physics::default() }
}

fn run(demand: Demand, faults: &[Fault]) -> (Timeline, Score) {
    let scene = Scene { faults: Faults::new(faults), ..Scene::new(demand) };
    let timeline = scene.run(&mut Weir::new(Policy::default()), 1);
    let score = Score::of(&timeline, &terms());
    (timeline, score)
}

/// A tide of six hours between one and eight shards, again and again.
fn tide(hours: usize) -> Demand {
    let level = |minute: usize| 4.5 - 3.5 * (std::f64::consts::TAU * minute as f64 / 360.0).cos();
    let mut load = demand(&[(1.0, hours * 60)]);
    load.shards.iter_mut().enumerate().for_each(|(minute, shards)| *shards = level(minute));
    load
}

/// Four shards' worth from 09:00 to 17:00, and one otherwise.
fn office_days(days: usize) -> Demand {
    demand(&[(1.0, 540), (4.0, 480), (1.0, 420)].repeat(days))
}

#[test]
fn a_tide_is_followed_without_throttling_loss_or_lag_and_within_eight_calls_a_day() {
    let (_, score) = run(tide(24), &[]);
    assert!(score.throttled_pct <= 0.1 && score.lost_pct == 0.0, "{score:?}");
    assert!(score.lag_p99_s < 30.0, "{score:?}");
    assert!(score.calls_max_24h <= 8.0, "{score:?}");
}

#[test]
fn a_daily_step_is_met_before_it_comes_once_two_days_have_shown_it() {
    let (timeline, _) = run(office_days(4), &[]);
    let morning = |day: usize| {
        let first = day * 1440 + 540;
        timeline.minutes[first..first + 15].iter().map(|minute| minute.throttled_records).sum::<f64>()
    };
    assert!(morning(0) > 0.0, "nobody could know the first day");
    assert!(morning(2) < morning(0) / 50.0 && morning(3) < morning(0) / 50.0, "{} {}", morning(2), morning(3));
}

#[test]
fn on_days_that_are_alike_shards_cost_little_more_than_with_full_knowledge() {
    let scene = Scene::new(office_days(5));
    let best = Clairvoyant::plan(&scene, &Policy::default(), 1).shard_hours();
    let score = Score::of(&scene.run(&mut Weir::new(Policy::default()), 1), &terms());
    assert!(score.shard_hours / best < 1.6, "{} of {best}", score.shard_hours);
    assert!(score.calls_max_24h <= 8.0, "{score:?}");
}

#[test]
fn a_controller_that_is_started_anew_every_hour_throttles_no_worse() {
    let clear = run(tide(12), &[]).1;
    let restarted = run(tide(12), &[Fault::ControllerRestart]).1;
    assert!(restarted.throttled_pct <= 2.0 * clear.throttled_pct + 0.01, "{restarted:?}");
}

#[test]
fn a_controller_that_is_started_anew_every_hour_keeps_as_few_shards() {
    let clear = run(tide(24), &[]).1;
    let restarted = run(tide(24), &[Fault::ControllerRestart]).1;
    assert!(restarted.shard_hours <= 1.05 * clear.shard_hours, "{} of {}", restarted.shard_hours, clear.shard_hours);
}

#[test]
fn a_backlog_that_is_drained_is_not_taken_for_load() {
    // Four shards' worth need five; until they are there, clients hold minutes of it and repeat it.
    let (timeline, score) = run(demand(&[(0.5, 60), (4.0, 180)]), &[]);
    let most = timeline.minutes.iter().map(|minute| minute.shards).fold(0.0, f64::max);
    assert!(most <= 8.0, "one doubling above what is needed at most: {most}");
    assert_eq!(score.lost_pct, 0.0, "{score:?}");
}

#[test]
fn metrics_that_are_ten_minutes_late_lead_up_and_never_down() {
    let (timeline, _) = run(demand(&[(6.0, 240), (1.0, 240)]), &[Fault::ReportsAbsent, Fault::MetricsDelayed]);
    assert!(timeline.minutes[120].shards >= 6.0, "{}", timeline.minutes[120].shards);
    let down = timeline.minutes.iter().flat_map(|minute| &minute.actions).find(|call| call.to < call.from);
    assert_eq!(down, None);
}

#[test]
fn nothing_goes_down_while_nothing_is_known() {
    let load = demand(&[(6.0, 100), (1.0, 300)]);
    let (timeline, _) = run(load, &[Fault::ReportsAbsent, Fault::MetricsAbsent]);
    // CloudWatch answers nothing from 02:00 to 02:30; what it said before may lead down for six more minutes.
    let blind = timeline.minutes[127..150].iter().flat_map(|minute| &minute.actions);
    let down: Vec<_> = blind.filter(|call| call.to < call.from).collect();
    assert!(down.is_empty(), "{down:?}");
    assert!(timeline.minutes[125].shards >= 6.0);
}

#[test]
fn a_hot_shard_is_split_within_five_minutes_of_evidence() {
    let (timeline, _) = run(demand(&[(5.0, 120)]), &[Fault::HotShard]);
    // The keys turn hot at 01:00.
    let splits = timeline.minutes.iter().flat_map(|minute| &minute.actions);
    let first = splits.filter(|call| call.call == CallKind::SplitShard && call.error.is_none()).map(|call| call.at_s);
    let first = first.min().expect("a split");
    assert!((3_600..3_600 + 300).contains(&first), "{first}");
}

#[test]
fn a_hot_key_is_split_once_at_most_because_no_split_can_help_it() {
    let (timeline, _) = run(demand(&[(6.0, 180)]), &[Fault::HotKey]);
    let calls = timeline.minutes.iter().flat_map(|minute| &minute.actions);
    let splits = calls.filter(|call| call.call == CallKind::SplitShard && call.error.is_none()).count();
    assert!(splits <= 1, "{splits}");
}

#[test]
fn a_hot_key_is_reported_within_ten_minutes() {
    use controlplane::{decide::Verdict, observe::Observation, simulate::Contender};
    use jiff::Timestamp;

    struct Listener {
        weir: Weir,
        said: Option<Timestamp>,
    }
    impl Contender for Listener {
        fn name(&self) -> &str {
            "listener"
        }
        fn tick(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) -> Vec<controlplane::decide::Action> {
            let conclusion = self.weir.conclude(seen, now);
            let report = conclusion.report.hot_shard.map(|rule| rule.verdict);
            if let Some(Verdict::Held { reason, .. }) = report
                && reason.contains("key")
            {
                self.said = self.said.or(Some(now));
            }
            self.weir.tick(seen, metrics, now)
        }
        fn note(&mut self, outcome: &controlplane::decide::Outcome) {
            self.weir.note(outcome);
        }
    }
    let scene = Scene { faults: Faults::new(&[Fault::HotKey]), ..Scene::new(demand(&[(6.0, 120)])) };
    let mut listener = Listener { weir: Weir::new(Policy::default()), said: None };
    let _timeline = scene.run(&mut listener, 1);
    let said = listener.said.expect("a report of the key").as_second();
    assert!((3_600..3_600 + 600).contains(&said), "{said}");
}
