//! This worker beside a KCL 3: it reads what that has come to, and is on its leader's list.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{Coordination, Coordinator, Watch};
use crate::ambient;

/// How often the state of a KCL 3 is read: where there is one, and where there is none yet. It looks itself once a
/// minute, and its leader assigns every 20 s.
const READ_INTERVAL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// How often its leader is told of this worker, as its own workers do: it forgets one after twice that time.
const STATS_INTERVAL: Duration = Duration::from_secs(30);

/// The figures that it is told at once.
const STATS_KEPT: usize = 10;

/// A worker of Weir among those of a KCL 3, if there are any.
pub(crate) struct Member {
    coordinator: Coordinator,
    /// What the KCL 3 has come to, and when that was read.
    state: Coordination,
    read_at: Option<Instant>,
    reported_at: Option<Instant>,
    leader: Watch,
    led: bool,
    /// In percent of what the task may use, the latest last.
    cpu: VecDeque<f64>,
}

impl Member {
    pub(crate) fn new(coordinator: Coordinator) -> Self {
        Self {
            coordinator,
            state: Coordination::default(),
            read_at: None,
            reported_at: None,
            leader: Watch::default(),
            led: false,
            cpu: VecDeque::new(),
        }
    }

    /// Whether the leader of a KCL 3 assigns the leases.
    pub(crate) fn is_led(&self) -> bool {
        self.led
    }

    /// Looks whether a KCL 3 assigns the leases, and tells its leader of this worker, each when it is time. `cpu` is
    /// the part of what the task may use, if that is known.
    pub(crate) async fn attend(&mut self, now: Instant, cpu: impl FnOnce() -> Option<f64>) {
        let due =
            |then: Option<Instant>, interval| then.is_none_or(|then| now.saturating_duration_since(then) >= interval);
        let known = self.state.version.is_some();
        if due(self.read_at, if known { READ_INTERVAL.0 } else { READ_INTERVAL.1 }) {
            match self.coordinator.read().await {
                Ok(state) => self.state = state,
                Err(error) => tracing::warn!(error, "cannot read what a KCL 3 has come to"),
            }
            self.read_at = Some(now);
        }
        let led = self.leader.is_led(&self.state, now);
        if led != self.led {
            let leader = self.state.leader.as_ref().map_or("nobody", |leader| &leader.owner);
            tracing::info!(led, leader, "whether the leader of a KCL 3 assigns the leases");
            self.led = led;
        }
        if self.state.version.is_some() && due(self.reported_at, STATS_INTERVAL) {
            self.reported_at = Some(now);
            self.report(cpu()).await;
        }
    }

    async fn report(&mut self, cpu: Option<f64>) {
        self.cpu.extend(cpu.map(|fraction| (fraction * 100.0).min(100.0)));
        while self.cpu.len() > STATS_KEPT {
            self.cpu.pop_front();
        }
        let now_seconds = ambient::now_ms() / 1000;
        let single = self.state.single_table;
        let written = self.coordinator.write_stats(single, self.cpu.make_contiguous(), now_seconds).await;
        if let Err(error) = written {
            tracing::warn!(
                error,
                "cannot tell the leader of a KCL 3 about this worker: it will assign no leases to it"
            );
        }
    }

    /// Takes this worker off the list of the leader of a KCL 3, if it is on it.
    pub(crate) async fn sign_off(&self) {
        if self.reported_at.is_some()
            && let Err(error) = self.coordinator.delete_stats(self.state.single_table).await
        {
            tracing::warn!(error, "cannot take this worker off the list of a KCL 3");
        }
    }
}
