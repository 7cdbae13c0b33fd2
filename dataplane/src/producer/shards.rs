//! Keeps the shard map up to date.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use aws_sdk_kinesis::{
    Client,
    types::{Shard as ListedShard, ShardFilter, ShardFilterType},
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::route::{Shard, ShardMap};
use crate::aws;

/// How old the map gets when no answer shows that it is wrong.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two looks: ListShards allows 100 a second to all callers of a stream.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);

/// Looks up the shards until `stopping`: at once, whenever `stale`, and every 30 seconds.
pub(crate) async fn follow(
    kinesis: Client,
    stream: String,
    map: watch::Sender<ShardMap>,
    stale: Arc<Notify>,
    stopping: CancellationToken,
) {
    let looking = async {
        loop {
            let known = match list(&kinesis, &stream).await {
                Ok(shards) => {
                    publish(&map, shards);
                    true
                }
                Err(error) => {
                    tracing::warn!(%error, %stream, "cannot list the shards");
                    false
                }
            };
            sleep(REFRESH_PAUSE).await;
            if known {
                let _ = tokio::time::timeout(REFRESH_INTERVAL, stale.notified()).await;
            }
        }
    };
    stopping.run_until_cancelled(looking).await;
}

fn publish(map: &watch::Sender<ShardMap>, shards: Vec<Shard>) {
    let Some(new) = ShardMap::new(shards) else { return };
    map.send_if_modified(|current| {
        let changed = *current != new;
        if changed {
            tracing::info!(shards = new.shards().len(), "the stream's shards have changed");
            *current = new;
        }
        changed
    });
}

async fn list(kinesis: &Client, stream: &str) -> Result<Vec<Shard>, String> {
    let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().map_err(|error| error.to_string())?;
    let mut shards = Vec::new();
    let mut pages = kinesis.list_shards().stream_name(stream).shard_filter(open).send().await;
    loop {
        let page = pages.map_err(|error| aws::describe(&error))?;
        shards.extend(page.shards().iter().filter_map(shard));
        let Some(token) = page.next_token() else { return Ok(shards) };
        pages = kinesis.list_shards().next_token(token).send().await;
    }
}

/// A listed shard that is open.
fn shard(listed: &ListedShard) -> Option<Shard> {
    let open = listed.sequence_number_range()?.ending_sequence_number().is_none();
    open.then_some(Shard { id: listed.shard_id().into(), hash_keys: hash_keys(listed)? })
}

fn hash_keys(listed: &ListedShard) -> Option<RangeInclusive<u128>> {
    let range = listed.hash_key_range()?;
    Some(range.starting_hash_key().parse().ok()?..=range.ending_hash_key().parse().ok()?)
}
