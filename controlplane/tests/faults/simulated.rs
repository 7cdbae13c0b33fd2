//! Faults in simulated worlds (F5, F6, F8, F10, F12-F14, F33): the real `decide`, hours of load in seconds.
//!
//! `WEIR_SEEDS=10000 cargo test -p controlplane --test faults simulated` runs 10,000 worlds; `WEIR_SEED=17` runs one.

use std::{env, ops::Range};

use controlplane::{
    decide::{Action, History, decide},
    observe::{Observation, ShardLoad},
    policy::Policy,
    simulate::{Call, CallKind, Contender, Demand, Fault, Faults, Metrics, Scene, Timeline, Weir},
    units::{BytesPerSecond, Fraction, RecordsPerSecond, ShardCount},
};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// Worlds of one run, unless `WEIR_SEEDS` says how many.
const SEEDS: u64 = 200;

const DAY_S: u32 = 24 * 3_600;

/// The policy of most worlds: short windows, so that hours are enough to see everything.
const POLICY: &str = "version = 1\n[stream]\nmax_shards = 12\n[guard]\nshards_stabilization = \"10min\"\n\
                      shards_down_cooldown = \"10min\"\ntasks_stabilization = \"5min\"";

fn policy() -> Policy {
    Policy::parse(POLICY).unwrap()
}

fn demand(shards: Vec<f64>) -> Demand {
    Demand { start: Timestamp::UNIX_EPOCH, known: vec![true; shards.len()], shards }
}

/// Weir, seeing the world through damaged glasses.
struct Damaged {
    weir: Weir,
    chance: Xoshiro256PlusPlus,
    /// How much faster its clock runs, and from when on it is an hour ahead.
    rate: f64,
    jump_at: Timestamp,
}

impl Contender for Damaged {
    fn name(&self) -> &str {
        "damaged"
    }

    fn tick(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) -> Vec<Action> {
        let mut seen = seen.clone();
        damage(&mut seen, &mut self.chance);
        let millis = (now.as_millisecond() as f64 * self.rate) as i64;
        let jump = if now >= self.jump_at { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
        seen.at = Timestamp::from_millisecond(millis).unwrap() + jump;
        let at = seen.at;
        self.weir.tick(&seen, metrics, at)
    }

    fn note(&mut self, outcome: &controlplane::decide::Outcome) {
        self.weir.note(outcome);
    }

    fn restart(&mut self, ledger: &[Timestamp], now: Timestamp) {
        self.weir.restart(ledger, now);
    }
}

/// What no measurement can be, in one look of four; whatever else is missing is missing.
fn damage(seen: &mut Observation, chance: &mut impl Rng) {
    let wrong = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300];
    let wrong = wrong[chance.random_range(0..wrong.len())];
    let load = &mut seen.load;
    match chance.random_range(0..32) {
        0 => load.incoming_records.iter_mut().for_each(|it| it.value = RecordsPerSecond(wrong)),
        1 => load.incoming_bytes.iter_mut().for_each(|it| it.value = BytesPerSecond(wrong)),
        2 => load.throttled_records.iter_mut().for_each(|it| it.value = RecordsPerSecond(wrong)),
        3 => load.consumer_busy.iter_mut().for_each(|it| it.value = Fraction(wrong)),
        4 => seen.producer.cpu.iter_mut().for_each(|it| it.value = Fraction(wrong)),
        5 => load.shards.iter_mut().for_each(|it| it.bytes = BytesPerSecond(wrong)),
        6 => seen.stream.status.iter_mut().for_each(|it| it.value = "NEW_STATUS".to_owned()),
        7 => seen.stream.open_shards = None,
        _ => {}
    }
}

fn calls(timeline: &Timeline) -> impl Iterator<Item = &Call> {
    timeline.minutes.iter().flat_map(|minute| &minute.actions)
}

/// Counts that a policy and AWS allow, whatever was seen.
fn keeps_the_limits(timeline: &Timeline, policy: &Policy) {
    // What AWS has refused it does not count; what it has not answered it may.
    let is_counted = |call: &&Call| call.error.as_ref().is_none_or(|error| error == "Unknown");
    let reshards = calls(timeline).filter(|call| call.call == CallKind::UpdateShardCount).filter(is_counted);
    let reshards: Vec<_> = reshards.collect();
    for call in calls(timeline) {
        let range: Range<u32> = match call.call {
            CallKind::UpdateShardCount => policy.stream.min_shards.0..policy.stream.max_shards.0 + 1,
            CallKind::UpdateProducerService => policy.producer.min_tasks.0..policy.producer.max_tasks.0 + 1,
            CallKind::UpdateConsumerService => policy.consumer.min_tasks.0..policy.consumer.max_tasks.0 + 1,
            CallKind::SplitShard | CallKind::MergeShards | CallKind::UpdateStreamWarmThroughput => continue,
        };
        assert!(range.contains(&call.to), "{call:?} leaves {range:?}");
        let step = call.from.div_ceil(2)..=call.from * 2;
        assert!(call.call != CallKind::UpdateShardCount || step.contains(&call.to), "{call:?} is no step of AWS");
    }
    for (place, call) in reshards.iter().enumerate() {
        let day = reshards[..=place].iter().filter(|before| call.at_s - before.at_s < DAY_S);
        assert!(day.count() <= 10, "more than ten calls in the day before {call:?}");
    }
    let in_use = calls(timeline).find(|call| call.error.as_deref() == Some("ResourceInUseException"));
    assert!(in_use.is_none(), "a stream that was changing was asked to change: {in_use:?}");
}

/// One world: a load of steps and waves, some faults, and damaged glasses.
fn world(seed: u64) -> (Timeline, Vec<Fault>) {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut shards = Vec::new();
    while shards.len() < 120 {
        let (level, minutes): (f64, usize) = (chance.random_range(0.1..14.0), chance.random_range(5..40));
        shards.extend(std::iter::repeat_n(level, minutes));
    }
    let faults: Vec<_> = Fault::ALL.into_iter().filter(|_| chance.random_bool(0.3)).collect();
    let scene = Scene { faults: Faults::new(&faults), ..Scene::new(demand(shards)) };
    let mut damaged = Damaged {
        weir: Weir::new(policy()),
        rate: chance.random_range(0.9..1.1),
        jump_at: Timestamp::from_second(chance.random_range(0..10_000)).unwrap(),
        chance,
    };
    (scene.run(&mut damaged, seed), faults)
}

fn seeds() -> Range<u64> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("WEIR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WEIR_SEEDS").unwrap_or(SEEDS),
    }
}

#[test]
fn whatever_is_wrong_with_a_world_its_limits_are_kept() {
    let run = |seeds: Range<u64>| {
        for seed in seeds {
            let checked = std::panic::catch_unwind(|| {
                let (timeline, faults) = world(seed);
                println!("seed {seed}: {faults:?}");
                keeps_the_limits(&timeline, &policy());
            });
            assert!(checked.is_ok(), "WEIR_SEED={seed} repeats it");
        }
    };
    let seeds = seeds();
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    std::thread::scope(|scope| {
        let halves = [seeds.start..middle, middle..seeds.end].map(|half| scope.spawn(|| run(half)));
        for half in halves {
            half.join().unwrap();
        }
    });
}

#[test]
fn a_load_that_is_stuck_above_everything_ends_at_the_cap_and_no_call_follows() {
    let timeline = Scene::new(demand(vec![60.0; 24 * 60])).run(&mut Weir::new(policy()), 1);
    keeps_the_limits(&timeline, &policy());
    let shards = timeline.minutes.last().unwrap().shards;
    assert!((shards - 12.0).abs() < 0.01, "{shards} shards");
    let late: Vec<_> = calls(&timeline).filter(|call| call.at_s > 2 * 3_600).collect();
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_load_that_swings_as_fast_as_the_cooldowns_is_not_followed_down_and_up() {
    // A half to double the cool-down of 30 minutes, under the default policy.
    let policy = Policy::parse("version = 1\n[stream]\nmax_shards = 12").unwrap();
    for half_period in [15, 30, 45, 60] {
        let wave = (0..24 * 60).map(|minute| if minute / half_period % 2 == 0 { 6.0 } else { 1.0 }).collect();
        let timeline = Scene::new(demand(wave)).run(&mut Weir::new(policy.clone()), 1);
        keeps_the_limits(&timeline, &policy);
        let ups: Vec<_> = calls(&timeline)
            .filter(|call| call.call.reshards() && call.error.is_none())
            .map(|call| (call.at_s, call.to > call.from))
            .collect();
        let turns: Vec<_> = ups.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| pair[1].0).collect();
        let of_an_hour = |from: &u32| turns.iter().filter(|at| (*from..from + 3_600).contains(at)).count();
        let worst = turns.iter().map(of_an_hour).max().unwrap_or_default();
        assert!(worst <= 4, "half a period of {half_period} min: {turns:?}");
    }
}

#[test]
fn one_hot_key_is_not_met_with_ever_more_shards() {
    let faults = Faults::new(&[Fault::HotKey]);
    let scene = Scene { faults, ..Scene::new(demand(vec![7.0; 8 * 60])) };
    let policy = Policy::parse("version = 1\n[stream]\nmax_shards = 64").unwrap();
    let timeline = scene.run(&mut Weir::new(policy.clone()), 1);
    keeps_the_limits(&timeline, &policy);
    let most = timeline.minutes.iter().map(|minute| minute.shards).fold(0.0, f64::max);
    assert!(most < 32.0, "{most} shards against one key that no number of shards divides");
}

#[test]
fn ten_thousand_shards_of_nonsense_are_decided_upon_without_an_action() {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(33);
    let mut seen = Observation::default();
    seen.load.shards = (0..10_000)
        .map(|number| ShardLoad {
            shard_id: format!("shardId-{number:012}"),
            bytes: BytesPerSecond(f64::NAN),
            records: RecordsPerSecond(f64::INFINITY),
            starting_hash_key: Some(u128::MAX - number),
            ending_hash_key: Some(number),
            slices: vec![f32::NAN; 16],
            ..ShardLoad::default()
        })
        .collect();
    let reading = |value: &str| controlplane::observe::Reading {
        value: value.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        source: controlplane::observe::Source::Kinesis,
    };
    for status in ["ACTIVE", "UPDATING", "", "SOMETHING_NEW"] {
        seen.stream.status = Some(reading(status));
        let count = reading("");
        seen.stream.open_shards =
            Some(controlplane::observe::Reading { value: ShardCount(10_000), at: count.at, source: count.source });
        damage(&mut seen, &mut chance);
        let conclusion = decide(&policy(), &seen, &History::default(), Timestamp::UNIX_EPOCH);
        let reshards = conclusion
            .plan
            .actions
            .iter()
            .filter(|action| matches!(action, Action::SplitShard { .. } | Action::MergeShards { .. }));
        assert_eq!(reshards.count(), 0, "{status}: {:?}", conclusion.plan);
    }
}
