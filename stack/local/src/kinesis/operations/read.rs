//! Reading records with shard iterators.

use std::io::Write;

use serde::Deserialize;
use serde_json::json;

use super::describe::parse_shard;
use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::{
            metering::{Metric, sample},
            sequence::SequenceNumber,
            shard::{Batch, Shard, Start},
            stream::Stream,
            traffic::ReadLimits,
        },
        fault,
        iterator::ShardIterator,
        moment::Moment,
        wire,
    },
    service::{AwsError, Call, Reply},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIteratorInput {
    #[serde(flatten)]
    stream: StreamRef,
    shard_id: String,
    shard_iterator_type: String,
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
}

pub(super) fn get_shard_iterator(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: GetShardIteratorInput = call.input()?;
    let (id, now) = (parse_shard(&input.shard_id)?, account.now());
    let iterator = account.find(&input.stream)?.look(now, |stream| {
        stream.require_usable()?;
        let shard = stream.shard(id).ok_or_else(|| fault::no_such_shard(stream, &input.shard_id))?;
        let number = input.starting_sequence_number.as_deref();
        let start = parse_start(&input.shard_iterator_type, number, input.timestamp, now)?;
        if let Start::At(number) | Start::After(number) = start
            && !shard.owns(number)
        {
            return Err(fault::foreign_number(stream, shard.id, &number.to_string()));
        }
        Ok(iterator(stream, shard, shard.index(start), now))
    })?;
    Reply::json(&json!({ "ShardIterator": iterator }))
}

/// Reads a starting position as `GetShardIterator` and `SubscribeToShard` give it.
pub(in crate::kinesis) fn parse_start(
    kind: &str,
    number: Option<&str>,
    timestamp: Option<f64>,
    now: Moment,
) -> Result<Start, AwsError> {
    let number = || {
        let text = number.ok_or_else(|| fault::invalid(format!("{kind} needs a sequence number.")))?;
        SequenceNumber::parse(text).ok_or_else(|| fault::invalid(format!("{text} is not a sequence number.")))
    };
    match kind {
        "TRIM_HORIZON" => Ok(Start::TrimHorizon),
        "LATEST" => Ok(Start::Latest),
        "AT_SEQUENCE_NUMBER" => number().map(Start::At),
        "AFTER_SEQUENCE_NUMBER" => number().map(Start::After),
        "AT_TIMESTAMP" => {
            let seconds = timestamp.ok_or_else(|| fault::invalid("AT_TIMESTAMP needs a timestamp."))?;
            let timestamp = Moment::from_fractional_seconds(seconds);
            if timestamp > now { Err(fault::in_the_future(timestamp, now)) } else { Ok(Start::Since(timestamp)) }
        }
        other => Err(fault::constraint(
            "shardIteratorType",
            other,
            "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
        )),
    }
}

fn iterator(stream: &Stream, shard: &Shard, index: u64, now: Moment) -> String {
    let (stream_created, stream) = (stream.created, stream.name.clone());
    ShardIterator { issued: now, stream_created, shard: shard.id, index, stream }.encode()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecordsInput {
    shard_iterator: String,
    limit: Option<usize>,
}

pub(super) fn get_records(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let began = account.now();
    let input: GetRecordsInput = call.input()?;
    let settings = &account.settings;
    let records = input.limit.unwrap_or(settings.get_records_max);
    if records == 0 || records > settings.get_records_max {
        let rule = format!("have value between 1 and {}", settings.get_records_max);
        return Err(fault::constraint("limit", records, &rule));
    }
    let place = ShardIterator::decode(&input.shard_iterator).ok_or_else(|| fault::invalid("Invalid ShardIterator."))?;
    if began.since(place.issued) > settings.iterator_lifetime {
        return Err(fault::iterator_expired(place.issued, began, settings));
    }
    let limits = ReadLimits { records, bytes: settings.get_bytes_max };
    let (batch, end) = account.find_named(&place.stream)?.look(began, |stream| {
        stream.require_usable()?;
        if stream.created != place.stream_created {
            return Err(fault::invalid("Invalid ShardIterator: it is of an earlier stream of the same name."));
        }
        let batch = stream.get(place.shard, place.index, &limits, settings, began);
        let batch = batch.ok_or_else(|| fault::no_such_shard(stream, &place.shard.to_string()))?;
        count_get(stream, batch.as_ref().ok(), began, account.now());
        let batch = batch.map_err(|throttled| fault::throttled(stream, throttled.0))?;
        let end = End { children: wire::child_shards(stream, &batch), encrypted: stream.key_id.is_some() };
        Ok((batch, end))
    })?;
    let next = ShardIterator { issued: began, index: batch.next, ..place };
    answer(&batch, &end, &next)
}

/// What an answer needs from the stream beside the records.
struct End {
    children: Vec<serde_json::Value>,
    encrypted: bool,
}

fn answer(batch: &Batch, end: &End, next: &ShardIterator) -> Result<Reply, AwsError> {
    let mut out = Vec::with_capacity(256);
    write!(out, "{{\"MillisBehindLatest\":{},", batch.behind.as_millis()).map_err(wire::unwritable)?;
    if batch.ended {
        out.extend_from_slice(b"\"ChildShards\":");
        serde_json::to_writer(&mut out, &end.children).map_err(wire::unwritable)?;
    } else {
        write!(out, "\"NextShardIterator\":\"{}\"", next.encode()).map_err(wire::unwritable)?;
    }
    out.extend_from_slice(b",\"Records\":");
    wire::write_records(&mut out, batch, end.encrypted)?;
    out.push(b'}');
    Ok(Reply::Json(out.into()))
}

/// Counts one call. No batch: it was throttled.
fn count_get(stream: &mut Stream, batch: Option<&Batch>, began: Moment, now: Moment) {
    let meter = &mut stream.meter;
    meter.add(Metric::ReadProvisionedThroughputExceeded, if batch.is_none() { 1.0 } else { 0.0 }, now);
    meter.add(Metric::GetRecordsSuccess, if batch.is_some() { 1.0 } else { 0.0 }, now);
    meter.add(Metric::GetRecordsLatency, now.since(began).as_secs_f64() * 1000.0, now);
    if let Some(batch) = batch {
        meter.add(Metric::GetRecordsBytes, sample(batch.bytes), now);
        meter.add(Metric::GetRecordsRecords, sample(batch.records.len() as u64), now);
        meter.add(Metric::GetRecordsIteratorAge, batch.behind.as_secs_f64() * 1000.0, now);
    }
}
