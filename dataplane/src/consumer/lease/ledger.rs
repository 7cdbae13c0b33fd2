//! Which leases to take. Pure: what was read from the table goes in with the time it was read at.
//!
//! Workers of Weir divide the leases by what they weigh (see [`super::balance`]) and ask each other for them. Beside
//! workers of a KCL its rules of version 2.x hold for all, so that they do not pull at each other: every worker aims
//! at the same number, leases that nobody holds go first, and one lease at a time is taken from the worker that has
//! most.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Lease, OURS,
    balance::{Card, deal},
};

/// How long a worker of a KCL is given at least: its `failoverTimeMillis`, of which it renews a lease every third.
const FOREIGN_DURATION: Duration = Duration::from_secs(10);

/// How long a lease stays where it is before its weight may move it. What it weighs is known by then.
const RESIDENCE: Duration = Duration::from_secs(30);

/// A lease that came to another worker and that nobody has taken for half a lease's duration is anybody's. Each worker
/// waits longer by one of so many parts of that time, or they would all reach for it at once.
const ORPHAN_SPREAD: u64 = 8;

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
    /// When the owner was seen to change. Absent where it was there at the first look.
    owned_since: Option<Instant>,
}

/// A lease to get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Move<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Nobody has it, or somebody who knows no other way.
    Take,
    /// A live worker of Weir has it and hands it over with its last checkpoint.
    Ask,
}

/// Who looks, and what it goes by.
pub(crate) struct View<'a, H> {
    pub(crate) me: &'a str,
    /// Whether `me` serves the lease of a shard. One in its name that it does not is one that it gave up without
    /// being able to say so.
    pub(crate) holds: H,
    /// An owner whose lease has not moved for so long is dead.
    pub(crate) duration: Duration,
    pub(crate) now: Instant,
    /// Whether the leader of a KCL 3 assigns the leases.
    pub(crate) led: bool,
}

impl Ledger {
    /// Takes note of what the table holds at `now`.
    pub(crate) fn observe(&mut self, leases: Vec<Lease>, now: Instant) {
        let mut before = std::mem::take(&mut self.entries);
        for lease in leases {
            let before = before.remove(&lease.shard_id);
            let still = before.as_ref().filter(|entry| entry.lease.counter == lease.counter);
            let since = still.map_or(now, |entry| entry.since);
            let owned_since = match &before {
                Some(entry) if entry.lease.owner != lease.owner => Some(now),
                Some(entry) => entry.owned_since,
                None => None,
            };
            self.entries.insert(lease.shard_id.clone(), Entry { lease, since, owned_since });
        }
    }

    pub(crate) fn get(&self, shard_id: &str) -> Option<&Lease> {
        self.entries.get(shard_id).map(|entry| &entry.lease)
    }

    /// How many leases are not finished, and how many live workers have them.
    pub(crate) fn fleet(&self, view: &View<'_, impl Fn(&str) -> bool>) -> (usize, usize) {
        let unfinished = || self.entries.values().filter(|entry| !entry.lease.is_finished());
        let workers: BTreeSet<_> = unfinished().filter_map(|entry| view.owner(entry)).collect();
        (unfinished().count(), workers.len())
    }

    /// When the next lease of another worker expires if it is not renewed before.
    pub(crate) fn next_expiry(&self, view: &View<'_, impl Fn(&str) -> bool>) -> Option<Instant> {
        let expiry = |entry: &Entry| {
            let owner = entry.lease.owner.as_deref().filter(|owner| *owner != view.me && !entry.lease.is_finished())?;
            Some(entry.since + view.patience(owner)).filter(|expiry| *expiry >= view.now)
        };
        self.entries.values().filter_map(expiry).min()
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.entries.values().map(|entry| &entry.lease)
    }

    /// Whether every parent of a shard is read to its end, or its lease is gone because it has been for long.
    pub(crate) fn parents_are_finished(&self, lease: &Lease) -> bool {
        lease.parents.iter().all(|parent| self.get(parent).is_none_or(Lease::is_finished))
    }

    /// The leases to get now.
    pub(crate) fn plan(&self, view: &View<'_, impl Fn(&str) -> bool>) -> Vec<Move<'_>> {
        let unfinished: Vec<_> = self.entries.values().filter(|entry| !entry.lease.is_finished()).collect();
        if view.led {
            return assigned(view, &unfinished);
        }
        if unfinished.iter().any(|entry| view.owner(entry).is_some_and(|owner| view.is_foreign(owner))) {
            return self.by_number(view, &unfinished);
        }
        by_weight(view, &unfinished)
    }

    /// Whether a worker of a KCL may take a lease of `me` by its rules with its next look. It does not ask for it, so
    /// what is not checkpointed then comes again.
    pub(crate) fn is_exposed(&self, view: &View<'_, impl Fn(&str) -> bool>) -> bool {
        let unfinished: Vec<_> = self.entries.values().filter(|entry| !entry.lease.is_finished()).collect();
        let loads = loads(view, &unfinished);
        let (target, mine) = (unfinished.len().div_ceil(loads.len()), loads[view.me]);
        let foreign = loads.iter().filter(|(owner, _)| view.is_foreign(owner)).map(|(_, load)| *load);
        let wanted = foreign.map(|load| target.saturating_sub(load)).max().unwrap_or(0);
        let is_victim = loads.values().all(|load| *load <= mine);
        !view.led && is_victim && wanted > 0 && (mine > target || (mine == target && wanted > 1))
    }

    /// The rules of the KCL 2.x.
    fn by_number<'a>(&self, view: &View<'_, impl Fn(&str) -> bool>, unfinished: &[&'a Entry]) -> Vec<Move<'a>> {
        let me = view.me;
        let loads = loads(view, unfinished);
        let free = unfinished.iter().filter(|entry| view.owner(entry).is_none());
        let mut free: Vec<_> = free.map(|entry| Move { lease: &entry.lease, how: How::Take }).collect();
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
            let how = if victim.starts_with(OURS) { How::Ask } else { How::Take };
            let of_victim = unfinished.iter().map(|entry| &entry.lease);
            let of_victim = of_victim.filter(|lease| {
                lease.owner.as_deref() == Some(victim) && (how == How::Take || lease.checkpoint_owner.is_none())
            });
            return of_victim
                .min_by_key(|lease| rank(me, lease))
                .map(|lease| Move { lease, how })
                .into_iter()
                .collect();
        }
        free.sort_by_key(|free| rank(me, free.lease));
        free.truncate(wanted);
        free
    }
}

impl<H: Fn(&str) -> bool> View<'_, H> {
    /// The live worker that has a lease.
    fn owner<'e>(&'e self, entry: &'e Entry) -> Option<&'e str> {
        let owner = entry.lease.owner.as_deref()?;
        let alive = if owner == self.me {
            (self.holds)(&entry.lease.shard_id)
        } else {
            self.now.saturating_duration_since(entry.since) <= self.patience(owner)
        };
        alive.then_some(owner)
    }

    /// Whether a worker is none of Weir's.
    fn is_foreign(&self, worker: &str) -> bool {
        worker != self.me && !worker.starts_with(OURS)
    }

    fn patience(&self, owner: &str) -> Duration {
        if owner.starts_with(OURS) { self.duration } else { self.duration.max(FOREIGN_DURATION) }
    }

    /// Whether a lease that nobody has has been left by who should have taken it.
    fn is_orphan(&self, entry: &Entry) -> bool {
        let expired = entry.lease.owner.as_deref().map_or(Duration::ZERO, |owner| self.patience(owner));
        let free_for = self.now.saturating_duration_since(entry.since).saturating_sub(expired);
        let turn = u32::try_from(rank(self.me, &entry.lease) % ORPHAN_SPREAD).unwrap_or(0);
        free_for >= self.duration / 2 * (ORPHAN_SPREAD as u32 + turn) / ORPHAN_SPREAD as u32
    }
}

/// How many leases each live worker has, `me` among them.
fn loads<'a>(view: &'a View<'_, impl Fn(&str) -> bool>, unfinished: &[&'a Entry]) -> HashMap<&'a str, usize> {
    let mut loads = HashMap::from([(view.me, 0)]);
    for owner in unfinished.iter().filter_map(|entry| view.owner(entry)) {
        *loads.entry(owner).or_default() += 1;
    }
    loads
}

/// What the leader of a KCL 3 has given to this worker, as soon as the worker before has let go.
fn assigned<'a>(view: &View<'_, impl Fn(&str) -> bool>, unfinished: &[&'a Entry]) -> Vec<Move<'a>> {
    let mine = unfinished.iter().map(|entry| &entry.lease).filter(|lease| {
        lease.owner.as_deref() == Some(view.me) && lease.checkpoint_owner.is_none() && !(view.holds)(&lease.shard_id)
    });
    mine.map(|lease| Move { lease, how: How::Take }).collect()
}

/// The rules among workers of Weir.
fn by_weight<'a>(view: &View<'_, impl Fn(&str) -> bool>, unfinished: &[&'a Entry]) -> Vec<Move<'a>> {
    // Who gives leases up is about to stop.
    let free = || unfinished.iter().filter(|entry| view.owner(entry).is_none());
    let stopping: BTreeSet<_> = free().filter_map(|entry| entry.lease.released_by.as_deref()).collect();
    let stays = |owner: &str| owner == view.me || !stopping.contains(owner);
    let cards: Vec<_> = unfinished
        .iter()
        .map(|entry| (entry, view.owner(entry)))
        .filter(|(_, owner)| owner.is_none_or(stays))
        .map(|(entry, owner)| {
            let young = entry.owned_since.is_some_and(|then| view.now.saturating_duration_since(then) < RESIDENCE);
            Card { lease: &entry.lease, owner, weight: entry.lease.load.weight(), settled: !young }
        })
        .collect();
    let mine = deal(&cards, view.me);
    let asked = |card: &Card<'_>| card.owner.is_some() && card.lease.checkpoint_owner.is_some();
    let mut ids: BTreeMap<_, _> = mine
        .iter()
        .filter(|card| !asked(card))
        .map(|card| (card.lease.shard_id.as_str(), if card.owner.is_some() { How::Ask } else { How::Take }))
        .collect();
    ids.extend(free().filter(|entry| view.is_orphan(entry)).map(|entry| (entry.lease.shard_id.as_str(), How::Take)));
    let mut moves: Vec<_> = unfinished
        .iter()
        .filter_map(|entry| Some(Move { lease: &entry.lease, how: *ids.get(entry.lease.shard_id.as_str())? }))
        .collect();
    moves.sort_by_key(|plan| rank(view.me, plan.lease));
    // Who has none is not known to the others yet, who may be newcomers as well: the first lease introduces it.
    if !cards.iter().any(|card| card.owner == Some(view.me)) {
        moves.truncate(1);
    }
    moves
}

/// A different order for every worker, so that workers that look at the same time reach for different leases.
fn rank(worker: &str, lease: &Lease) -> u64 {
    let mut hasher = DefaultHasher::new();
    (worker, &lease.shard_id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
