//! Sends what is due: open loop up to a bound of requests in flight, with retries of what the server could not take.

use std::time::Duration;

use anyhow::Result;
use hyper::{StatusCode, body::Bytes};
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Client, Records, Schedule, client::Answer};

/// How often the schedule is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long a batch is tried before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first and the longest pause before a batch is sent again.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LAST: Duration = Duration::from_secs(5);

/// How to send.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) schedule: Schedule,
    /// The most requests in flight. While all are, what is due waits without being built.
    pub(crate) concurrency: usize,
    /// The most records in one request; 1 posts each record alone.
    pub(crate) batch: usize,
}

/// What became of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// Answered with 200: in the stream.
    pub(crate) stored: u64,
    pub(crate) failed: u64,
    /// Requests that were sent again.
    pub(crate) retried: u64,
    pub(crate) bytes: u64,
    /// The last reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.failed += other.failed;
        self.retried += other.retried;
        self.last_error = other.last_error.or(self.last_error.take());
    }
}

/// Sends until the schedule or the records end, or `stopping`; then waits for what is in flight. `show` sees the tally
/// as it grows.
pub(crate) async fn send(
    client: &Client,
    mut records: Records,
    plan: &Plan,
    stopping: &CancellationToken,
    mut show: impl FnMut(&Tally),
) -> Result<Tally> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut flights: JoinSet<Tally> = JoinSet::new();
    let mut ended = false;
    while !ended && !stopping.is_cancelled() {
        let elapsed = Instant::now().duration_since(started);
        let due = plan.schedule.due(elapsed).saturating_sub(tally.sent);
        ended = due == 0 && plan.schedule.is_over(elapsed);
        let size = usize::try_from(due).unwrap_or(usize::MAX).min(plan.batch);
        if size > 0 && flights.len() < plan.concurrency {
            let batch = records.take(size)?;
            ended = batch.is_empty();
            if !ended {
                tally.sent += batch.len() as u64;
                tally.bytes += batch.iter().map(|record| record.len() as u64).sum::<u64>();
                flights.spawn(deliver(client.clone(), batch));
            }
            continue;
        }
        let nothing_due = size == 0;
        tokio::select! {
            Some(landed) = flights.join_next() => tally.add(landed?),
            () = sleep(LOOK), if nothing_due => {}
            () = stopping.cancelled() => {}
        }
        show(&tally);
    }
    while let Some(landed) = flights.join_next().await {
        tally.add(landed?);
        show(&tally);
    }
    Ok(tally)
}

/// Delivers one batch, trying again while the server cannot take it.
async fn deliver(client: Client, mut batch: Vec<String>) -> Tally {
    let deadline = Instant::now() + PATIENCE;
    let (mut tally, mut pause) = (Tally::default(), BACKOFF_FIRST);
    loop {
        let (path, content_type, body) = encode(&batch);
        let answer = client.post(path, content_type, body).await;
        let before = batch.len();
        keep_refused(&mut batch, &answer);
        tally.stored += (before - batch.len()) as u64;
        if batch.is_empty() {
            return tally;
        }
        let wait = retry_after(&answer).map(|asked| asked.max(pause));
        let again = wait.map(|wait| Instant::now() + wait).filter(|again| *again < deadline);
        let Some(again) = again else {
            return Tally { failed: batch.len() as u64, last_error: Some(words(answer)), ..tally };
        };
        sleep_until(again).await;
        tally.retried += 1;
        pause = (pause * 2).min(BACKOFF_LAST);
    }
}

/// Leaves in the batch what was not stored: 200 means that all was, 207 carries a result for each record.
fn keep_refused(batch: &mut Vec<String>, answer: &Result<Answer, String>) {
    #[derive(Deserialize)]
    struct Results {
        results: Vec<Each>,
    }
    #[derive(Deserialize)]
    struct Each {
        error: Option<String>,
    }
    let Ok(answer) = answer else { return };
    match answer.status {
        StatusCode::OK => batch.clear(),
        StatusCode::MULTI_STATUS => {
            let Ok(Results { results }) = serde_json::from_slice(&answer.body) else { return };
            let mut results = results.into_iter();
            // A record without a result is not known to be stored.
            batch.retain(|_| results.next().is_none_or(|each| each.error.is_some()));
        }
        _ => {}
    }
}

/// Whether an answer asks to be tried again, and after which time at least. No answer at all is tried again too: the
/// record may then be stored twice, but not be lost.
fn retry_after(answer: &Result<Answer, String>) -> Option<Duration> {
    let Ok(answer) = answer else { return Some(Duration::ZERO) };
    match answer.status {
        StatusCode::MULTI_STATUS
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(answer.retry_after.unwrap_or_default().min(BACKOFF_LAST)),
        _ => None,
    }
}

fn words(answer: Result<Answer, String>) -> String {
    match answer {
        Ok(answer) => format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body).trim()),
        Err(problem) => problem,
    }
}

/// One record as the sample's clients post it, several as a JSON object a line.
fn encode(batch: &[String]) -> (&'static str, &'static str, Bytes) {
    #[derive(Serialize)]
    struct Body<'a> {
        data: &'a str,
    }
    let lines = batch.iter().filter_map(|data| serde_json::to_string(&Body { data }).ok());
    let body = lines.collect::<Vec<_>>().join("\n");
    if batch.len() == 1 {
        ("/", "application/json", body.into())
    } else {
        ("/records", "application/x-ndjson", body.into())
    }
}
