//! The stream as Kinesis describes it.

use std::collections::BTreeSet;

use aws_sdk_kinesis::{
    Client,
    types::{EnhancedMetrics, Shard, ShardFilter, ShardFilterType, StreamMode},
};
use jiff::Timestamp;

use super::{
    Reading, Source, StreamObservation,
    account::{Account, Failed},
    leases::Work,
};
use crate::{limits::DEPLOYMENT_TAG, units::ShardCount};

/// The stream's status and its open shards.
#[derive(Default)]
pub(super) struct Stream {
    status: String,
    on_demand: bool,
    warm_throughput_mib: Option<u32>,
    /// The shard-level metrics that somebody pays for.
    pub(super) shard_metrics: BTreeSet<String>,
    pub(super) open: Vec<OpenShard>,
}

/// An open shard, its range of hash keys, and the shards it came from.
#[derive(Default)]
pub(super) struct OpenShard {
    pub(super) id: String,
    /// The first and the last hash key.
    pub(super) range: Option<(u128, u128)>,
    pub(super) parents: BTreeSet<String>,
}

impl Stream {
    #[cfg(test)]
    pub(super) fn of(open: Vec<OpenShard>) -> Self {
        Self { status: "ACTIVE".to_owned(), open, ..Self::default() }
    }

    pub(super) async fn read(account: &Account, name: &str) -> Result<Self, aws_sdk_kinesis::Error> {
        let client = &account.clients.kinesis;
        let describe = async {
            account.paces.stream_summary.take().await;
            Ok(client.describe_stream_summary().stream_name(name).send().await?)
        };
        let (summary, open) = tokio::try_join!(describe, open_shards(client, name))?;
        let Some(summary) = summary.stream_description_summary else { return Ok(Self { open, ..Self::default() }) };
        let metrics = summary.enhanced_monitoring.iter().flat_map(EnhancedMetrics::shard_level_metrics);
        let warm = summary.warm_throughput.as_ref().and_then(|warm| warm.current_mibps);
        Ok(Self {
            shard_metrics: metrics.map(ToString::to_string).collect(),
            warm_throughput_mib: warm.and_then(|mib| u32::try_from(mib).ok()),
            on_demand: summary.stream_mode_details.is_some_and(|mode| mode.stream_mode == StreamMode::OnDemand),
            status: summary.stream_status.to_string(),
            open,
        })
    }

    /// The deployment that the stream's tags name.
    pub(super) async fn deployment(account: &Account, name: &str) -> Result<Option<String>, Failed> {
        account.paces.stream_tags.take().await;
        let tags = account.clients.kinesis.list_tags_for_stream().stream_name(name).send().await;
        let tags = tags.map_err(|error| Failed::of(&aws_sdk_kinesis::Error::from(error)))?.tags;
        Ok(tags.into_iter().find(|tag| tag.key == DEPLOYMENT_TAG).and_then(|tag| tag.value))
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
        // A shard with an end is closed, whatever the filter.
        let open = page.shards.unwrap_or_default().into_iter().filter(|shard| !is_closed(shard));
        shards.extend(open.map(OpenShard::from));
        next = page.next_token;
        if next.is_none() {
            return Ok(shards);
        }
    }
}

fn is_closed(shard: &Shard) -> bool {
    shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some())
}

impl From<Shard> for OpenShard {
    fn from(shard: Shard) -> Self {
        let range = shard
            .hash_key_range
            .as_ref()
            .and_then(|range| Some((range.starting_hash_key.parse().ok()?, range.ending_hash_key.parse().ok()?)));
        Self {
            id: shard.shard_id,
            range,
            parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
        }
    }
}

pub(super) fn observation(
    name: &str,
    stream: Option<&Stream>,
    work: Option<&Work>,
    account_shards_left: Option<u32>,
    now: Timestamp,
) -> StreamObservation {
    fn kinesis<T>(value: T, at: Timestamp) -> Reading<T> {
        Reading { value, at, source: Source::Kinesis }
    }
    StreamObservation {
        name: name.to_owned(),
        status: stream.map(|stream| kinesis(stream.status.clone(), now)),
        on_demand: stream.is_some_and(|stream| stream.on_demand),
        open_shards: stream.map(|stream| kinesis(count(stream.open.len()), now)),
        undrained_parents: work.map(|work| Reading {
            value: count(work.undrained_parents.len()),
            at: now,
            source: Source::LeaseTable,
        }),
        warm_throughput_mib: stream.and_then(|stream| stream.warm_throughput_mib).map(|mib| kinesis(mib, now)),
        account_shards_left: account_shards_left.map(|left| kinesis(left, now)),
    }
}

pub(super) fn count(shards: usize) -> ShardCount {
    ShardCount(u32::try_from(shards).unwrap_or(u32::MAX))
}
