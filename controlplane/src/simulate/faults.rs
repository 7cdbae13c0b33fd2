//! What may go wrong in the simulated world.

use std::{fmt, str::FromStr};

/// One way in which the world misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// CloudWatch publishes ten minutes late.
    MetricsDelayed,
    /// CloudWatch never publishes one minute in five.
    MetricsDropped,
    /// CloudWatch answers nothing for 30 minutes in every six hours.
    MetricsAbsent,
    /// No task reports: producers and consumers are foreign.
    ReportsAbsent,
    /// AWS refuses half of all calls; reads are repeated, changes are not.
    ApiThrottled,
    /// The controller is started anew every hour.
    ControllerRestart,
    /// From the second hour on one key takes a fifth of the load.
    HotKey,
    /// From the second hour on the keys of one hundredth of the range take a fifth of the load.
    HotShard,
    /// One change in five is made, or not, without an answer.
    LostAnswers,
    /// Twice a day somebody changes a count by hand.
    Drift,
}

impl Fault {
    pub const ALL: [Self; 10] = [
        Self::MetricsDelayed,
        Self::MetricsDropped,
        Self::MetricsAbsent,
        Self::ReportsAbsent,
        Self::ApiThrottled,
        Self::ControllerRestart,
        Self::HotKey,
        Self::HotShard,
        Self::LostAnswers,
        Self::Drift,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MetricsDelayed => "metrics-delayed",
            Self::MetricsDropped => "metrics-dropped",
            Self::MetricsAbsent => "metrics-absent",
            Self::ReportsAbsent => "reports-absent",
            Self::ApiThrottled => "api-throttled",
            Self::ControllerRestart => "controller-restart",
            Self::HotKey => "hot-key",
            Self::HotShard => "hot-shard",
            Self::LostAnswers => "lost-answers",
            Self::Drift => "drift",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("no fault is called `{name}`; there are {known}")]
pub struct UnknownFault {
    name: String,
    known: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| UnknownFault { name: name.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

/// CloudWatch's delay with [`Fault::MetricsDelayed`], in seconds.
pub(super) const LATE_S: u32 = 600;
/// Share of minutes lost with [`Fault::MetricsDropped`].
pub(super) const DROPPED: f64 = 0.2;
/// [`Fault::MetricsAbsent`]: every so many seconds, for so many, from so many on.
const ABSENT_EVERY_S: u32 = 6 * 3_600;
const ABSENT_FOR_S: u32 = 1_800;
const ABSENT_FROM_S: u32 = 2 * 3_600;
/// Share of calls refused with [`Fault::ApiThrottled`].
pub(super) const REFUSED: f64 = 0.5;
/// Attempts of the SDK for a read.
pub(super) const READ_ATTEMPTS: i32 = 3;
/// Share of changes without an answer with [`Fault::LostAnswers`].
pub(super) const UNANSWERED: f64 = 0.2;
/// Time between two starts with [`Fault::ControllerRestart`], in seconds.
pub(super) const RESTART_S: u32 = 3_600;
/// Time between two changes by hand with [`Fault::Drift`], in seconds.
pub(super) const DRIFT_S: u32 = 12 * 3_600;
/// Share of the hot key or range, and when it begins.
pub(super) const HOT_SHARE: f64 = 0.2;
pub(super) const HOT_FROM_MINUTE: u32 = 60;

/// The faults of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    #[must_use]
    pub fn new(faults: &[Fault]) -> Self {
        Self(faults.to_vec())
    }

    #[must_use]
    pub fn have(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// Whether CloudWatch answers nothing now.
    pub(super) fn hide_metrics(&self, second: u32) -> bool {
        let into = second % ABSENT_EVERY_S;
        self.have(Fault::MetricsAbsent) && (ABSENT_FROM_S..ABSENT_FROM_S + ABSENT_FOR_S).contains(&into)
    }
}
