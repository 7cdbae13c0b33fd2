//! Looks up the shards of a stream and creates the leases that they need.

use std::{collections::BTreeSet, future};

use aws_sdk_kinesis::{
    Client,
    types::{ChildShard, Shard as ListedShard},
};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    checkpoint::Checkpoint,
    lease::{Lease, Table, TableError},
    settings::InitialPosition,
    sync::{self, Shard},
};
use crate::aws;

/// Why the shards are not known, or their leases not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("cannot list the shards: {0}")]
    List(String),
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What a synchronisation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synchronised {
    InLine,
    Created,
    /// Another worker creates leases in this moment.
    OthersAreAtIt,
}

/// Leases that are created at the same time.
const CREATIONS: usize = 32;

/// Creates the missing leases of a stream, and removes those of shards that it has no more. `leases` is what the
/// table holds.
///
/// Whoever creates the first one creates them all: fifty workers that start at once write each lease once.
pub(crate) async fn synchronise(
    kinesis: &Client,
    stream: &str,
    table: &Table,
    leases: &[Lease],
    initial: InitialPosition,
) -> Result<Synchronised, SyncError> {
    let shards = list(kinesis, stream).await.map_err(SyncError::List)?;
    let leased = leases.iter().map(|lease| lease.shard_id.as_str()).collect();
    let missing = sync::missing_leases(&shards, &leased, initial);
    if let Some((first, rest)) = missing.split_first() {
        if !table.create(first).await? {
            return Ok(Synchronised::OthersAreAtIt);
        }
        tracing::info!(leases = missing.len(), first = first.shard_id, at = %first.checkpoint, "creating leases");
        create(table, rest).await?;
    }
    let outlived = sync::outlived_leases(&shards, leases.iter()).into_iter();
    for shard_id in outlived.chain(sync::completed_leases(&shards, leases.iter())) {
        tracing::info!(shard = shard_id, "removing the lease of a shard that is done with");
        table.delete(&shard_id).await?;
    }
    for (shard_id, range) in sync::without_range(&shards, leases.iter()) {
        table.describe(shard_id, range).await?;
    }
    Ok(if missing.is_empty() { Synchronised::InLine } else { Synchronised::Created })
}

/// Creates leases, children after their parents: a child that is seen without its parent would be read too early.
async fn create(table: &Table, leases: &[Lease]) -> Result<(), TableError> {
    let new: BTreeSet<_> = leases.iter().map(|lease| lease.shard_id.as_str()).collect();
    let (children, parents): (Vec<_>, Vec<_>) =
        leases.iter().partition(|lease| lease.parents.iter().any(|parent| new.contains(parent.as_str())));
    let parents: Vec<Lease> = parents.into_iter().cloned().collect();
    let shared = table.clone();
    let creations = stream::iter(parents).map(move |lease| {
        let table = shared.clone();
        async move { table.create(&lease).await }
    });
    creations.buffer_unordered(CREATIONS).try_for_each(|_| future::ready(Ok(()))).await?;
    for child in children {
        table.create(child).await?;
    }
    Ok(())
}

/// Creates the leases of shards that take over from one that has ended. They start at their first record.
pub(crate) async fn add_children(table: &Table, children: &[ChildShard]) -> Result<(), TableError> {
    for child in children {
        let hash_keys = child
            .hash_key_range()
            .map(|range| (range.starting_hash_key().to_owned(), range.ending_hash_key().to_owned()));
        let parents = child.parent_shards().to_vec();
        table.create(&Lease::new(child.shard_id().to_owned(), Checkpoint::TrimHorizon, parents, hash_keys)).await?;
    }
    Ok(())
}

/// Whether the stream has shards and this is none of them.
pub(crate) async fn is_forgotten(kinesis: &Client, stream: &str, shard_id: &str) -> Result<bool, String> {
    let shards = list(kinesis, stream).await?;
    Ok(!shards.is_empty() && shards.iter().all(|shard| shard.id != shard_id))
}

async fn list(kinesis: &Client, stream: &str) -> Result<Vec<Shard>, String> {
    let mut shards = Vec::new();
    let mut page = kinesis.list_shards().stream_name(stream).send().await;
    loop {
        let listed = page.map_err(|error| aws::describe(&error))?;
        shards.extend(listed.shards().iter().map(shard));
        let Some(token) = listed.next_token() else { return Ok(shards) };
        page = kinesis.list_shards().next_token(token).send().await;
    }
}

fn shard(listed: &ListedShard) -> Shard {
    let parents = [listed.parent_shard_id(), listed.adjacent_parent_shard_id()];
    Shard {
        id: listed.shard_id().to_owned(),
        parents: parents.into_iter().flatten().map(str::to_owned).collect(),
        is_open: listed.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none()),
        hash_keys: listed
            .hash_key_range()
            .map(|range| (range.starting_hash_key().to_owned(), range.ending_hash_key().to_owned())),
    }
}
