//! Sends parcels with PutRecords until Kinesis has confirmed each record or its time is up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_kinesis::{
    Client,
    operation::put_records::PutRecordsOutput,
    primitives::Blob,
    types::{PutRecordsRequestEntry, PutRecordsResultEntry},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    backlog::{Backlog, Shipment},
    gate::Verdict,
    pack::{Parcel, Place},
    pipeline::{Occupation, Pipeline},
    receipt::{Refusal, Stored},
    route::ShardMap,
};
use crate::aws;

/// Requests under way at once. With 5 MiB each, base64 and the copies of the SDK they need less than 100 MiB.
const REQUESTS_MAX: usize = 4;

/// The longest sleep: how late an expired record may be noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The code that a shard over its quota answers with.
const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// The sending end of the pipeline.
///
/// Each failed record of a request is sent again by itself, at the pace of its shard, which the SDK's retries of whole
/// requests cannot do: they are off for this client.
pub(crate) struct Sender {
    pub(crate) kinesis: Client,
    pub(crate) stream: String,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) linger: Duration,
    pub(crate) record_ttl: Duration,
    pub(crate) map: watch::Receiver<ShardMap>,
    /// Told when an answer shows that the map is out of date.
    pub(crate) map_is_stale: Arc<Notify>,
}

/// What came back for a request.
struct Answer {
    shipments: Vec<Shipment>,
    result: Result<PutRecordsOutput, String>,
}

/// The sender at work.
struct Work {
    sender: Sender,
    backlog: Backlog,
    requests: JoinSet<Answer>,
    last_sent: Option<Instant>,
    last_error: Arc<str>,
}

impl Sender {
    /// Sends until `draining`, and after that until nothing is left.
    pub(crate) async fn run(self, backlog: Backlog, draining: CancellationToken) {
        let mut work = Work {
            sender: self,
            backlog,
            requests: JoinSet::new(),
            last_sent: None,
            last_error: "it was not tried".into(),
        };
        work.follow_map();
        loop {
            let linger = if draining.is_cancelled() { Duration::ZERO } else { work.sender.linger };
            let wake = work.step(linger, Instant::now());
            if draining.is_cancelled() && work.is_done() {
                return;
            }
            tokio::select! {
                Some(answered) = work.requests.join_next() => match answered {
                    Ok(answer) => work.settle(answer, Instant::now()),
                    Err(error) => tracing::error!(%error, "a PutRecords request was lost"),
                },
                () = work.sender.pipeline.arrived.notified() => {}
                () = sleep_until(wake) => {}
                Ok(()) = work.sender.map.changed() => work.follow_map(),
                () = draining.cancelled(), if !draining.is_cancelled() => {}
            }
        }
    }
}

impl Work {
    /// Does what is due now and says when to look again.
    fn step(&mut self, linger: Duration, now: Instant) -> Instant {
        for parcel in self.backlog.expire(now, self.sender.record_ttl) {
            self.give_up(parcel, now);
        }
        if self.requests.len() < REQUESTS_MAX {
            let parcels = self.sender.pipeline.take_due(self.occupation(), linger, now);
            self.backlog.add(parcels);
        }
        while self.requests.len() < REQUESTS_MAX {
            let request = self.backlog.next_request(now);
            if request.is_empty() {
                break;
            }
            self.launch(request, now);
        }
        let mut figures = self.sender.pipeline.stats.figures();
        figures.requests_in_flight = self.requests.len() as u64;
        figures.backlog_bytes = self.backlog.user_bytes() as u64;
        figures.backlog_since = self.backlog.oldest();
        drop(figures);
        let wakes = [self.backlog.opens_at(now), self.sender.pipeline.due(self.occupation(), linger)];
        // With all requests under way, the next answer is what to wait for.
        let wakes = wakes.into_iter().flatten().filter(|_| self.requests.len() < REQUESTS_MAX);
        wakes.chain([now + SLEEP_MAX]).min().unwrap_or(now + SLEEP_MAX)
    }

    fn occupation(&self) -> Occupation {
        let held_up = self.backlog.oldest().is_some();
        Occupation { requests: self.requests.len(), held_up, last_sent: self.last_sent }
    }

    fn is_done(&self) -> bool {
        self.requests.is_empty() && self.backlog.oldest().is_none() && self.sender.pipeline.waiting().1.is_none()
    }

    fn follow_map(&mut self) {
        let map = self.sender.map.borrow_and_update().clone();
        self.backlog.follow(map);
    }

    fn launch(&mut self, mut shipments: Vec<Shipment>, now: Instant) {
        self.last_sent = Some(now);
        {
            let mut figures = self.sender.pipeline.stats.figures();
            for shipment in &shipments {
                let bytes = shipment.record_bytes as u64;
                figures.note_sent(&shipment.shard_id, bytes, shipment.parcel.attempts > 1, now);
                let waited = now.saturating_duration_since(shipment.parcel.since);
                figures.unpublished.buffering_time.add(1, waited.as_secs_f64() * 1000.0);
            }
        }
        let request = self.sender.kinesis.put_records().stream_name(&self.sender.stream);
        let entries: Result<Vec<_>, _> = shipments.iter_mut().map(entry).collect();
        self.requests.spawn(async move {
            let result = match entries {
                Ok(entries) => request.set_records(Some(entries)).send().await.map_err(|error| aws::describe(&error)),
                Err(error) => Err(error.to_string()),
            };
            Answer { shipments, result }
        });
    }

    /// Tells those who wait for stored records, and takes back the others.
    fn settle(&mut self, answer: Answer, now: Instant) {
        let (results, error) = match answer.result {
            Ok(output) => (output.records, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        if let Some(error) = &error {
            tracing::warn!(%error, records = answer.shipments.len(), "PutRecords failed");
        }
        let error: Arc<str> = error.unwrap_or_else(|| "PutRecords answered without a result".to_owned()).into();
        let mut verdicts = BTreeMap::<Arc<str>, (usize, Verdict)>::new();
        let mut failed = Vec::new();
        let mut results = results.into_iter();
        for shipment in answer.shipments {
            let (cost, verdict) = verdicts.entry(shipment.shard_id.clone()).or_default();
            *cost += shipment.cost;
            let result = results.next();
            match result.as_ref().and_then(stored) {
                Some(stored) => {
                    verdict.stored += 1;
                    self.deliver(shipment, &stored, now);
                }
                None => {
                    verdict.refused += 1;
                    self.note_failure(&shipment, result.as_ref(), &error, now);
                    failed.push(shipment.parcel);
                }
            }
        }
        for (shard_id, (cost, verdict)) in verdicts {
            self.backlog.answered(&shard_id, cost, verdict, now);
        }
        for parcel in failed.into_iter().rev() {
            self.backlog.give_back(parcel);
        }
    }

    fn deliver(&self, shipment: Shipment, stored: &Stored, now: Instant) {
        if stored.shard_id != shipment.shard_id {
            self.sender.map_is_stale.notify_one();
        }
        let parcel = shipment.parcel;
        let (bytes, users) = (shipment.record_bytes as u64, parcel.tickets.len());
        let shard = self.backlog.map().shard_of(shipment.hash);
        let mut figures = self.sender.pipeline.stats.figures();
        figures.note_stored(&stored.shard_id, bytes, users, parcel.user_bytes as u64, now);
        if shard.id == stored.shard_id {
            figures.note_place(shard, shipment.hash, parcel.place != Place::Anywhere, bytes, now);
        }
        drop(figures);
        for ticket in parcel.tickets {
            ticket.settle(Ok(stored.clone()));
        }
    }

    fn note_failure(
        &mut self,
        shipment: &Shipment,
        result: Option<&PutRecordsResultEntry>,
        error: &Arc<str>,
        now: Instant,
    ) {
        let code = result.and_then(PutRecordsResultEntry::error_code);
        self.last_error = code.map_or_else(|| error.clone(), Arc::from);
        let throttled = code == Some(THROTTLED) || error.starts_with(THROTTLED);
        self.sender.pipeline.stats.figures().note_failed(&shipment.shard_id, throttled, now);
    }

    fn give_up(&self, parcel: Parcel, now: Instant) {
        let records = parcel.tickets.len();
        tracing::warn!(records, attempts = parcel.attempts, error = %self.last_error, "gave up on records whose time is up");
        self.sender.pipeline.stats.figures().refused.add(now, records as u64, parcel.user_bytes as u64);
        for ticket in parcel.tickets {
            ticket.settle(Err(Refusal::Expired { last_error: self.last_error.clone() }));
        }
    }
}

/// The entry of a request for a shipment. Its data goes along: a parcel that comes back is encoded again.
fn entry(shipment: &mut Shipment) -> Result<PutRecordsRequestEntry, aws_sdk_kinesis::error::BuildError> {
    let record = &mut shipment.record;
    PutRecordsRequestEntry::builder()
        .partition_key(std::mem::take(&mut record.partition_key))
        .explicit_hash_key(record.explicit_hash_key.to_string())
        .data(Blob::new(std::mem::take(&mut record.data)))
        .build()
}

fn stored(result: &PutRecordsResultEntry) -> Option<Stored> {
    Some(Stored { sequence_number: result.sequence_number()?.into(), shard_id: result.shard_id()?.into() })
}
