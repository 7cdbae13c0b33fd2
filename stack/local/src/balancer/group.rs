//! A target group as requests meet it: which targets there are, and whose turn it is.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    health::{Checks, TargetHealth, Tracker},
    pool::Pool,
    traffic::Traffic,
};

/// How requests are spread (`load_balancing.algorithm.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    RoundRobin,
    LeastOutstandingRequests,
}

/// What can be changed about a group.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    pub(super) checks: Checks,
    pub(super) algorithm: Algorithm,
    pub(super) deregistration_delay: Duration,
}

pub(super) struct Group {
    behaviour: RwLock<Behaviour>,
    targets: RwLock<Vec<Arc<Target>>>,
    /// Deregistered targets with open requests.
    draining: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    pub(super) traffic: Traffic,
}

pub(super) struct Target {
    pub(super) address: SocketAddr,
    tracker: Mutex<Tracker>,
    /// The tracker's verdict, for the request path.
    healthy: AtomicBool,
    open: AtomicUsize,
    closed_one: Notify,
    pub(super) pool: Pool,
    /// Cancelled when the target is deregistered.
    pub(super) gone: CancellationToken,
}

/// A request's hold on a target: a drain waits for it.
pub(super) struct Hold(pub(super) Arc<Target>);

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed_one.notify_waiters();
        }
    }
}

impl Target {
    fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            address,
            tracker: Mutex::new(Tracker::new()),
            healthy: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            closed_one: Notify::new(),
            pool: Pool::default(),
            gone: CancellationToken::new(),
        })
    }

    pub(super) fn note(&self, outcome: Result<(), String>, checks: &Checks) {
        let mut tracker = self.tracker();
        let before = tracker.health;
        tracker.note(outcome, checks);
        if tracker.health != before {
            tracing::info!(target = %self.address, health = tracker.health.name(), reason = tracker.reason, "health changed");
        }
        self.healthy.store(tracker.health == TargetHealth::Healthy, Ordering::Release);
    }

    pub(super) fn health(&self) -> (TargetHealth, String) {
        let tracker = self.tracker();
        (tracker.health, tracker.reason.clone())
    }

    fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn no_request_is_open(&self) {
        loop {
            let closed_one = self.closed_one.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            closed_one.await;
        }
    }
}

impl Group {
    pub(super) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: RwLock::new(behaviour),
            targets: RwLock::default(),
            draining: Mutex::default(),
            turn: AtomicUsize::new(0),
            traffic: Traffic::default(),
        })
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    pub(super) fn checks(&self) -> Checks {
        self.behaviour.read().unwrap_or_else(PoisonError::into_inner).checks.clone()
    }

    /// Chooses a healthy target, other than the one that just failed, for the next request.
    pub(super) fn choose(&self, failed: Option<SocketAddr>) -> Option<Hold> {
        let algorithm = self.behaviour.read().unwrap_or_else(PoisonError::into_inner).algorithm;
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut usable = (0..targets.len())
            .map(|offset| &targets[(turn.wrapping_add(offset)) % targets.len()])
            .filter(|target| target.is_healthy() && Some(target.address) != failed);
        let chosen = match algorithm {
            Algorithm::RoundRobin => usable.next(),
            Algorithm::LeastOutstandingRequests => usable.min_by_key(|target| target.open.load(Ordering::Relaxed)),
        }?;
        // Counted while the list is locked: whoever takes the target out of it sees this request.
        chosen.open.fetch_add(1, Ordering::AcqRel);
        Some(Hold(chosen.clone()))
    }

    /// Adds a target; `None` when it is one already.
    pub(super) fn add(&self, address: SocketAddr) -> Option<Arc<Target>> {
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        if targets.iter().any(|target| target.address == address) {
            return None;
        }
        let target = Target::new(address);
        targets.push(target.clone());
        Some(target)
    }

    /// Takes a target out at once: it gets no further request.
    pub(super) fn remove(&self, address: SocketAddr) -> Option<Arc<Target>> {
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        let position = targets.iter().position(|target| target.address == address)?;
        let target = targets.remove(position);
        target.gone.cancel();
        target.pool.close();
        Some(target)
    }

    /// Takes a target out and returns when its requests ended, or after the group's delay or `delay_max`.
    pub(super) async fn drain(&self, address: SocketAddr, delay_max: Duration) {
        let Some(target) = self.remove(address) else { return };
        let delay = self.behaviour.read().unwrap_or_else(PoisonError::into_inner).deregistration_delay;
        let draining = Draining::new(self, address);
        let _ = timeout(delay.min(delay_max), target.no_request_is_open()).await;
        drop(draining);
    }

    /// Every target with its health.
    pub(super) fn standing(&self) -> Vec<(SocketAddr, TargetHealth, String)> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let present = targets.iter().map(|target| {
            let (health, reason) = target.health();
            (target.address, health, reason)
        });
        let leaving = self.draining.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let leaving = leaving
            .into_iter()
            .map(|address| (address, TargetHealth::Draining, "Target deregistration is in progress".to_owned()));
        present.chain(leaving).collect()
    }

    pub(super) fn health(&self, address: SocketAddr) -> TargetHealth {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let target = targets.iter().find(|target| target.address == address);
        target.map_or(TargetHealth::Unused, |target| target.health().0)
    }
}

/// A target's entry among the draining ones, also when the drain is given up.
struct Draining<'a>(&'a Group, SocketAddr);

impl<'a> Draining<'a> {
    fn new(group: &'a Group, address: SocketAddr) -> Self {
        group.draining.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        Self(group, address)
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        let mut draining = self.0.draining.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = draining.iter().position(|address| *address == self.1) {
            draining.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(algorithm: Algorithm) -> Arc<Group> {
        let checks = Checks {
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_threshold: 1,
            unhealthy_threshold: 1,
            matcher: vec![],
        };
        Group::new(Behaviour { checks, algorithm, deregistration_delay: Duration::from_secs(30) })
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn add_healthy(group: &Group, port: u16) {
        group.add(address(port)).unwrap().note(Ok(()), &group.checks());
    }

    fn next(group: &Group) -> Option<u16> {
        group.choose(None).map(|hold| hold.0.address.port())
    }

    #[test]
    fn healthy_targets_take_turns() {
        let group = group(Algorithm::RoundRobin);
        assert_eq!(next(&group), None);
        add_healthy(&group, 1);
        add_healthy(&group, 2);
        let ports: Vec<_> = (0..4).filter_map(|_| next(&group)).collect();
        assert!(ports == [1, 2, 1, 2] || ports == [2, 1, 2, 1], "{ports:?}");
    }

    #[test]
    fn unhealthy_new_and_just_failed_targets_are_passed_over() {
        let group = group(Algorithm::RoundRobin);
        add_healthy(&group, 1);
        group.add(address(2));
        add_healthy(&group, 3);
        group.targets.read().unwrap()[2].note(Err("down".to_owned()), &group.checks());
        assert_eq!([next(&group), next(&group), next(&group)], [Some(1); 3]);
        assert!(group.choose(Some(address(1))).is_none());
    }

    #[test]
    fn the_least_busy_target_is_chosen_when_the_group_says_so() {
        let group = group(Algorithm::LeastOutstandingRequests);
        add_healthy(&group, 1);
        let busy = group.choose(None).unwrap();
        add_healthy(&group, 2);
        let ports: Vec<_> = (0..3).filter_map(|_| next(&group)).collect();
        assert_eq!((busy.0.address.port(), ports), (1, vec![2, 2, 2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_request() {
        let group = group(Algorithm::RoundRobin);
        add_healthy(&group, 1);
        let hold = group.choose(None).unwrap();
        let drain = group.drain(address(1), Duration::from_secs(5));
        tokio::pin!(drain);
        assert!(timeout(Duration::from_secs(1), &mut drain).await.is_err());
        assert_eq!(next(&group), None);
        assert_eq!(group.standing()[0].1, TargetHealth::Draining);
        drop(hold);
        timeout(Duration::from_millis(1), drain).await.expect("the drain ends at once");
        assert!(group.standing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_does_not_wait_longer_than_allowed() {
        let group = group(Algorithm::RoundRobin);
        add_healthy(&group, 1);
        let _hold = group.choose(None);
        timeout(Duration::from_secs(6), group.drain(address(1), Duration::from_secs(5))).await.expect("it is bounded");
    }
}
