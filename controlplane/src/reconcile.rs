//! The loop of one pipeline: observe ▸ decide ▸ record ▸ act ▸ wait.
//!
//! It is level-triggered: each turn looks at the whole world again and trusts nothing that the last turn believed. It is
//! the only place where something is tried again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{pipeline::Pipeline, pipelines::Assignment, record::TableError, telemetry::Telemetry};

/// When turns begin.
pub(crate) struct Pace {
    /// Time between two turns.
    pub(crate) tick: Duration,
    /// From when on ticks are counted.
    pub(crate) began: Instant,
    /// As many as there may be turns at once.
    pub(crate) permits: Arc<Semaphore>,
}

/// Reconciles one pipeline as it is told, until `stopping`.
pub(crate) async fn reconcile(
    mut pipeline: Pipeline,
    pace: Pace,
    mut assigned: watch::Receiver<Assignment>,
    telemetry: Arc<Telemetry>,
    stopping: CancellationToken,
) {
    let mut next = pace.began + assigned.borrow().phase;
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            () = tokio::time::sleep_until(next) => {}
            Ok(()) = assigned.changed() => {}
        }
        let Some(Ok(_permit)) = stopping.run_until_cancelled(pace.permits.acquire()).await else { break };
        let assignment = assigned.borrow_and_update().clone();
        let started = Instant::now();
        let ended = Box::pin(turn(&mut pipeline, &assignment, &telemetry, stopping.clone())).await;
        telemetry.turned(pipeline.name(), started, ended);
        next = pace.next(assignment.phase, Instant::now());
    }
    telemetry.forget(pipeline.name());
}

impl Pace {
    /// The next beginning of a turn after `now`.
    fn next(&self, phase: Duration, now: Instant) -> Instant {
        let first = self.began + phase;
        let passed = now.saturating_duration_since(first).as_nanos() / self.tick.as_nanos().max(1);
        first + self.tick * u32::try_from(passed + 1).unwrap_or(u32::MAX)
    }
}

async fn turn(
    pipeline: &mut Pipeline,
    assignment: &Assignment,
    telemetry: &Telemetry,
    stopping: CancellationToken,
) -> Result<(), TableError> {
    let Some(seen) = stopping.run_until_cancelled_owned(pipeline.observe(assignment)).await else { return Ok(()) };
    let Some(mut decision) = pipeline.decide(seen?) else { return Ok(()) };
    pipeline.record(&decision).await?;
    if decision.outcomes.len() < decision.plan.actions.len() {
        pipeline.act(&mut decision).await;
        telemetry.acted(&decision.outcomes);
        pipeline.record(&decision).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_begins_at_its_phase_of_a_tick_and_one_that_took_longer_skips_a_tick() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let pace = Pace { tick: 10 * second, began, permits: Arc::new(Semaphore::new(1)) };
        let next = |after: u32| pace.next(4 * second, began + after * second) - began;
        assert_eq!((next(4), next(6), next(13)), (14 * second, 14 * second, 14 * second));
        assert_eq!((next(14), next(27)), (24 * second, 34 * second));
    }
}
