//! Sends parcels with PutRecords until Kinesis has confirmed each record or its time is up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_kinesis::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::put_records::{PutRecordsError, PutRecordsOutput},
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
    kpl::Metric,
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
    sent_at: Instant,
    result: Result<PutRecordsOutput, Failure>,
}

/// Why a request has no results.
struct Failure {
    code: Arc<str>,
    text: String,
    /// Kinesis may have stored the records all the same: sending them again may store them twice, and not sending them
    /// again may lose them.
    unanswered: bool,
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
        while self.requests.len() < REQUESTS_MAX {
            let (backlog, ttl) = (&self.backlog, self.sender.record_ttl);
            // What is too old goes to the backlog to expire there.
            let ready = |parcel: &Parcel| backlog.is_ready(parcel.place, now) || parcel.since + ttl <= now;
            let parcels = self.sender.pipeline.take_due(self.occupation(), linger, now, ready);
            self.backlog.add(parcels);
            for parcel in self.backlog.expire(now, ttl) {
                self.give_up(parcel, now);
            }
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
        if self.requests.len() >= REQUESTS_MAX {
            // The next answer is what to wait for.
            return now + SLEEP_MAX;
        }
        let passed_over = self.sender.pipeline.has_passed_over();
        let wakes = [self.backlog.opens_at(passed_over, now), self.sender.pipeline.due(self.occupation(), linger)];
        wakes.into_iter().flatten().chain([now + SLEEP_MAX]).min().unwrap_or(now + SLEEP_MAX)
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
        let shards = map.shards().len();
        if !self.sender.pipeline.buckets.suffice(shards) {
            tracing::warn!(shards, "too few hash buckets for even shards: raise WEIR_HASH_BUCKETS in all tasks");
        }
        self.backlog.follow(map);
    }

    fn launch(&mut self, mut shipments: Vec<Shipment>, now: Instant) {
        self.last_sent = Some(now);
        {
            let mut figures = self.sender.pipeline.stats.figures();
            let users = shipments.iter().map(|shipment| shipment.parcel.tickets.len()).sum::<usize>();
            figures.unpublished.add(Metric::UserRecordsPerPutRecordsRequest, 1, users as f64);
            figures.unpublished.add(Metric::KinesisRecordsPerPutRecordsRequest, 1, shipments.len() as f64);
            for shipment in &shipments {
                let bytes = shipment.record_bytes as u64;
                figures.note_sent(&shipment.shard_id, bytes, shipment.parcel.attempts > 1, now);
                let waited = now.saturating_duration_since(shipment.parcel.since);
                figures.unpublished.add(Metric::BufferingTime, 1, waited.as_secs_f64() * 1000.0);
            }
        }
        let request = self.sender.kinesis.put_records().stream_name(&self.sender.stream);
        let entries: Result<Vec<_>, _> = shipments.iter_mut().map(entry).collect();
        self.requests.spawn(async move {
            let result = match entries {
                Ok(entries) => request.set_records(Some(entries)).send().await.map_err(|error| Failure::of(&error)),
                Err(error) => {
                    Err(Failure { code: "InvalidRequest".into(), text: error.to_string(), unanswered: false })
                }
            };
            Answer { shipments, sent_at: now, result }
        });
    }

    /// Tells those who wait for stored records, and takes back the others.
    fn settle(&mut self, answer: Answer, now: Instant) {
        let elapsed = now.saturating_duration_since(answer.sent_at).as_secs_f64() * 1000.0;
        self.sender.pipeline.stats.figures().unpublished.add(Metric::RequestTime, 1, elapsed);
        let (results, failure) = match answer.result {
            Ok(output) => (output.records, Failure::without_result()),
            Err(failure) => {
                tracing::warn!(error = failure.text, records = answer.shipments.len(), "PutRecords failed");
                (Vec::new(), failure)
            }
        };
        let mut verdicts = BTreeMap::<Arc<str>, Verdict>::new();
        let mut failed = Vec::new();
        let mut results = results.into_iter();
        for mut shipment in answer.shipments {
            let verdict = verdicts.entry(shipment.shard_id.clone()).or_default();
            let result = results.next();
            if let Some(stored) = result.as_ref().and_then(stored) {
                verdict.stored += 1;
                self.deliver(shipment, &stored, now);
            } else {
                let throttled = self.note_failure(&shipment, result.as_ref(), &failure, now);
                *(if throttled { &mut verdict.throttled } else { &mut verdict.failed }) += 1;
                shipment.parcel.unanswered |= result.is_none() && failure.unanswered;
                failed.push(shipment.parcel);
            }
        }
        for (shard_id, verdict) in verdicts {
            self.backlog.answered(&shard_id, verdict, now);
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
        figures.unpublished.add(Metric::RetriesPerRecord, users, f64::from(parcel.attempts.saturating_sub(1)));
        figures.possible_copies += if parcel.unanswered { users as u64 } else { 0 };
        if shard.id == stored.shard_id {
            figures.note_place(shard, shipment.hash, parcel.place != Place::Anywhere, bytes, now);
        }
        drop(figures);
        for ticket in parcel.tickets {
            ticket.settle(Ok(stored.clone()));
        }
    }

    /// Takes note of a record that was not stored, and says whether its shard had no quota left.
    fn note_failure(
        &mut self,
        shipment: &Shipment,
        result: Option<&PutRecordsResultEntry>,
        failure: &Failure,
        now: Instant,
    ) -> bool {
        let code = result.and_then(PutRecordsResultEntry::error_code).map(Arc::from);
        let text = code.clone().unwrap_or_else(|| failure.text.as_str().into());
        let code = code.unwrap_or_else(|| failure.code.clone());
        let throttled = &*code == THROTTLED;
        self.last_error = text;
        self.sender.pipeline.stats.figures().note_failed(&shipment.shard_id, &code, throttled, now);
        throttled
    }

    fn give_up(&self, parcel: Parcel, now: Instant) {
        let records = parcel.tickets.len();
        tracing::warn!(records, attempts = parcel.attempts, error = %self.last_error, "gave up on records whose time is up");
        self.sender.pipeline.stats.figures().note_expired(records, parcel.user_bytes as u64, now);
        for ticket in parcel.tickets {
            ticket.settle(Err(Refusal::Expired { last_error: self.last_error.clone() }));
        }
    }
}

impl Failure {
    fn of(error: &SdkError<PutRecordsError>) -> Self {
        let code = match error {
            SdkError::ServiceError(refused) => refused.err().code().unwrap_or("UnknownError"),
            SdkError::TimeoutError(_) => "RequestTimeout",
            SdkError::ConstructionFailure(_) => "InvalidRequest",
            _ => "ConnectionFailure",
        };
        let unanswered = match error {
            SdkError::ConstructionFailure(_) => false,
            SdkError::ServiceError(refused) => !refused.raw().status().is_client_error(),
            _ => true,
        };
        Self { code: code.into(), text: aws::describe(error), unanswered }
    }

    /// Of a record that an answer has no result for.
    fn without_result() -> Self {
        let text = "PutRecords answered without a result".to_owned();
        Self { code: "NoResult".into(), text, unanswered: true }
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
