//! One second of load: what clients offer, what shards take, what consumers process.
//!
//! Amounts are full-shard seconds. Shards that take the same share are alike and counted as one group, so that a stream
//! with evenly used keys costs the same at any size.

use super::{
    super::{Physics, world::queue::Queue},
    recent::Recent,
};

/// Shards closer than this in their share of the load are alike.
const ALIKE: f64 = 1e-9;

/// Shards that are alike.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Share of the stream's load that each of them gets.
    pub(super) share: f64,
    pub(super) count: f64,
    /// What each takes in a second.
    capacity: f64,
    tokens: f64,
    /// Records that producers or clients hold for each.
    pub(super) waiting: Queue,
    /// Records in each that no consumer has processed.
    pub(super) unread: Queue,
    pub(super) accepted: Recent,
    pub(super) refused: Recent,
}

/// What happened to the stream in a second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Second {
    /// What clients have to store, whatever becomes of it.
    pub(super) demand: f64,
    /// What found no room in the second in which it came.
    pub(super) throttled: f64,
    /// What nobody tries to store any more.
    pub(super) lost: f64,
    pub(super) accepted: f64,
    /// Attempts that shards refused.
    pub(super) refused: f64,
    pub(super) processed: f64,
    /// Attempts of clients to hand over what was refused before.
    pub(super) repeated: f64,
    /// Attempts of clients that producers refuse.
    pub(super) turned_away: f64,
    /// Share of its time that the busiest consumer works.
    pub(super) busy: f64,
    /// Age of the oldest unprocessed record, in seconds.
    pub(super) lag_s: f64,
}

/// What the consumers can do in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Most that is read of one shard.
    pub(super) lease: f64,
    /// Leases of the task that has most of them, over what a task processes.
    pub(super) crowding: f64,
}

impl Reading {
    /// `leases` among `tasks`, for `shards` shards: fewer leases than shards while parents are read to their end.
    pub(super) fn of(physics: &Physics, tasks: u32, leases: u32, shards: u32) -> Self {
        let task = physics.in_shards(physics.consumer_task_mib);
        if tasks == 0 {
            return Self { lease: 0.0, crowding: 0.0 };
        }
        let crowding = f64::from(leases.max(1).div_ceil(tasks)) / task;
        let each = physics.in_shards(physics.lease_mib).min(1.0 / crowding);
        let parents = f64::from(leases) / f64::from(shards.max(1));
        Self { lease: each * parents, crowding: crowding / parents }
    }
}

/// Groups of shards from their shares of the load, and which group each shard is in. What waits goes to the shards that
/// have its keys now.
pub(super) fn regroup(old: &[Group], shares: &[f64], capacity: f64, burst_s: f64) -> (Vec<Group>, Vec<usize>) {
    let mut groups: Vec<Group> = Vec::new();
    let members = shares.iter().map(|share| {
        let alike = groups.iter().position(|group| (group.share - share).abs() < ALIKE);
        if let Some(index) = alike {
            groups[index].count += 1.0;
            return index;
        }
        groups.push(Group {
            share: *share,
            count: 1.0,
            capacity,
            tokens: capacity * burst_s,
            waiting: Queue::default(),
            unread: Queue::default(),
            accepted: Recent::default(),
            refused: Recent::default(),
        });
        groups.len() - 1
    });
    let members = members.collect();
    for group in &mut groups {
        for before in old {
            group.waiting.merge(&before.waiting, before.count * group.share);
            group.unread.merge(&before.unread, before.count * group.share);
        }
    }
    (groups, members)
}

/// Groups the same shards by their new shares of the load. Each keeps what it has: only who is alike changes.
pub(super) fn rekey(old: &[Group], members: &[usize], shares: &[f64]) -> (Vec<Group>, Vec<usize>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut origins: Vec<usize> = Vec::new();
    let regrouped = members.iter().zip(shares).map(|(origin, share)| {
        let mut known = groups.iter().zip(&origins);
        if let Some(index) = known.position(|(group, from)| from == origin && (group.share - share).abs() < ALIKE) {
            groups[index].count += 1.0;
            return index;
        }
        groups.push(Group { share: *share, count: 1.0, ..old[*origin].clone() });
        origins.push(*origin);
        groups.len() - 1
    });
    let regrouped = regrouped.collect();
    (groups, regrouped)
}

/// Lets a second pass for all shards.
pub(super) fn pass(
    groups: &mut [Group],
    demand: f64,
    intake: f64,
    reading: Reading,
    physics: &Physics,
    second: u32,
) -> Second {
    let mut sum = Second { demand, ..Second::default() };
    // What the producers' CPU does not get to waits outside.
    let direct = if demand > intake { intake / demand } else { 1.0 };
    for group in groups {
        let one = group.pass(demand * group.share, direct, reading, physics, second);
        sum.throttled += one.throttled * group.count;
        sum.lost += one.lost * group.count;
        sum.accepted += one.accepted * group.count;
        sum.refused += one.refused * group.count;
        sum.processed += one.processed * group.count;
        sum.busy = sum.busy.max(one.busy);
        sum.lag_s = sum.lag_s.max(one.lag_s);
    }
    sum
}

impl Group {
    fn pass(&mut self, offered: f64, direct: f64, reading: Reading, physics: &Physics, second: u32) -> Second {
        let room = self.tokens + self.capacity;
        let tried = offered * direct;
        let at_once = tried.min(room);
        let throttled = tried - at_once;
        let mut one = Second { throttled, accepted: at_once, refused: throttled, ..Second::default() };
        if !physics.producers_retry {
            one.lost = offered - at_once;
        } else if throttled > 0.0 || direct < 1.0 || !self.waiting.is_empty() {
            self.retry(&mut one, offered, room, physics, second);
        }
        self.tokens = (room - one.accepted).min(self.capacity * physics.shard_burst_s);
        self.accepted.push(second, one.accepted);
        self.refused.push(second, one.refused);
        self.read(&mut one, reading, second);
        one
    }

    /// What waits goes into the room that new records leave, and new records that found none wait.
    fn retry(&mut self, one: &mut Second, offered: f64, room: f64, physics: &Physics, second: u32) {
        let retried = self.waiting.take(room - one.accepted);
        one.accepted += retried;
        one.refused += retried * physics.retry_refusals;
        self.waiting.push(second, offered - (one.accepted - retried));
        one.lost = self.waiting.expire(second.saturating_sub(physics.record_ttl_s + physics.client_patience_s));
    }

    fn read(&mut self, one: &mut Second, reading: Reading, second: u32) {
        if self.unread.is_empty() {
            one.processed = one.accepted.min(reading.lease);
            self.unread.push(second, one.accepted - one.processed);
        } else {
            self.unread.push(second, one.accepted);
            one.processed = self.unread.take(reading.lease);
        }
        one.busy = (one.processed * reading.crowding).min(1.0);
        one.lag_s = self.unread.oldest().map_or(0.0, |oldest| f64::from(second - oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(physics: &Physics, seconds: &[f64], shards: usize, reading: Reading) -> Vec<Second> {
        let shares = vec![1.0 / shards as f64; shards];
        let (mut groups, _) = regroup(&[], &shares, 1.0, physics.shard_burst_s);
        let pass = |(second, demand): (usize, &f64)| {
            pass(&mut groups, *demand, f64::INFINITY, reading, physics, second as u32)
        };
        seconds.iter().enumerate().map(pass).collect()
    }

    fn total(seconds: &[Second], of: fn(&Second) -> f64) -> f64 {
        seconds.iter().map(of).sum()
    }

    #[test]
    fn what_is_offered_is_stored_or_waits_or_is_lost_and_nothing_appears() {
        let physics = Physics { shard_burst_s: 0.0, client_patience_s: 0, record_ttl_s: 5, ..Physics::default() };
        let demand: Vec<_> = (0..100).map(|second| if second < 20 { 3.0 } else { 1.0 }).collect();
        let seconds = run(&physics, &demand, 2, Reading::of(&physics, 4, 2, 2));
        let (stored, lost) = (total(&seconds, |one| one.accepted), total(&seconds, |one| one.lost));
        assert!((stored + lost - 140.0).abs() < 1e-6, "{stored} {lost}");
        assert_eq!(total(&seconds, |one| one.throttled), 20.0);
        assert!(lost > 0.0 && lost < 20.0, "{lost}");
        assert!(seconds.iter().all(|one| one.accepted <= 2.0 + 1e-9));
    }

    #[test]
    fn other_keys_leave_every_shard_what_it_holds() {
        let physics = Physics { shard_burst_s: 0.0, ..Physics::default() };
        let (mut groups, members) = regroup(&[], &[0.5, 0.5], 1.0, 0.0);
        let reading = Reading { lease: 0.0, crowding: 1.0 };
        pass(&mut groups, 4.0, f64::INFINITY, reading, &physics, 0);
        let (groups, members) = rekey(&groups, &members, &[0.9, 0.1]);
        assert_eq!((groups.len(), members), (2, vec![0, 1]));
        for group in &groups {
            assert_eq!((group.waiting.total(), group.unread.total()), (1.0, 1.0));
            assert!(group.accepted.mean(0, 1) > 0.0, "what reports tell of the past does not change");
        }
    }

    #[test]
    fn a_client_that_drops_loses_what_is_throttled() {
        let physics = Physics { shard_burst_s: 0.0, producers_retry: false, ..Physics::default() };
        let seconds = run(&physics, &[3.0; 10], 2, Reading::of(&physics, 4, 2, 2));
        assert_eq!((total(&seconds, |one| one.throttled), total(&seconds, |one| one.lost)), (10.0, 10.0));
    }

    #[test]
    fn consumers_that_are_too_few_fall_behind_second_by_second() {
        let physics = Physics::default();
        let reading = Reading::of(&physics, 1, 4, 4);
        assert_eq!(reading.lease, 0.5);
        let seconds = run(&physics, &[4.0; 60], 4, reading);
        assert_eq!(seconds.last().map(|one| one.lag_s), Some(29.0), "half of a minute, its last second begun");
        assert!(seconds.iter().all(|one| one.busy == 1.0));
    }
}
