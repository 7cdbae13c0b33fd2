//! A KCL 3.x beside Weir: whether its leader assigns the leases, and what it must know of this worker. Pure.
//!
//! A KCL 3.x runs by the rules of 2.x until all its workers can do otherwise, then its leader assigns leases and
//! nobody takes any. What it has come to is in the item `Migration3.0`, whether the leader lives in the item `Leader`:
//! both in the table `<application>-CoordinatorState`, or since 3.5 in the lease table itself.

mod member;
mod store;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use member::Member;
pub(crate) use store::Coordinator;

/// Versions in which the leader assigns.
const LED: [&str; 2] = ["CLIENT_VERSION_3X", "CLIENT_VERSION_3X_WITH_ROLLBACK"];

/// What the items of a KCL 3.x say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Coordination {
    /// `cv` of `Migration3.0`, if there is such an item.
    pub(crate) version: Option<String>,
    pub(crate) leader: Option<Leader>,
    /// Whether everything is in the lease table.
    pub(crate) single_table: bool,
}

/// The lock that the leader holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) owner: String,
    /// Changes with every heartbeat.
    pub(crate) version: String,
    pub(crate) duration: Duration,
    pub(crate) released: bool,
}

/// Watches the leader by this worker's own clock.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The heartbeat, and when it was first seen.
    seen: Option<(String, Instant)>,
}

impl Watch {
    /// Whether a live leader assigns the leases, so that this worker takes none. While the leader is not known to be
    /// dead it is taken to live.
    pub(crate) fn is_led(&mut self, state: &Coordination, now: Instant) -> bool {
        let assigns = state.version.as_deref().is_some_and(|version| LED.contains(&version));
        let Some(leader) = state.leader.as_ref().filter(|leader| assigns && !leader.released) else { return false };
        let since = match &self.seen {
            Some((version, since)) if *version == leader.version => *since,
            _ => now,
        };
        self.seen = Some((leader.version.clone(), since));
        now.saturating_duration_since(since) <= leader.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(version: &str, heartbeat: &str, released: bool) -> Coordination {
        let leader = Leader {
            owner: "java".to_owned(),
            version: heartbeat.to_owned(),
            duration: Duration::from_secs(120),
            released,
        };
        Coordination { version: Some(version.to_owned()), leader: Some(leader), single_table: false }
    }

    #[test]
    fn a_leader_is_obeyed_in_version_3_only_and_while_its_heart_beats() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(!watch.is_led(&Coordination::default(), now));
        assert!(!watch.is_led(&state("CLIENT_VERSION_UPGRADE_FROM_2X", "a", false), now));
        assert!(watch.is_led(&state("CLIENT_VERSION_3X", "a", false), now));
        assert!(watch.is_led(&state("CLIENT_VERSION_3X", "a", false), after(119)));
        assert!(!watch.is_led(&state("CLIENT_VERSION_3X", "a", false), after(121)), "dead");
        assert!(watch.is_led(&state("CLIENT_VERSION_3X_WITH_ROLLBACK", "b", false), after(122)), "alive again");
        assert!(!watch.is_led(&state("CLIENT_VERSION_3X", "b", true), after(123)), "stepped down");
    }
}
