//! What holds for every policy and every world.

use controlplane::{
    decide::{Action, ActionResult, History, Outcome, Service, decide, elapsed},
    limits::DAILY_RESHARDS,
    policy::Policy,
    units::{Fraction, Millis, ShardCount, TaskCount},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::scenario::World;

fn policies() -> impl Strategy<Value = Policy> {
    let counts = || (1u32..20, 0u32..20).prop_map(|(low, more)| (low, low + more));
    (counts(), counts(), counts(), 0u32..=10, any::<bool>(), 0.3..0.9f64).prop_map(
        |(shards, producers, consumers, reshards, allow_scale_down, target)| {
            let mut policy = Policy::default();
            (policy.stream.min_shards, policy.stream.max_shards) = (ShardCount(shards.0), ShardCount(shards.1));
            (policy.producer.min_tasks, policy.producer.max_tasks) = (TaskCount(producers.0), TaskCount(producers.1));
            (policy.consumer.min_tasks, policy.consumer.max_tasks) = (TaskCount(consumers.0), TaskCount(consumers.1));
            policy.stream.target_utilization = Fraction(target);
            policy.guard.allow_scale_down = allow_scale_down;
            policy.guard.daily_reshards = reshards;
            policy.guard.reserved_for_up = reshards / 2;
            policy.guard.confirm_up = Millis(0);
            policy.guard.shards_stabilization = Millis(300_000);
            policy.guard.tasks_stabilization = Millis(300_000);
            policy.guard.shards_down_cooldown = Millis(60_000);
            policy
        },
    )
}

const UNKNOWABLE: [&str; 13] = [
    "status",
    "shards",
    "parents",
    "leases",
    "offered",
    "incoming",
    "throttled",
    "processed",
    "lag",
    "busy",
    "backlog",
    "cpu",
    "tasks",
];

fn worlds() -> impl Strategy<Value = World> {
    let load = (0.0..20.0f64, 0.0..20_000.0f64, prop_oneof![3 => Just(0.0), 1 => 0.0..5_000.0f64]);
    let counts = (1u32..30, 1u32..30, 1u32..30);
    let work = (0.0..20.0f64, 0.0..20.0f64, prop_oneof![3 => 0.0..50.0f64, 1 => 0.0..5_000.0f64], 0.0..1e6f64);
    let state = (prop::bool::weighted(0.1), prop_oneof![4 => Just(0u32), 1 => 1u32..4]);
    let unknown = prop::collection::vec(prop::sample::select(&UNKNOWABLE[..]), 0..3);
    let keys = (prop::collection::vec(0.0..1.5f64, 0..12), prop::option::of((0.0..1.0f64, 0.0..1.5f64)));
    (load, counts, work, state, unknown, keys).prop_map(|(load, counts, work, state, unknown, keys)| World {
        hot_shards: keys.0,
        hot_key: keys.1,
        offered_mib: load.0,
        offered_records: load.1,
        incoming_mib: Some(load.0.min(f64::from(counts.0))),
        throttled: load.2,
        shards: counts.0,
        producers: counts.1,
        consumers: counts.2,
        producer_work: work.0,
        consumer_work: work.1,
        lag_s: work.2,
        backlog: work.3,
        status: if state.0 { "UPDATING" } else { "ACTIVE" }.to_owned(),
        undrained_parents: state.1,
        unknown: unknown.into_iter().map(str::to_owned).collect(),
        ..World::default()
    })
}

fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365)
}

/// A history in which every window is full and every cool-down over, so that nothing but the world holds a change.
fn settled() -> History {
    let mut history = History::default();
    for track in [&mut history.shards, &mut history.producers, &mut history.consumers] {
        track.watched_since = Some(start() - SignedDuration::from_hours(2));
        track.watched_until = Some(start() - SignedDuration::from_secs(15));
    }
    history
}

/// The counts before and after an action.
fn counts(world: &World, action: &Action) -> (u32, u32) {
    match action {
        Action::SplitShard { .. } => (world.shards, world.shards + 1),
        Action::MergeShards { .. } => (world.shards, world.shards - 1),
        action => action.from_to(),
    }
}

fn changes_stream(action: &Action) -> bool {
    !matches!(action, Action::UpdateService { .. })
}

fn bounds(policy: &Policy, action: &Action) -> (u32, u32) {
    match action {
        Action::UpdateShardCount { .. } => (policy.stream.min_shards.0, policy.stream.max_shards.0),
        Action::SplitShard { .. } | Action::MergeShards { .. } => {
            (policy.stream.min_shards.0, policy.stream.max_shards.0)
        }
        Action::UpdateStreamWarmThroughput { .. } => (0, u32::MAX),
        Action::UpdateService { service: Service::Producer, .. } => {
            (policy.producer.min_tasks.0, policy.producer.max_tasks.0)
        }
        Action::UpdateService { service: Service::Consumer, .. } => {
            (policy.consumer.min_tasks.0, policy.consumer.max_tasks.0)
        }
    }
}

/// How many shards there are after one decision.
fn shards_after(policy: &Policy, world: &World) -> u32 {
    let plan = decide(policy, &world.observation(start()), &settled(), start()).plan;
    let change = plan.actions.iter().find(|action| matches!(action, Action::UpdateShardCount { .. }));
    change.map_or(world.shards, |action| counts(world, action).1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_target_is_within_the_bounds_or_on_the_way_into_them(policy in policies(), world in worlds()) {
        let plan = decide(&policy, &world.observation(start()), &settled(), start()).plan;
        for action in &plan.actions {
            let ((from, to), (min, max)) = (counts(&world, action), bounds(&policy, action));
            prop_assert_ne!(from, to);
            let towards = (from < min && from < to && to <= max) || (from > max && min <= to && to < from);
            prop_assert!((min..=max).contains(&to) || towards, "{action:?} outside {min}..={max}");
        }
    }

    #[test]
    fn a_reshard_goes_to_between_half_and_double(policy in policies(), world in worlds()) {
        let to = shards_after(&policy, &world);
        prop_assert!(world.shards.div_ceil(2) <= to && to <= world.shards * 2, "{} to {to}", world.shards);
    }

    #[test]
    fn nothing_goes_down_on_missing_data(policy in policies(), world in worlds(), hidden in 0..UNKNOWABLE.len()) {
        let mut world = world;
        world.unknown = vec![UNKNOWABLE[hidden].to_owned()];
        let matters = |action: &Action| match (action, UNKNOWABLE[hidden]) {
            (Action::UpdateShardCount { .. }, name) => ["status", "shards", "parents", "incoming", "throttled", "lag"].contains(&name),
            (Action::SplitShard { .. } | Action::MergeShards { .. } | Action::UpdateStreamWarmThroughput { .. }, _) => true,
            (Action::UpdateService { service: Service::Producer, .. }, name) => ["cpu", "tasks"].contains(&name),
            (Action::UpdateService { service: Service::Consumer, .. }, name) => ["parents", "lag", "tasks"].contains(&name),
        };
        let plan = decide(&policy, &world.observation(start()), &settled(), start()).plan;
        for action in plan.actions.iter().filter(|action| matters(action)) {
            let (from, to) = counts(&world, action);
            prop_assert!(from < to, "{action:?} although {} is not known", UNKNOWABLE[hidden]);
        }
    }

    #[test]
    fn more_load_never_makes_fewer_shards(policy in policies(), world in worlds(), more in 1.0..4.0f64) {
        // A shard that is hot alone keeps what there is, and is no exception any more once the others are as full.
        let world = World { hot_shards: Vec::new(), ..world };
        let more = World {
            offered_mib: world.offered_mib * more,
            offered_records: world.offered_records * more,
            incoming_mib: world.incoming_mib.map(|rate| rate * more),
            ..world.clone()
        };
        prop_assume!(world.throttled == 0.0);
        let (less, more) = (shards_after(&policy, &world), shards_after(&policy, &more));
        prop_assert!(less <= more, "{less} shards for less and {more} for more");
    }

    #[test]
    fn the_order_in_which_things_are_seen_changes_nothing(
        policy in policies(),
        world in worlds(),
        seed in any::<u64>(),
    ) {
        let seen = world.observation(start());
        let mut shuffled = seen.clone();
        // A walk with a step that is coprime to the length is a permutation of every list.
        let step = (1..).map(|more| (seed as usize % 97) + more).find(|step| {
            let len = shuffled.load.shards.len().max(1);
            (1..=*step).all(|divisor| divisor == 1 || step % divisor > 0 || len % divisor > 0)
        });
        let len = seen.load.shards.len();
        shuffled.load.shards = (0..len).map(|index| seen.load.shards[index * step.unwrap() % len].clone()).collect();
        let (one, other) = (decide(&policy, &seen, &settled(), start()), decide(&policy, &shuffled, &settled(), start()));
        prop_assert_eq!(one.plan, other.plan);
        prop_assert_eq!(one.report, other.report);
    }

    #[test]
    fn nothing_changes_while_the_stream_is_updating(policy in policies(), world in worlds()) {
        let world = World { status: "UPDATING".to_owned(), ..world };
        prop_assert_eq!(shards_after(&policy, &world), world.shards);
    }
}

/// After how many ticks the shards go down for the second time, when the clock jumps by `jump` after the first time.
fn ticks_between_two_steps_down(jump: SignedDuration) -> usize {
    let policy = Policy::parse("version = 1\n[guard]\nshards_stabilization = \"10min\"").unwrap();
    let mut world = World { shards: 8, offered_mib: 0.1, offered_records: 100.0, ..World::default() };
    let (mut history, mut now, mut went_down) = (History::default(), start(), None);
    for tick in 0..1_000_usize {
        now += SignedDuration::from_secs(15);
        let conclusion = decide(&policy, &world.observation(now), &history, now);
        history = conclusion.history;
        for action in conclusion.plan.actions {
            let result = world.apply(&action);
            let reshard = matches!(action, Action::UpdateShardCount { .. });
            history.note(&Outcome { action, at: now, result });
            match went_down.filter(|_| reshard) {
                Some(first) => return tick - first,
                None if reshard => {
                    went_down = Some(tick);
                    now += jump;
                }
                None => {}
            }
        }
    }
    panic!("the shards went down once only");
}

#[test]
fn a_clock_that_is_set_back_neither_ends_a_cool_down_nor_makes_it_longer() {
    let steady = ticks_between_two_steps_down(SignedDuration::ZERO);
    assert_eq!(steady, 120, "half an hour");
    let back = ticks_between_two_steps_down(SignedDuration::from_hours(-1));
    assert!(back.abs_diff(steady) <= 1, "{back} ticks instead of {steady}");
}

#[test]
fn a_clock_that_is_set_forward_still_leaves_the_whole_window_before_the_next_step_down() {
    let forward = ticks_between_two_steps_down(SignedDuration::from_hours(1));
    assert!((40..=41).contains(&forward), "{forward} ticks instead of ten minutes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn single_shards_change_one_at_a_time_within_their_ranges_and_the_bounds(
        policy in policies(),
        phases in prop::collection::vec(
            (prop::collection::vec(0.0..1.4f64, 8), prop::option::of((0.0..1.0f64, 0.0..1.4f64)), 10usize..90), 2..6),
    ) {
        let mut world = World { shards: policy.stream.min_shards.0, ..World::default() };
        let (mut history, mut now) = (History::default(), start());
        for (parts, key, minutes) in phases {
            let total = parts.iter().sum::<f64>() + key.map_or(0.0, |key| key.1);
            (world.hot_shards, world.hot_key) = (parts, key);
            for _ in 0..minutes {
                now += SignedDuration::from_mins(1);
                (world.offered_mib, world.offered_records) = (total, total * 1e3);
                world.incoming_mib = Some(total.min(f64::from(world.shards)));
                let conclusion = decide(&policy, &world.observation(now), &history, now);
                history = conclusion.history;
                let stream = conclusion.plan.actions.iter().filter(|action| changes_stream(action)).count();
                prop_assert!(stream <= 1, "{:?}", conclusion.plan);
                for action in conclusion.plan.actions {
                    // The world refuses cuts at the edge of a range and merges of shards that are no neighbours.
                    let result = world.apply(&action);
                    history.note(&Outcome { action, at: now, result });
                }
                let bounds = policy.stream.min_shards.0..=policy.stream.max_shards.0;
                prop_assert!(bounds.contains(&world.shards), "{} shards outside {bounds:?}", world.shards);
            }
        }
    }

    #[test]
    fn a_day_of_any_load_stays_within_the_calls_and_never_flaps(
        policy in policies(),
        loads in prop::collection::vec((0.0..25.0f64, prop::bool::weighted(0.1), 1usize..40), 10..60),
    ) {
        let mut world = World { shards: policy.stream.min_shards.0, ..World::default() };
        let (mut history, mut now, mut calls) = (History::default(), start(), Vec::<(Timestamp, u32, u32)>::new());
        for (mib, blind, minutes) in loads {
            world.offered_mib = mib;
            world.unknown = if blind { vec!["incoming".to_owned()] } else { Vec::new() };
            for _ in 0..minutes {
                now += SignedDuration::from_mins(1);
                world.incoming_mib = Some(mib.min(f64::from(world.shards)));
                world.throttled = if mib > f64::from(world.shards) { 100.0 } else { 0.0 };
                let conclusion = decide(&policy, &world.observation(now), &history, now);
                history = conclusion.history;
                for action in conclusion.plan.actions {
                    if let Action::UpdateShardCount { from, to, .. } = action {
                        calls.push((now, from.0, to.0));
                        world.shards = to.0;
                    }
                    history.note(&Outcome { action, at: now, result: ActionResult::Done });
                }
            }
        }
        for (at, from, to) in &calls {
            let day: Vec<_> = calls.iter().filter(|call| call.0 <= *at && elapsed(call.0, *at) < Millis(86_400_000)).collect();
            prop_assert!(day.len() <= DAILY_RESHARDS as usize, "{} calls within a day", day.len());
            let risen = calls.iter().any(|call| call.0 < *at && call.1 < call.2 && elapsed(call.0, *at) < policy.guard.shards_stabilization);
            let bounded = *from > policy.stream.max_shards.0;
            prop_assert!(to > from || bounded || !risen, "down at {at} soon after going up");
        }
    }
}
