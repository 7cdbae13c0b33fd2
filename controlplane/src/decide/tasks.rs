//! What both task rules share: how a service is seen, its rails, and its step.

use jiff::Timestamp;

use super::{
    Level, Tick,
    drift::Owned,
    floors::Floor,
    history::Track,
    holds,
    steer::{Hold, Holds, Rails},
};
use crate::{
    observe::{Reading, ServiceObservation, Source},
    policy::{Direction, GuardPolicy},
    units::{Fraction, Millis, TaskCount},
};

/// A load within this of its target asks for no change of the task count (the Kubernetes HPA's tolerance).
pub(super) const TOLERANCE: f64 = 0.1;

/// The fewest tasks that a step up may add, where doubling would be less (the Kubernetes HPA's default policy).
const STEP_UP_MIN: u32 = 4;

/// The counts of a service, as far as they are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks {
    pub(super) desired: u32,
    pub(super) running: u32,
}

impl Tasks {
    pub(super) fn of(service: &ServiceObservation) -> Option<Self> {
        let (desired, running) = (service.desired?.value.0, service.running?.value.0);
        Some(Self { desired, running })
    }

    /// While ECS is still starting or stopping tasks, what they use says nothing about the count that was asked for.
    pub(super) fn unsettled(self) -> Option<Hold> {
        let Self { desired, running } = self;
        (desired != running).then(|| Hold::new(format!("ECS is on its way from {running} to {desired} running tasks")))
    }
}

/// What stops any change of a service.
pub(super) fn holds(tick: &Tick<'_>, service: &ServiceObservation, tasks: Tasks, owned: &Owned) -> Holds {
    let foreign = || holds::foreign(tick, &service.name);
    let up = [holds::frozen(tick, Direction::Up), foreign(), owned.hold(true)];
    let old = holds::too_old("their use of CPU", service.cpu, tick.now);
    let down = [holds::frozen(tick, Direction::Down), foreign(), tasks.unsettled(), owned.hold(false), old];
    Holds { up: up.into_iter().flatten().collect(), down: down.into_iter().flatten().collect() }
}

/// How many tasks bring a use to its target, in each direction: nothing happens within the tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) up: u32,
    pub(super) down: u32,
}

impl Need {
    /// Of `running` tasks whose use is `used` and should be `target`.
    pub(super) fn by_use(running: u32, used: f64, target: Fraction) -> Self {
        Self::within_tolerance(running, f64::from(running) * used / target.0)
    }

    /// Of exactly this many tasks, of which `running` run.
    pub(super) fn within_tolerance(running: u32, exact: f64) -> Self {
        let rounded_up = super::demand::whole(exact).max(1);
        let near = (exact - f64::from(running)).abs() <= TOLERANCE * f64::from(running);
        if near { Self { up: running, down: running } } else { Self { up: rounded_up, down: rounded_up } }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { up: self.up.max(other.up), down: self.down.max(other.down) }
    }
}

/// How many tasks bring the use of CPU to its target, and the arithmetic as a clause.
pub(super) fn by_cpu(running: u32, used: f64, target: Fraction) -> (Need, String) {
    let need = Need::by_use(running, used, target);
    (need, format!("CPU at {} with {}; {target} needs {}", Fraction(used), TaskCount(running), need.up))
}

/// A reading that was made since the last change: an older one says nothing about what that has brought.
pub(super) fn since<T: Copy>(reading: Option<Reading<T>>, track: &Track) -> Option<Reading<T>> {
    let of_now = |reading: &Reading<T>| {
        reading.source == Source::TaskReports || track.last_change.is_none_or(|change| reading.at >= change)
    };
    reading.filter(of_now)
}

/// The use of CPU over the last minute, as if the tasks that run now had run all the while.
pub(super) fn smooth(used: f64, tasks: Tasks, level: &mut Level, now: Timestamp) -> f64 {
    let running = f64::from(tasks.running.max(1));
    level.note(used * running, now) / running
}

pub(super) fn rails(guard: &GuardPolicy, min: TaskCount, max: TaskCount, floor: Option<Floor>) -> Rails {
    Rails {
        min: min.0,
        floor,
        max: max.0,
        max_by: None,
        confirm_up: Millis(0),
        up_cooldown: guard.tasks_up_cooldown,
        down_cooldown: guard.tasks_down_cooldown,
        stabilization: guard.tasks_stabilization,
        allow_down: guard.allow_scale_down,
    }
}

/// Up by double or [`STEP_UP_MIN`], down to half.
pub(super) fn step(current: u32, wanted: u32) -> u32 {
    let highest = current.saturating_mul(2).max(current.saturating_add(STEP_UP_MIN));
    wanted.clamp(current.div_ceil(2), highest)
}
