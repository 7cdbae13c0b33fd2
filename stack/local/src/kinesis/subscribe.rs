//! `SubscribeToShard`: a stream of events that follows a shard.

use std::{io::Write, sync::Arc, time::Duration};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    account::{Account, name_in_arn},
    cell::Cell,
    engine::{
        sequence::SequenceNumber,
        shard::{Batch, Shard, ShardId, Start},
        subscription::Delivery,
    },
    fault,
    operations::parse_start,
    wire,
};
use crate::service::{AwsError, Call, Reply};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(rename = "ConsumerARN")]
    consumer_arn: String,
    shard_id: String,
    starting_position: StartingPosition,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartingPosition {
    r#type: String,
    sequence_number: Option<String>,
    timestamp: Option<f64>,
}

/// Answers `SubscribeToShard`.
pub(super) fn subscribe(account: &Arc<Account>, call: &Call) -> Result<Reply, AwsError> {
    let input: Input = call.input()?;
    let (position, now) = (&input.starting_position, account.now());
    let start = parse_start(&position.r#type, position.sequence_number.as_deref(), position.timestamp, now)?;
    let name = name_in_arn(&input.consumer_arn)
        .ok_or_else(|| fault::constraint("consumerARN", &input.consumer_arn, "be the ARN of a consumer"))?;
    let cell = account.find_named(name)?;
    let call = account.next_subscription();
    let place = cell.look(now, |stream| {
        stream.require_usable()?;
        let id = input.shard_id.parse().ok();
        let shard = id.and_then(|id| stream.shard(id));
        let shard = shard.ok_or_else(|| fault::no_such_shard(stream, &input.shard_id))?;
        let place = Place::new(shard, start)?;
        stream.subscribe(&input.consumer_arn, place.shard, call, &account.settings, now)?;
        Ok::<_, AwsError>(place)
    })?;
    let subscription = Subscription {
        account: account.clone(),
        cell,
        consumer_arn: input.consumer_arn,
        call,
        place,
        ends: Instant::now() + account.settings.subscription_lifetime,
        rests_until: Instant::now(),
    };
    let opening = frame(&[MESSAGE, (":event-type", "initial-response"), JSON], b"{}".as_slice())?;
    let events = stream::unfold(Some(subscription), |subscription| async { subscription?.next().await });
    Ok(Reply::EventStream(stream::once(async { opening }).chain(events).boxed()))
}

/// How far a subscription has read.
struct Place {
    shard: ShardId,
    /// The index of the record to read next.
    index: u64,
    /// What the caller goes on after when it subscribes anew.
    continuation: SequenceNumber,
}

impl Place {
    fn new(shard: &Shard, start: Start) -> Result<Self, AwsError> {
        let index = shard.index(start);
        let continuation = match start {
            Start::At(number) | Start::After(number) if shard.owns(number) => number,
            Start::At(number) | Start::After(number) => return Err(fault::foreign_position(number)),
            // A number before that of the next record and after that of the one before it.
            _ => shard.sequence_number(index.saturating_sub(1), u64::MAX),
        };
        Ok(Self { shard: shard.id, index, continuation })
    }
}

struct Subscription {
    account: Arc<Account>,
    cell: Arc<Cell>,
    consumer_arn: String,
    call: u64,
    place: Place,
    ends: Instant,
    rests_until: Instant,
}

impl Subscription {
    /// The next frame, with the subscription unless this frame is its last. None at the end of its time.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        let account = self.account.clone();
        account
            .stopping
            .run_until_cancelled(self.wait_for_frame())
            .await??
            .map_or_else(|error| Some((error, None)), |(frame, ended)| Some((frame, (!ended).then_some(self))))
    }

    /// The next event and whether it is the last, or the exception that ends the subscription.
    async fn wait_for_frame(&mut self) -> Option<Result<(Bytes, bool), Bytes>> {
        tokio::time::sleep_until(self.rests_until.min(self.ends)).await;
        let account = self.account.clone();
        let settings = &account.settings;
        let heartbeat = Instant::now() + settings.subscription_heartbeat;
        loop {
            let cell = self.cell.clone();
            let changed = cell.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = account.now();
            if Instant::now() >= self.ends {
                return None;
            }
            let delivery = cell.look(now, |stream| {
                stream.deliver(&self.consumer_arn, self.place.shard, self.call, self.place.index, settings, now)
            });
            let until = match delivery {
                Delivery::Records(batch) => return Some(self.event(&batch)),
                Delivery::TakenOver => return Some(Err(self.exception("ResourceInUseException"))),
                Delivery::Gone => return Some(Err(self.exception("ResourceNotFoundException"))),
                Delivery::Idle(_) if Instant::now() >= heartbeat => return Some(self.silence()),
                Delivery::Idle(until) => until,
            };
            let until =
                until.map_or(heartbeat, |until| Instant::now() + until.since(now).max(Duration::from_millis(1)));
            tokio::select! {
                // One look serves all the puts of this pause.
                () = changed => tokio::time::sleep(settings.subscription_pace).await,
                () = tokio::time::sleep_until(until.min(heartbeat).min(self.ends)) => {}
            }
        }
    }

    /// An event without records, which shows that the subscription is alive.
    fn silence(&mut self) -> Result<(Bytes, bool), Bytes> {
        let now = self.account.now();
        let empty = self
            .cell
            .look(now, |stream| stream.shard(self.place.shard).map(|shard| shard.read(self.place.index, 0, 0, now)));
        match empty {
            Some(empty) => self.event(&empty),
            None => Err(self.exception("ResourceNotFoundException")),
        }
    }

    /// The event of a batch, and whether it is the last. Goes on behind it.
    fn event(&mut self, batch: &Batch) -> Result<(Bytes, bool), Bytes> {
        let now = self.account.now();
        self.place.index = batch.next;
        self.place.continuation = batch.last_number().unwrap_or(self.place.continuation);
        self.rests_until = Instant::now() + self.account.settings.subscription_pace;
        let (children, encrypted) = self.cell.look(now, |stream| {
            stream.count_event(&self.consumer_arn, batch, now);
            (wire::child_shards(stream, batch), stream.key_id.is_some())
        });
        let payload = self.payload(batch, &children, encrypted);
        let event =
            payload.and_then(|payload| frame(&[MESSAGE, (":event-type", "SubscribeToShardEvent"), JSON], payload));
        event.map(|event| (event, batch.ended)).map_err(|error| {
            tracing::error!(%error, "an event of a subscription cannot be written");
            self.exception("InternalFailureException")
        })
    }

    fn payload(&self, batch: &Batch, children: &[serde_json::Value], encrypted: bool) -> Result<Vec<u8>, AwsError> {
        let mut out = Vec::with_capacity(256);
        write!(out, "{{\"MillisBehindLatest\":{},", batch.behind.as_millis()).map_err(wire::unwritable)?;
        if batch.ended {
            out.extend_from_slice(b"\"ChildShards\":");
            serde_json::to_writer(&mut out, children).map_err(wire::unwritable)?;
        } else {
            write!(out, "\"ContinuationSequenceNumber\":\"{}\"", self.place.continuation).map_err(wire::unwritable)?;
        }
        out.extend_from_slice(b",\"Records\":");
        wire::write_records(&mut out, batch, encrypted)?;
        out.push(b'}');
        Ok(out)
    }

    fn exception(&self, kind: &'static str) -> Bytes {
        let message = match kind {
            "ResourceInUseException" => "Another call has taken this subscription over.",
            "ResourceNotFoundException" => "The shard or the consumer of this subscription does not exist any more.",
            _ => "The subscription cannot go on.",
        };
        let headers = [(":message-type", "exception"), (":exception-type", kind), JSON];
        // A frame this small can always be written; without it the stream ends, which the caller sees too.
        frame(&headers, json!({ "message": message }).to_string()).unwrap_or_default()
    }
}

const MESSAGE: (&str, &str) = (":message-type", "event");
const JSON: (&str, &str) = (":content-type", "application/x-amz-json-1.1");

/// One frame of `application/vnd.amazon.eventstream`.
fn frame(headers: &[(&'static str, &'static str)], payload: impl Into<Vec<u8>>) -> Result<Bytes, AwsError> {
    let message = headers.iter().fold(Message::new(payload.into()), |message, &(name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.into())))
    });
    let mut out = Vec::with_capacity(message.payload().len() + 256);
    write_message_to(&message, &mut out).map_err(wire::unwritable)?;
    Ok(out.into())
}
