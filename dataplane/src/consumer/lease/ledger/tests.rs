use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::consumer::checkpoint::Checkpoint;

const DURATION: Duration = Duration::from_secs(6);
const TICK: Duration = Duration::from_secs(1);

fn lease(number: usize, owner: Option<&str>) -> Lease {
    let free = Lease::new(format!("shardId-{number:012}"), Checkpoint::TrimHorizon, Vec::new(), None);
    Lease { owner: owner.map(str::to_owned), ..free }
}

fn view<H: Fn(&str) -> bool>(me: &str, holds: H, now: Instant) -> View<'_, H> {
    View { me, holds, duration: DURATION, now, led: false }
}

/// A table with workers that look at it once a second and stay alive.
struct World {
    table: BTreeMap<String, Lease>,
    workers: BTreeMap<String, Ledger>,
    now: Instant,
    moves: usize,
}

impl World {
    fn new(leases: usize, workers: usize) -> Self {
        Self {
            table: (0..leases).map(|number| lease(number, None)).map(|lease| (lease.shard_id.clone(), lease)).collect(),
            workers: (0..workers).map(|number| (format!("worker-{number}"), Ledger::default())).collect(),
            now: Instant::now(),
            moves: 0,
        }
    }

    /// All workers look, then all of them write: the worst case of looking at the same time.
    fn round(&mut self) {
        self.now += TICK;
        let names: BTreeSet<_> = self.workers.keys().cloned().collect();
        for lease in
            self.table.values_mut().filter(|lease| lease.owner.as_ref().is_some_and(|owner| names.contains(owner)))
        {
            lease.counter += 1;
        }
        let mut takes = Vec::new();
        for (name, ledger) in &mut self.workers {
            ledger.observe(self.table.values().cloned().collect(), self.now);
            takes.extend(
                ledger.plan(&view(name, |_| true, self.now)).into_iter().map(|plan| (name.clone(), plan.lease.clone())),
            );
        }
        for (name, seen) in takes {
            let Some(lease) = self.table.get_mut(&seen.shard_id) else { continue };
            if lease.counter == seen.counter {
                *lease = Lease { owner: Some(name), counter: lease.counter + 1, ..seen };
                self.moves += 1;
            }
        }
    }

    fn loads(&self) -> Vec<usize> {
        let load = |name: &String| self.table.values().filter(|lease| lease.owner.as_ref() == Some(name)).count();
        self.workers.keys().map(load).collect()
    }

    fn is_balanced(&self) -> bool {
        let loads = self.loads();
        loads.iter().sum::<usize>() == self.table.len()
            && loads.iter().max().zip(loads.iter().min()).is_some_and(|(most, least)| most - least <= 1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn workers_that_stay_come_to_a_balance_and_then_leave_each_other_alone(leases in 1..60_usize, workers in 1..9_usize) {
        let mut world = World::new(leases, workers);
        for _ in 0..leases + 20 {
            world.round();
        }
        prop_assert!(world.loads().iter().all(|load| *load <= leases.div_ceil(workers)), "{:?}", world.loads());
        let moves = world.moves;
        for _ in 0..20 {
            world.round();
        }
        prop_assert_eq!(world.moves, moves, "leases still move: {:?}", world.loads());
    }

    #[test]
    fn the_leases_of_a_dead_worker_are_taken_once_its_time_is_up(leases in 2..40_usize, workers in 2..6_usize) {
        let mut world = World::new(leases, workers);
        for _ in 0..leases + 20 {
            world.round();
        }
        world.workers.remove("worker-0");
        let orphans: Vec<_> = world.table.values().filter(|lease| lease.owner.as_deref() == Some("worker-0")).map(|lease| lease.shard_id.clone()).collect();
        for _ in 0..5 {
            world.round();
        }
        prop_assert!(orphans.iter().all(|id| world.table[id].owner.as_deref() == Some("worker-0")), "taken from a worker that may live");
        for _ in 0..15 {
            world.round();
        }
        prop_assert!(world.table.values().all(|lease| lease.owner.as_deref() != Some("worker-0")));
    }
}

#[test]
fn a_newcomer_takes_one_lease_at_a_time_from_the_worker_that_has_most() {
    let now = Instant::now();
    let mut ledger = Ledger::default();
    let leases = (0..9).map(|number| lease(number, Some(if number < 6 { "rich" } else { "poor" })));
    ledger.observe(leases.collect(), now);
    let plan = ledger.plan(&view("new", |_| true, now));
    assert_eq!(plan.len(), 1);
    assert_eq!(plan[0].lease.owner.as_deref(), Some("rich"));
}

#[test]
fn nine_leases_end_up_three_each_after_a_third_worker_joins() {
    let mut world = World::new(9, 2);
    for _ in 0..10 {
        world.round();
    }
    world.workers.insert("worker-2".to_owned(), Ledger::default());
    for _ in 0..10 {
        world.round();
    }
    assert!(world.is_balanced(), "{:?}", world.loads());
}

#[test]
fn finished_leases_count_for_nobody() {
    let now = Instant::now();
    let mut ledger = Ledger::default();
    let done = Lease { checkpoint: Checkpoint::ShardEnd, ..lease(0, None) };
    ledger.observe(vec![done, lease(1, Some("other"))], now);
    assert!(ledger.plan(&view("me", |_| true, now)).is_empty());
}

#[test]
fn beside_a_kcl_a_lease_of_weir_is_asked_for_and_one_of_a_kcl_is_taken() {
    let now = Instant::now();
    for (rich, how) in [("weir/rich", How::Ask), ("rich", How::Take)] {
        let mut ledger = Ledger::default();
        ledger.observe((0..5).map(|number| lease(number, Some(if number < 4 { rich } else { "kcl" }))).collect(), now);
        let plan = ledger.plan(&view("weir/new", |_| true, now));
        assert_eq!(plan.iter().map(|plan| plan.how).collect::<Vec<_>>(), [how]);
    }
}

#[test]
fn a_worker_is_exposed_while_a_kcl_would_steal_from_it() {
    let now = Instant::now();
    // What each worker has, and whether `weir/me` is stolen from.
    for (loads, exposed) in [
        (vec![("weir/me", 4), ("kcl", 1)], true),
        (vec![("weir/me", 3), ("kcl", 2)], false),
        (vec![("weir/me", 3), ("weir/other", 4), ("kcl", 1)], false),
        (vec![("weir/me", 3), ("weir/other", 3), ("kcl", 1)], true),
        (vec![("weir/me", 3), ("weir/other", 1)], false),
        (vec![("weir/me", 4)], false),
    ] {
        let owners = loads.iter().flat_map(|(owner, load)| vec![*owner; *load]);
        let mut ledger = Ledger::default();
        ledger.observe(owners.enumerate().map(|(number, owner)| lease(number, Some(owner))).collect(), now);
        assert_eq!(ledger.is_exposed(&view("weir/me", |_| true, now)), exposed, "{loads:?}");
    }
}

#[test]
fn a_worker_that_gives_up_leases_is_not_dealt_them_again() {
    let now = Instant::now();
    let mut ledger = Ledger::default();
    let given_up = |number| Lease { released_by: Some("weir/leaving".to_owned()), ..lease(number, None) };
    let mut leases: Vec<_> = (1..4).map(given_up).collect();
    leases.extend([lease(0, Some("weir/leaving")), lease(4, Some("weir/me"))]);
    ledger.observe(leases, now);
    assert_eq!(ledger.plan(&view("weir/me", |_| true, now)).len(), 3);
}

#[test]
fn a_kcl_is_given_its_own_time_before_its_leases_are_taken() {
    let (now, mut ledger) = (Instant::now(), Ledger::default());
    ledger.observe(vec![lease(0, Some("kcl"))], now);
    let after = |seconds| now + Duration::from_secs(seconds);
    assert!(ledger.plan(&view("weir/me", |_| true, after(9))).is_empty());
    assert_eq!(ledger.plan(&view("weir/me", |_| true, after(11))).len(), 1);
}

#[test]
fn the_next_expiry_is_that_of_the_lease_that_stood_still_for_longest() {
    let (now, mut ledger) = (Instant::now(), Ledger::default());
    let after = |seconds| now + Duration::from_secs(seconds);
    let finished = Lease { checkpoint: Checkpoint::ShardEnd, ..lease(3, Some("weir/gone")) };
    let leases = [lease(0, Some("weir/dead")), lease(1, Some("weir/me")), lease(2, Some("kcl")), finished];
    ledger.observe(leases.to_vec(), now);
    let next = |ledger: &Ledger, seconds| ledger.next_expiry(&view("weir/me", |_| true, after(seconds)));
    assert_eq!(next(&ledger, 1), Some(now + DURATION));
    // At its expiry a lease still is its owner's, and a moment later it is nobody's.
    assert!(ledger.plan(&view("weir/other", |_| true, now + DURATION)).is_empty());
    assert_eq!(next(&ledger, 7), Some(after(10)), "a KCL is given its own time");
    let renewed = Lease { counter: 1, ..lease(0, Some("weir/dead")) };
    ledger.observe(vec![renewed], after(3));
    assert_eq!(next(&ledger, 4), Some(after(3) + DURATION));
    assert_eq!(next(&ledger, 20), None);
}

#[test]
fn a_lease_that_was_given_up_in_silence_is_taken_again_at_once() {
    let now = Instant::now();
    let mut ledger = Ledger::default();
    ledger.observe(vec![lease(0, Some("me"))], now);
    assert!(ledger.plan(&view("me", |_| true, now)).is_empty());
    assert_eq!(ledger.plan(&view("me", |_| false, now)).len(), 1);
}

#[test]
fn a_child_waits_for_the_end_of_every_parent() {
    let mut ledger = Ledger::default();
    let child = Lease { parents: vec![lease(0, None).shard_id, lease(1, None).shard_id], ..lease(2, None) };
    let finished = |number| Lease { checkpoint: Checkpoint::ShardEnd, ..lease(number, None) };
    ledger.observe(vec![finished(0), lease(1, None), child.clone()], Instant::now());
    assert!(!ledger.parents_are_finished(&child));
    ledger.observe(vec![finished(1), child.clone()], Instant::now());
    assert!(ledger.parents_are_finished(&child), "the first parent's lease is gone, the second's is finished");
}

#[test]
fn under_the_leader_of_a_kcl_3_only_what_is_assigned_is_taken() {
    let (now, mut ledger) = (Instant::now(), Ledger::default());
    let handed_over = Lease { checkpoint_owner: Some("kcl".to_owned()), ..lease(2, Some("weir/me")) };
    ledger.observe(vec![lease(0, None), lease(1, Some("weir/me")), handed_over, lease(3, Some("kcl"))], now);
    let led = View { led: true, ..view("weir/me", |_| false, now) };
    let plan: Vec<_> = ledger.plan(&led).into_iter().map(|plan| plan.lease.shard_id.clone()).collect();
    assert_eq!(plan, [lease(1, None).shard_id]);
    assert_eq!(ledger.fleet(&View { led: true, ..view("weir/me", |_| true, now) }), (4, 2));
}
