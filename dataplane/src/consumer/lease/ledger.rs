//! Which leases to take. Pure: what was read from the table goes in with the time it was read at.
//!
//! The rules are those of the KCL 2.x, so that its workers and ours do not pull at each other: every worker aims at
//! the same share, leases that nobody holds go first, and one lease at a time is taken from the worker that has most.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    time::Duration,
};

use tokio::time::Instant;

use super::Lease;

/// The leases as they were last read, and since when each has not moved.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    lease: Lease,
    /// When the counter was first seen at its value, by this worker's own clock: clocks of other machines play no part.
    since: Instant,
}

impl Ledger {
    /// Takes note of what the table holds at `now`.
    pub(crate) fn observe(&mut self, leases: Vec<Lease>, now: Instant) {
        let mut before = std::mem::take(&mut self.entries);
        for lease in leases {
            let still = before.remove(&lease.shard_id).filter(|entry| entry.lease.counter == lease.counter);
            let since = still.map_or(now, |entry| entry.since);
            self.entries.insert(lease.shard_id.clone(), Entry { lease, since });
        }
    }

    pub(crate) fn get(&self, shard_id: &str) -> Option<&Lease> {
        self.entries.get(shard_id).map(|entry| &entry.lease)
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.entries.values().map(|entry| &entry.lease)
    }

    /// Whether every parent of a shard is read to its end, or its lease is gone because it has been for long.
    pub(crate) fn parents_are_finished(&self, lease: &Lease) -> bool {
        lease.parents.iter().all(|parent| self.get(parent).is_none_or(Lease::is_finished))
    }

    /// The leases that `me` should take now, given that an owner is dead when its lease has not moved for `duration`.
    /// A lease in the name of `me` that it does not hold is one that it gave up without being able to say so.
    pub(crate) fn plan(&self, me: &str, holds: impl Fn(&str) -> bool, duration: Duration, now: Instant) -> Vec<&Lease> {
        let unfinished: Vec<_> = self.entries.values().filter(|entry| !entry.lease.is_finished()).collect();
        let mut loads = HashMap::from([(me, 0_usize)]);
        let mut free = Vec::new();
        for entry in &unfinished {
            match entry.lease.owner.as_deref() {
                Some(owner) if owner == me && holds(&entry.lease.shard_id) => *loads.entry(me).or_default() += 1,
                Some(owner) if owner != me && now.saturating_duration_since(entry.since) <= duration => {
                    *loads.entry(owner).or_default() += 1;
                }
                _ => free.push(&entry.lease),
            }
        }
        let target = unfinished.len().div_ceil(loads.len());
        let wanted = target.saturating_sub(loads[me]);
        if wanted == 0 {
            return Vec::new();
        }
        if free.is_empty() {
            let others = loads.iter().filter(|(owner, _)| **owner != me);
            let richest = others.max_by_key(|(owner, load)| (**load, **owner));
            let victim = richest.filter(|(_, load)| **load > target || (**load == target && wanted > 1));
            let Some((victim, _)) = victim else { return Vec::new() };
            let of_victim =
                unfinished.iter().map(|entry| &entry.lease).filter(|lease| lease.owner.as_deref() == Some(victim));
            return of_victim.min_by_key(|lease| rank(me, lease)).into_iter().collect();
        }
        free.sort_by_key(|lease| rank(me, lease));
        free.truncate(wanted);
        free
    }
}

/// A different order for every worker, so that workers that look at the same time reach for different leases.
fn rank(worker: &str, lease: &Lease) -> u64 {
    let mut hasher = DefaultHasher::new();
    (worker, &lease.shard_id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
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
                table: (0..leases)
                    .map(|number| lease(number, None))
                    .map(|lease| (lease.shard_id.clone(), lease))
                    .collect(),
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
                    ledger
                        .plan(name, |_| true, DURATION, self.now)
                        .into_iter()
                        .map(|lease| (name.clone(), lease.clone())),
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
        let plan = ledger.plan("new", |_| true, DURATION, now);
        assert_eq!(plan.len(), 1);
        assert_eq!(plan[0].owner.as_deref(), Some("rich"));
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
        assert!(ledger.plan("me", |_| true, DURATION, now).is_empty());
    }

    #[test]
    fn a_lease_that_was_given_up_in_silence_is_taken_again_at_once() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        ledger.observe(vec![lease(0, Some("me"))], now);
        assert!(ledger.plan("me", |_| true, DURATION, now).is_empty());
        assert_eq!(ledger.plan("me", |_| false, DURATION, now).len(), 1);
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
}
