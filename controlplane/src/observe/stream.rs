//! The stream as Kinesis describes it.

use std::collections::BTreeSet;

use aws_sdk_kinesis::{
    Client,
    types::{Shard, ShardFilter, ShardFilterType, StreamMode},
};
use jiff::Timestamp;

use super::{Reading, Source, StreamObservation, leases::Work};
use crate::units::ShardCount;

/// The stream's status and its open shards.
pub(super) struct Stream {
    status: String,
    on_demand: bool,
    pub(super) open: Vec<OpenShard>,
}

/// An open shard and the shards it came from.
pub(super) struct OpenShard {
    pub(super) id: String,
    pub(super) parents: BTreeSet<String>,
}

impl Stream {
    #[cfg(test)]
    pub(super) fn of(open: Vec<OpenShard>) -> Self {
        Self { status: "ACTIVE".to_owned(), on_demand: false, open }
    }

    pub(super) async fn read(client: &Client, name: &str) -> Result<Self, aws_sdk_kinesis::Error> {
        let (summary, open) = tokio::try_join!(
            async { Ok(client.describe_stream_summary().stream_name(name).send().await?) },
            open_shards(client, name)
        )?;
        let summary = summary.stream_description_summary;
        let mode =
            summary.as_ref().and_then(|summary| summary.stream_mode_details()).map(|mode| mode.stream_mode().clone());
        Ok(Self {
            status: summary.map(|summary| summary.stream_status.to_string()).unwrap_or_default(),
            on_demand: mode == Some(StreamMode::OnDemand),
            open,
        })
    }
}

async fn open_shards(client: &Client, name: &str) -> Result<Vec<OpenShard>, aws_sdk_kinesis::Error> {
    let mut shards = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = client.list_shards();
        let page = match &next {
            Some(token) => page.next_token(token),
            None => {
                let latest = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
                page.stream_name(name).set_shard_filter(latest.ok())
            }
        };
        let page = page.send().await?;
        shards.extend(page.shards.unwrap_or_default().into_iter().map(OpenShard::from));
        next = page.next_token;
        if next.is_none() {
            return Ok(shards);
        }
    }
}

impl From<Shard> for OpenShard {
    fn from(shard: Shard) -> Self {
        Self {
            id: shard.shard_id,
            parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
        }
    }
}

pub(super) fn observation(
    name: &str,
    stream: Option<&Stream>,
    work: Option<&Work>,
    now: Timestamp,
) -> StreamObservation {
    let kinesis = |value| Reading { value, at: now, source: Source::Kinesis };
    StreamObservation {
        name: name.to_owned(),
        status: stream.map(|stream| Reading { value: stream.status.clone(), at: now, source: Source::Kinesis }),
        on_demand: stream.is_some_and(|stream| stream.on_demand),
        open_shards: stream.map(|stream| kinesis(count(stream.open.len()))),
        undrained_parents: work.map(|work| Reading {
            value: count(work.undrained_parents.len()),
            at: now,
            source: Source::LeaseTable,
        }),
        warm_throughput_mib: None,
        account_shards_left: None,
    }
}

pub(super) fn count(shards: usize) -> ShardCount {
    ShardCount(u32::try_from(shards).unwrap_or(u32::MAX))
}
