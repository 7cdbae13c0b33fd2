//! Looks up the shards of a stream and creates the leases that they need.

use aws_sdk_kinesis::{
    Client,
    types::{ChildShard, Shard as ListedShard},
};

use super::{
    checkpoint::Checkpoint,
    lease::{Lease, Ledger, Table, TableError},
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

/// Creates the missing leases of a stream, and removes those of shards that it has no more. `ledger` is what the
/// table holds.
pub(crate) async fn synchronise(
    kinesis: &Client,
    stream: &str,
    table: &Table,
    ledger: &Ledger,
    initial: InitialPosition,
) -> Result<usize, SyncError> {
    let shards = list(kinesis, stream).await.map_err(SyncError::List)?;
    let leased = ledger.leases().map(|lease| lease.shard_id.as_str()).collect();
    let missing = sync::missing_leases(&shards, &leased, initial);
    for lease in &missing {
        tracing::info!(shard = lease.shard_id, at = %lease.checkpoint, "creating a lease");
        table.create(lease).await?;
    }
    for shard_id in sync::outlived_leases(&shards, ledger.leases()) {
        tracing::info!(shard = shard_id, "removing the lease of a shard that is no more");
        table.delete(&shard_id).await?;
    }
    Ok(missing.len())
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
