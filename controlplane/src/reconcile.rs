//! The loop: observe ▸ decide ▸ record ▸ act ▸ wait.
//!
//! It is level-triggered: each turn looks at the whole world again and trusts nothing that the last turn believed. It is
//! the only place where something is tried again.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    pipeline::Pipeline,
    record::{Lead, TableError},
    telemetry::Telemetry,
};

/// Reconciles as long as this process leads, until `stopping`.
pub(crate) async fn reconcile(
    mut pipeline: Pipeline,
    mut leads: watch::Receiver<Option<Lead>>,
    tick: Duration,
    telemetry: Arc<Telemetry>,
    stopping: CancellationToken,
) {
    while !stopping.is_cancelled() {
        let started = Instant::now();
        let lead = leads.borrow_and_update().clone();
        if let Some(lead) = lead {
            let ended = Box::pin(turn(&mut pipeline, &lead, &telemetry, stopping.clone())).await;
            telemetry.turned(started, ended);
        } else {
            pipeline.forget();
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep_until(started + tick) => {}
            Ok(()) = leads.changed() => {}
        }
    }
}

async fn turn(
    pipeline: &mut Pipeline,
    lead: &Lead,
    telemetry: &Telemetry,
    stopping: CancellationToken,
) -> Result<(), TableError> {
    let Some(seen) = stopping.run_until_cancelled_owned(pipeline.observe(lead)).await else { return Ok(()) };
    let Some(mut decision) = pipeline.decide(lead, seen?) else { return Ok(()) };
    pipeline.record(lead, &decision).await?;
    if decision.outcomes.len() < decision.plan.actions.len() {
        pipeline.act(lead, &mut decision).await;
        telemetry.acted(&decision.outcomes);
        pipeline.record(lead, &decision).await?;
    }
    Ok(())
}
