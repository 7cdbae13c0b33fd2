//! What any world must hold to, whoever steers in it.

use controlplane::{
    decide::Action,
    observe::Observation,
    policy::Policy,
    simulate::{CallKind, Contender, Demand, Fault, Faults, Metrics, Physics, Scene, Setup, Timeline, Weir},
    units::ShardCount,
};
use jiff::Timestamp;

/// A load of so many full shards for so many minutes each.
pub(crate) fn demand(parts: &[(f64, usize)]) -> Demand {
    let shards: Vec<f64> = parts.iter().flat_map(|(shards, minutes)| vec![*shards; *minutes]).collect();
    Demand { start: Timestamp::UNIX_EPOCH, known: vec![true; shards.len()], shards }
}

/// Nobody changes anything.
struct Nobody(u32);

impl Contender for Nobody {
    fn name(&self) -> &str {
        "nobody"
    }

    fn setup(&self) -> Setup {
        Setup { shards: Some(self.0), producers: Some(4), consumers: Some(8), ..Setup::default() }
    }

    fn tick(&mut self, _seen: &Observation, _metrics: &Metrics, _now: Timestamp) -> Vec<Action> {
        Vec::new()
    }
}

/// Asks for one more shard at every look.
struct Greedy;

impl Contender for Greedy {
    fn name(&self) -> &str {
        "greedy"
    }

    fn tick(&mut self, seen: &Observation, _metrics: &Metrics, _now: Timestamp) -> Vec<Action> {
        let Some(from) = seen.stream.open_shards.map(|open| open.value) else { return Vec::new() };
        let to = ShardCount(if from.0 > 2 { from.0 - 1 } else { from.0 + 1 });
        vec![Action::UpdateShardCount { stream: seen.stream.name.clone(), from, to }]
    }
}

fn total(timeline: &Timeline, of: fn(&controlplane::simulate::Minute) -> f64) -> f64 {
    timeline.minutes.iter().map(of).sum()
}

#[test]
fn too_few_shards_throttle_what_they_cannot_take_and_lose_what_waits_too_long() {
    let physics = Physics { bursts: false, ..Physics::default() };
    let scene = Scene { physics, ..Scene::new(demand(&[(3.0, 60)])) };
    let timeline = scene.run(&mut Nobody(2), 1);
    let records = total(&timeline, |minute| minute.records);
    let throttled = total(&timeline, |minute| minute.throttled_records) / records;
    let lost = total(&timeline, |minute| minute.lost_records) / records;
    assert!((throttled - 1.0 / 3.0).abs() < 0.01, "{throttled}");
    assert!((0.2..1.0 / 3.0).contains(&lost), "{lost}");
}

#[test]
fn enough_shards_for_the_mean_but_not_for_the_bursts_throttle_a_little_and_lose_nothing() {
    let timeline = Scene::new(demand(&[(9.0, 120)])).run(&mut Nobody(10), 1);
    let records = total(&timeline, |minute| minute.records);
    let throttled = total(&timeline, |minute| minute.throttled_records) / records;
    assert!(throttled > 0.0 && throttled < 0.01, "{throttled}");
    assert_eq!(total(&timeline, |minute| minute.lost_records), 0.0);
}

#[test]
fn a_seed_repeats_a_run_exactly_and_another_does_not() {
    let scene = Scene { faults: Faults::new(&Fault::ALL), ..Scene::new(demand(&[(1.0, 90), (5.0, 90)])) };
    let run = |seed| scene.run(&mut Weir::new(Policy::default()), seed);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_contender_that_asks_without_end_gets_ten_calls_in_a_day() {
    let timeline = Scene::new(demand(&[(1.0, 600)])).run(&mut Greedy, 1);
    let calls = timeline.minutes.iter().flat_map(|minute| &minute.actions);
    let done = calls.clone().filter(|call| call.call == CallKind::UpdateShardCount && call.error.is_none()).count();
    assert_eq!(done, 10);
    assert!(calls.filter(|call| call.error.as_deref() == Some("LimitExceededException")).count() > 100);
}

#[test]
fn weir_follows_a_load_up_and_down_without_losing_a_record() {
    let timeline = Scene::new(demand(&[(1.0, 60), (4.0, 120), (1.0, 240)])).run(&mut Weir::new(Policy::default()), 1);
    let shards: Vec<_> = timeline.minutes.iter().map(|minute| minute.shards).collect();
    assert!(shards[170] >= 5.0, "{shards:?}");
    // How far down it goes depends on what the steps up have left of the day's calls.
    let highest = shards.iter().copied().fold(0.0, f64::max);
    assert!(*shards.last().unwrap() <= 0.6 * highest, "{shards:?}");
    assert_eq!(total(&timeline, |minute| minute.lost_records), 0.0);
}
