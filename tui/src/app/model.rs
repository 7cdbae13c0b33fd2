//! The state of the terminal UI: plain data, no client, no channel, no clock.

use std::collections::VecDeque;

use controlplane::{decide::Decision, record::Status};
use jiff::{SignedDuration, Timestamp};

use super::teardown::Teardown;

/// How many samples a sparkline remembers: more than the widest terminal shows.
const HISTORY_MAX: usize = 300;

/// What is looked at. It does not change while the UI runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) region: String,
    /// `local 127.0.0.1:4566` or `AWS`.
    pub(crate) place: String,
    /// Where records are posted, where that is known.
    pub(crate) ingest_url: Option<String>,
    /// A heartbeat older than this means that nobody steers.
    pub(crate) stale_after: SignedDuration,
    /// True where leaving also stops everything (`ctl up`).
    pub(crate) owned: bool,
}

/// One reading of the control table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) read_at: Timestamp,
    /// Absent before the control plane's first tick.
    pub(crate) status: Option<Status>,
    /// Newest first.
    pub(crate) decisions: Vec<Decision>,
}

/// One tick's figures; a value that nobody read is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sample {
    pub(crate) incoming: Option<f64>,
    pub(crate) processed: Option<f64>,
    pub(crate) lag_ms: Option<u64>,
}

/// The screens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Screen {
    Overview,
    /// The list of decisions; `open` shows the selected one, scrolled by that many lines.
    Decisions {
        selected: usize,
        open: Option<usize>,
    },
    Teardown(Teardown),
}

/// Everything that the views draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) deployment: Deployment,
    pub(crate) now: Timestamp,
    pub(crate) snapshot: Option<Snapshot>,
    /// Why the last reading failed, while it fails.
    pub(crate) problem: Option<String>,
    pub(crate) history: VecDeque<Sample>,
    pub(crate) screen: Screen,
    /// The help is open above the screen.
    pub(crate) help: bool,
}

impl Model {
    pub(crate) fn new(deployment: Deployment, now: Timestamp) -> Self {
        Self {
            deployment,
            now,
            snapshot: None,
            problem: None,
            history: VecDeque::new(),
            screen: Screen::Overview,
            help: false,
        }
    }

    pub(crate) fn status(&self) -> Option<&Status> {
        self.snapshot.as_ref()?.status.as_ref()
    }

    pub(crate) fn decisions(&self) -> &[Decision] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.decisions)
    }

    /// Time since the control plane's last tick.
    pub(crate) fn heartbeat_age(&self) -> Option<SignedDuration> {
        self.status().map(|status| self.now.duration_since(status.heartbeat_at))
    }

    /// True when what is shown may no longer be so.
    pub(crate) fn is_stale(&self) -> bool {
        self.heartbeat_age().is_none_or(|age| age > self.deployment.stale_after)
    }

    /// Takes a new snapshot; a new heartbeat adds a sample.
    pub(crate) fn take(&mut self, snapshot: Snapshot) {
        let known = self.status().map(|status| status.heartbeat_at);
        let sample = snapshot.status.as_ref().filter(|status| Some(status.heartbeat_at) != known).map(sample);
        if let Some(sample) = sample {
            if self.history.len() == HISTORY_MAX {
                self.history.pop_front();
            }
            self.history.push_back(sample);
        }
        self.problem = None;
        self.follow_selection(&snapshot.decisions);
        self.snapshot = Some(snapshot);
    }

    /// New decisions come in at the top: the selected one stays selected.
    fn follow_selection(&mut self, decisions: &[Decision]) {
        let Screen::Decisions { selected, .. } = &self.screen else { return };
        let id = self.decisions().get(*selected).map(|decision| &decision.id);
        let moved = decisions.iter().position(|decision| Some(&decision.id) == id);
        if let (Some(moved), Screen::Decisions { selected, .. }) = (moved, &mut self.screen) {
            *selected = moved;
        }
    }
}

fn sample(status: &Status) -> Sample {
    let load = &status.observation.load;
    Sample {
        incoming: load.offered_records.or(load.incoming_records).map(|reading| reading.value.0),
        processed: load.processed_records.map(|reading| reading.value.0),
        lag_ms: load.lag.map(|reading| reading.value.0),
    }
}
