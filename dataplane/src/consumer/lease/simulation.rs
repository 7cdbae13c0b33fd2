//! Two thousand shards and fifty workers, with the algorithm as it is and a table in memory.
//!
//! A round is a look of every worker at the same state, then all their writes: the worst case of looking at once.

mod storm;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{How, Lease, Ledger, Load, View};
use crate::consumer::checkpoint::Checkpoint;

const DURATION: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_millis(1667);
const SHARDS: usize = 2000;
const WORKERS: usize = 50;

/// The gap between the most and the least that is a balance, as a part of the average.
const BALANCE: f64 = 0.1;

struct Fleet {
    table: BTreeMap<String, Lease>,
    /// Workers, and which of the ledgers is theirs: those that began together have seen the same.
    workers: BTreeMap<String, usize>,
    ledgers: Vec<Ledger>,
    now: Instant,
    /// Writes that were tried and that succeeded.
    tried: usize,
    moved: usize,
}

impl Fleet {
    fn new(workers: usize) -> Self {
        let lease = |number| Lease::new(format!("shardId-{number:012}"), Checkpoint::TrimHorizon, Vec::new(), None);
        let table = (0..SHARDS).map(lease).map(|lease| (lease.shard_id.clone(), lease)).collect();
        let mut fleet =
            Self { table, workers: BTreeMap::new(), ledgers: Vec::new(), now: Instant::now(), tried: 0, moved: 0 };
        fleet.join(0..workers);
        fleet
    }

    fn join(&mut self, numbers: std::ops::Range<usize>) {
        let ledger = self.ledgers.len();
        self.ledgers.push(Ledger::default());
        self.workers.extend(numbers.map(|number| (format!("weir/worker-{number:02}"), ledger)));
    }

    /// What the workers write in a round: tried and done.
    fn round(&mut self) -> (usize, usize) {
        self.now += ROUND;
        let alive: BTreeSet<_> = self.workers.keys().cloned().collect();
        let is_alive = |lease: &&mut Lease| lease.owner.as_ref().is_some_and(|owner| alive.contains(owner));
        self.table.values_mut().filter(is_alive).for_each(|lease| lease.counter += 1);
        let mut writes = Vec::new();
        for ledger in &mut self.ledgers {
            ledger.observe(self.table.values().cloned().collect(), self.now);
        }
        for (me, ledger) in &self.workers {
            let view = View { me, holds: |_: &str| true, duration: DURATION, now: self.now, led: false };
            writes.extend(
                self.ledgers[*ledger].plan(&view).into_iter().map(|plan| (me.clone(), plan.lease.clone(), plan.how)),
            );
        }
        let mut done = 0;
        for (me, seen, how) in &writes {
            let Some(lease) = self.table.get_mut(&seen.shard_id) else { continue };
            let free = match how {
                How::Take => lease.counter == seen.counter,
                How::Ask => lease.owner == seen.owner,
            };
            if free {
                *lease =
                    Lease { owner: Some(me.clone()), counter: lease.counter + 1, released_by: None, ..seen.clone() };
                done += 1;
            }
        }
        self.tried += writes.len();
        self.moved += done;
        (writes.len(), done)
    }

    fn rounds(&mut self, count: usize) -> (usize, usize) {
        let before = (self.tried, self.moved);
        for _ in 0..count {
            self.round();
        }
        (self.tried - before.0, self.moved - before.1)
    }

    /// Weight of each worker's leases.
    fn weights(&self) -> BTreeMap<&str, f64> {
        let mut weights: BTreeMap<_, _> = self.workers.keys().map(|worker| (worker.as_str(), 0.0)).collect();
        for lease in self.table.values() {
            *weights.entry(lease.owner.as_deref().unwrap_or("nobody")).or_default() += lease.load.weight();
        }
        weights
    }

    fn assert_balanced(&self, what: &str) {
        let weights = self.weights();
        assert_eq!(weights.len(), self.workers.len(), "{what}: a lease is nobody's, or a dead worker's");
        let (least, most) =
            weights.values().fold((f64::MAX, 0.0_f64), |(least, most), weight| (least.min(*weight), most.max(*weight)));
        let average = weights.values().sum::<f64>() / weights.len() as f64;
        assert!(most - least <= BALANCE * average + 1e-9, "{what}: {least}..{most} around {average}");
    }

    fn assert_quiet(&mut self, what: &str) {
        let (tried, moved) = self.rounds(5);
        assert_eq!((tried, moved), (0, 0), "{what}: leases still move");
    }
}

/// States what a change came to. `writes` beyond one for each lease that had to move are collisions.
fn state(what: &str, (tried, moved): (usize, usize), workers: usize, rounds: usize) {
    println!("{what}: {moved} leases moved by {tried} writes and {} scans in {rounds} rounds", workers * rounds);
}

#[test]
fn fifty_workers_that_start_at_once_share_two_thousand_shards_in_three_rounds() {
    let mut fleet = Fleet::new(WORKERS);
    let cost = fleet.rounds(3);
    state("cold start", cost, WORKERS, 3);
    fleet.assert_balanced("cold start");
    assert!(cost.0 <= SHARDS + SHARDS / 10, "{} writes for {SHARDS} leases", cost.0);
    fleet.assert_quiet("cold start");
}

#[test]
fn ten_workers_that_join_have_their_part_in_three_rounds_and_nothing_else_moves() {
    let mut fleet = Fleet::new(WORKERS);
    fleet.rounds(3);
    fleet.join(WORKERS..WORKERS + 10);
    let cost = fleet.rounds(3);
    state("ten join", cost, WORKERS + 10, 3);
    fleet.assert_balanced("ten join");
    let due = 10 * SHARDS / (WORKERS + 10);
    assert!(cost.1 <= due + due / 10 && cost.0 <= 2 * due, "{cost:?} for {due} leases");
    fleet.assert_quiet("ten join");
}

#[test]
fn the_leases_of_ten_workers_that_stop_are_shared_in_three_rounds() {
    let mut fleet = Fleet::new(WORKERS);
    fleet.rounds(3);
    let leaving: BTreeSet<_> = fleet.workers.keys().take(10).cloned().collect();
    for lease in
        fleet.table.values_mut().filter(|lease| lease.owner.as_ref().is_some_and(|owner| leaving.contains(owner)))
    {
        lease.released_by = lease.owner.take();
        lease.counter += 1;
    }
    fleet.workers.retain(|worker, _| !leaving.contains(worker));
    let cost = fleet.rounds(3);
    state("ten stop", cost, WORKERS - 10, 3);
    fleet.assert_balanced("ten stop");
    assert!(cost.0 <= SHARDS / 4, "{cost:?}");
    fleet.assert_quiet("ten stop");
}

#[test]
fn the_leases_of_ten_workers_that_die_are_shared_in_three_rounds_after_their_time() {
    let mut fleet = Fleet::new(WORKERS);
    fleet.rounds(3);
    let dead: BTreeSet<_> = fleet.workers.keys().take(10).cloned().collect();
    fleet.workers.retain(|worker, _| !dead.contains(worker));
    let expiry = (DURATION.as_millis() / ROUND.as_millis()) as usize;
    assert_eq!(fleet.rounds(expiry), (0, 0), "taken from workers that may live");
    let cost = fleet.rounds(3);
    state("ten die", cost, WORKERS - 10, 3);
    fleet.assert_balanced("ten die");
    assert!(cost.0 <= SHARDS / 4, "{cost:?}");
    fleet.assert_quiet("ten die");
}

#[test]
fn uneven_load_is_evened_out_and_noise_in_it_moves_little() {
    let mut random = StdRng::seed_from_u64(7);
    let mut fleet = Fleet::new(WORKERS);
    fleet.rounds(3);
    let heavy = |number: usize| if number.is_multiple_of(20) { 900.0 } else { 60.0 };
    for (number, lease) in fleet.table.values_mut().enumerate() {
        lease.load = Load { kilobytes_per_second: heavy(number), cpus: 0.0 };
    }
    // What has just come stays for a while, whatever it weighs.
    let cost = fleet.rounds(25);
    state("uneven load", cost, WORKERS, 25);
    fleet.assert_balanced("uneven load");
    assert!(cost.1 <= SHARDS / 10, "{cost:?}");
    let before = fleet.moved;
    for _ in 0..15 {
        for (number, lease) in fleet.table.values_mut().enumerate() {
            let measured = heavy(number) * random.random_range(0.8..1.2);
            lease.load = lease.load.toward(Load { kilobytes_per_second: measured, cpus: 0.0 });
        }
        fleet.round();
    }
    println!("noise of a fifth: {} moves in 15 rounds", fleet.moved - before);
    assert!(fleet.moved - before <= WORKERS, "{} moves", fleet.moved - before);
}
