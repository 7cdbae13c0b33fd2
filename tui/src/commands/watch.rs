//! What the live view shows, as one JSON line a second.

use std::time::Duration;

use anyhow::Result;
use controlplane::record::Status;
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{app::poll::Reader, clock, failure::Exit, output::write_line, target::Target, wording};

const PERIOD: Duration = Duration::from_secs(1);

/// One line. What nobody could read is absent.
#[derive(Debug, Default, Serialize)]
#[serde(default)]
struct Line {
    version: u32,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_age_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered_records_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_records_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_decision: Option<String>,
}

/// Prints until a signal comes or `stopping` is cancelled.
pub(super) async fn run(target: &Target, stopping: &CancellationToken) -> Result<Exit> {
    let mut reader = Reader::new(target);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = interrupt.recv() => return Ok(Exit::Done),
            _ = terminate.recv() => return Ok(Exit::Done),
            () = stopping.cancelled() => return Ok(Exit::Done),
        }
        let line = match reader.read().await {
            Ok(snapshot) => snapshot.status.as_ref().map(line).unwrap_or_default(),
            Err(error) => Line { problem: Some(format!("{error:#}")), ..Line::default() },
        };
        write_line(&serde_json::to_string(&Line { version: 1, at: clock::now().to_string(), ..line })?)?;
    }
}

fn line(status: &Status) -> Line {
    let seen = &status.observation;
    Line {
        heartbeat_age_ms: Some(clock::now().duration_since(status.heartbeat_at).as_millis() as i64),
        shards: seen.stream.open_shards.map(|reading| reading.value.0),
        producers: seen.producer.running.map(|reading| reading.value.0),
        consumers: seen.consumer.running.map(|reading| reading.value.0),
        offered_records_per_second: seen.load.offered_records.map(|reading| reading.value.0),
        processed_records_per_second: seen.load.processed_records.map(|reading| reading.value.0),
        lag_ms: seen.load.lag.map(|reading| reading.value.0),
        last_decision: status.last_decision.as_ref().map(wording::decision::headline),
        ..Line::default()
    }
}
