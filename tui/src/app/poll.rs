//! Reads the control table again and again and publishes whole snapshots: a slow reader sees the newest, never a queue.

use std::time::Duration;

use anyhow::Result;
use controlplane::{decide::Decision, record::Table};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::model::Snapshot;
use crate::{clock, target::Target};

/// How often the table is read. One strongly consistent read of a few KiB.
const PERIOD: Duration = Duration::from_secs(1);
/// How long one reading may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many decisions can be looked at.
const DECISIONS: usize = 100;

/// The newest reading; nothing before the first.
pub(crate) type Reading = Option<Result<Box<Snapshot>, String>>;

/// Polls until `stopping`.
pub(crate) async fn poll(target: Target, readings: watch::Sender<Reading>, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reader = Reader::new(&target);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        let reading = match tokio::time::timeout(PATIENCE, reader.read()).await {
            Ok(Ok(snapshot)) => Ok(Box::new(snapshot)),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        readings.send_replace(Some(reading));
    }
}

/// Reads snapshots; the decisions only when there is a new one.
pub(crate) struct Reader {
    table: Table,
    pipeline: String,
    decisions: Vec<Decision>,
}

impl Reader {
    pub(crate) fn new(target: &Target) -> Self {
        Self { table: target.control_table(), pipeline: target.name.to_string(), decisions: Vec::new() }
    }

    /// One reading of status and decisions.
    pub(crate) async fn read(&mut self) -> Result<Snapshot> {
        let status = self.table.status(&self.pipeline).await?;
        let last = status.as_ref().and_then(|status| status.last_decision.as_ref());
        if last.is_some() && last != self.decisions.first() {
            self.decisions = self.table.decisions(&self.pipeline, None, DECISIONS).await?;
        }
        Ok(Snapshot { read_at: clock::now(), status, decisions: self.decisions.clone() })
    }
}
