//! The lease table in DynamoDB.
//!
//! Items are only ever changed with `UpdateItem` on condition of the counter, so attributes of other KCL versions
//! stay as they are.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{
        create_table::CreateTableError,
        put_item::PutItemError,
        scan::ScanError,
        update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    },
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ReturnValuesOnConditionCheckFailure,
        ScalarAttributeType, TableStatus,
    },
};
use tokio::time::sleep;

use super::{
    Lease,
    item::{self, CHECKPOINT, COUNTER, Item, KEY, OWNER, SUB_SEQUENCE_NUMBER, SWITCHES},
};
use crate::consumer::checkpoint::Checkpoint;

/// How often a table that is being created is looked at, and how many times.
const CREATION_POLL: (Duration, u32) = (Duration::from_millis(500), 120);

/// The lease table of an application.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

/// What the owner of a lease writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The new checkpoint, if it has moved.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Whether the lease becomes anybody's.
    pub(crate) release: bool,
}

/// Why the table did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("somebody else has written the lease")]
    Lost,
    #[error("the lease table `{0}` does not exist")]
    Missing(String),
    #[error("the lease table is not available: {0}")]
    Unavailable(String),
}

impl Table {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// All leases.
    pub(crate) async fn leases(&self) -> Result<Vec<Lease>, TableError> {
        // Consistent: a child lease must never be seen without its parent's, or it would start too early.
        let mut pages = self.client.scan().table_name(&self.name).consistent_read(true).into_paginator().items().send();
        let mut leases = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| {
                let missing = error.as_service_error().is_some_and(ScanError::is_resource_not_found_exception);
                if missing { TableError::Missing(self.name.clone()) } else { unavailable(&error) }
            })?;
            match item::read(&item) {
                Ok(lease) => leases.extend(lease),
                Err(error) => tracing::warn!(error = crate::process::chain(&error), "a lease cannot be read"),
            }
        }
        Ok(leases)
    }

    /// Adds a lease unless there is one of its key.
    pub(crate) async fn create(&self, lease: &Lease) -> Result<(), TableError> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item::write(lease)));
        let put = put.condition_expression(format!("attribute_not_exists({KEY})"));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(())
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Makes `worker` the owner of a lease that has not moved since it was read.
    pub(crate) async fn take(&self, lease: &Lease, worker: &str) -> Result<Lease, TableError> {
        let switched =
            if lease.owner.as_deref() == Some(worker) { "" } else { " ADD ownerSwitchesSinceCheckpoint :one" };
        let mut update = self
            .update(lease, &format!("SET {COUNTER} = :next, {OWNER} = :worker REMOVE checkpointOwner{switched}"))
            .condition_expression(format!("{COUNTER} = :counter"))
            .expression_attribute_values(":worker", item::string(worker));
        if !switched.is_empty() {
            update = update.expression_attribute_values(":one", item::integer(1));
        }
        let taken = Lease { owner: Some(worker.to_owned()), counter: lease.counter + 1, ..lease.clone() };
        self.send(update, &taken).await.map(|()| taken)
    }

    /// Writes what the owner of `lease` has to say. Without a change this is the sign of life.
    pub(crate) async fn advance(&self, lease: &Lease, change: &Change) -> Result<Lease, TableError> {
        let (mut sets, mut removes) = (format!("{COUNTER} = :next"), Vec::new());
        if change.checkpoint.is_some() {
            sets += &format!(", #checkpoint = :checkpoint, {SUB_SEQUENCE_NUMBER} = :sub, {SWITCHES} = :zero");
            removes.extend(["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"]);
        }
        if change.release {
            removes.push(OWNER);
        }
        let removes = if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
        let worker = lease.owner.clone().unwrap_or_default();
        let mut update = self
            .update(lease, &format!("SET {sets}{removes}"))
            // A `checkpointOwner` means that a KCL 3 leader is moving the lease.
            .condition_expression(format!(
                "{COUNTER} = :counter AND {OWNER} = :worker AND attribute_not_exists(checkpointOwner)"
            ))
            .expression_attribute_values(":worker", item::string(&worker));
        if let Some(checkpoint) = &change.checkpoint {
            update = update
                .expression_attribute_names("#checkpoint", CHECKPOINT)
                .expression_attribute_values(":checkpoint", item::string(&checkpoint.to_string()))
                .expression_attribute_values(":sub", item::integer(checkpoint.sub_sequence_number()))
                .expression_attribute_values(":zero", item::integer(0));
        }
        let advanced = Lease {
            owner: lease.owner.clone().filter(|_| !change.release),
            counter: lease.counter + 1,
            checkpoint: change.checkpoint.clone().unwrap_or_else(|| lease.checkpoint.clone()),
            ..lease.clone()
        };
        self.send(update, &advanced).await.map(|()| advanced)
    }

    /// Removes the lease of a shard that no longer exists.
    pub(crate) async fn delete(&self, shard_id: &str) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.name).key(KEY, item::string(shard_id));
        delete.send().await.map(|_| ()).map_err(|error| unavailable(&error))
    }

    /// Creates the table, billed by request, and waits until it can be used.
    pub(crate) async fn deploy(&self) -> Result<(), TableError> {
        let key = AttributeDefinition::builder().attribute_name(KEY).attribute_type(ScalarAttributeType::S).build();
        let schema = KeySchemaElement::builder().attribute_name(KEY).key_type(KeyType::Hash).build();
        let (key, schema) =
            key.and_then(|key| schema.map(|schema| (key, schema))).map_err(|error| unavailable(&error))?;
        let create = self.client.create_table().table_name(&self.name).attribute_definitions(key).key_schema(schema);
        let created = create.billing_mode(BillingMode::PayPerRequest).send().await;
        if let Err(error) = created
            && !error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception)
        {
            return Err(unavailable(&error));
        }
        for _ in 0..CREATION_POLL.1 {
            let described = self.client.describe_table().table_name(&self.name).send().await;
            let described = described.map_err(|error| unavailable(&error))?;
            if described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
                return Ok(());
            }
            sleep(CREATION_POLL.0).await;
        }
        Err(TableError::Unavailable("it does not become active".to_owned()))
    }

    fn update(&self, lease: &Lease, expression: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.name)
            .key(KEY, item::string(&lease.shard_id))
            .update_expression(expression)
            .expression_attribute_values(":counter", item::integer(lease.counter))
            .expression_attribute_values(":next", item::integer(lease.counter + 1))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Sends an update that turns the lease into `wanted`. A refusal of what is there already means that an earlier
    /// attempt was carried out and its answer lost.
    async fn send(&self, update: UpdateItemFluentBuilder, wanted: &Lease) -> Result<(), TableError> {
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => {
                let there = match refused.err() {
                    UpdateItemError::ConditionalCheckFailedException(refusal) => refusal.item(),
                    _ => None,
                };
                if there.is_some_and(|there| is(there, wanted)) { Ok(()) } else { Err(TableError::Lost) }
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn is(item: &HashMap<String, aws_sdk_dynamodb::types::AttributeValue>, wanted: &Lease) -> bool {
    let item: &Item = item;
    item::read(item).ok().flatten().is_some_and(|there| {
        (there.owner, there.counter, there.checkpoint)
            == (wanted.owner.clone(), wanted.counter, wanted.checkpoint.clone())
    })
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> TableError {
    TableError::Unavailable(crate::process::chain(error))
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_dynamodb::{config::Credentials, types::AttributeValue};
    use localcloud::LocalCloud;
    use tempfile::TempDir;

    use super::*;

    async fn table() -> (Table, LocalCloud, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = localcloud::Settings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(cloud.endpoint_url())
            .load()
            .await;
        let table = Table::new(Client::new(&sdk), "application".to_owned());
        assert!(matches!(table.leases().await, Err(TableError::Missing(name)) if name == "application"));
        table.deploy().await.unwrap();
        (table, cloud, directory)
    }

    fn new_lease() -> Lease {
        Lease::new("shardId-000000000000".to_owned(), Checkpoint::TrimHorizon, Vec::new(), None)
    }

    fn at(sequence_number: &str) -> Change {
        Change { checkpoint: Some(Checkpoint::At(sequence_number.parse().unwrap(), 3)), release: false }
    }

    async fn item(table: &Table) -> Item {
        let get = table.client.get_item().table_name(&table.name).key(KEY, item::string("shardId-000000000000"));
        get.send().await.unwrap().item.unwrap()
    }

    #[tokio::test]
    async fn a_lease_is_created_once_taken_advanced_and_released() {
        let (table, _cloud, _directory) = table().await;
        table.create(&new_lease()).await.unwrap();
        let taken = table.take(&new_lease(), "me").await.unwrap();
        table.create(&new_lease()).await.unwrap();
        assert_eq!(table.leases().await.unwrap(), std::slice::from_ref(&taken), "a lease that exists stays as it is");
        assert_eq!(item::number(&item(&table).await, SWITCHES), Some(1));

        let advanced = table.advance(&taken, &at("49")).await.unwrap();
        assert_eq!((advanced.counter, item::number(&item(&table).await, SWITCHES)), (2, Some(0)));
        let released = table.advance(&advanced, &Change { checkpoint: None, release: true }).await.unwrap();
        assert_eq!(table.leases().await.unwrap(), [released]);
        assert!(!item(&table).await.contains_key(OWNER));
    }

    #[tokio::test]
    async fn the_checkpoint_of_a_stale_owner_is_refused() {
        let (table, _cloud, _directory) = table().await;
        table.create(&new_lease()).await.unwrap();
        let stale = table.take(&new_lease(), "paused").await.unwrap();
        let current = table.take(&stale, "other").await.unwrap();
        let current = table.advance(&current, &at("200")).await.unwrap();
        assert!(matches!(table.advance(&stale, &at("100")).await, Err(TableError::Lost)));
        assert!(matches!(table.take(&stale, "late").await, Err(TableError::Lost)));
        assert_eq!(table.leases().await.unwrap(), [current]);
    }

    #[tokio::test]
    async fn a_write_that_was_carried_out_and_whose_answer_was_lost_is_no_loss() {
        let (table, _cloud, _directory) = table().await;
        table.create(&new_lease()).await.unwrap();
        let taken = table.take(&new_lease(), "me").await.unwrap();
        let first = table.advance(&taken, &at("100")).await.unwrap();
        assert_eq!(table.advance(&taken, &at("100")).await.unwrap(), first);
        assert!(matches!(table.advance(&taken, &at("101")).await, Err(TableError::Lost)));
    }

    #[tokio::test]
    async fn attributes_of_other_versions_stay_and_a_pending_checkpoint_goes_with_a_new_one() {
        let (table, _cloud, _directory) = table().await;
        let mut foreign = item::write(&new_lease());
        foreign.insert("throughputKBps".to_owned(), AttributeValue::N("1.500000".to_owned()));
        foreign.insert("pendingCheckpoint".to_owned(), item::string("48"));
        table.client.put_item().table_name(&table.name).set_item(Some(foreign)).send().await.unwrap();
        let taken = table.take(&new_lease(), "me").await.unwrap();
        table.advance(&taken, &at("49")).await.unwrap();
        let item = item(&table).await;
        assert_eq!(item["throughputKBps"], AttributeValue::N("1.5".to_owned()));
        assert!(!item.contains_key("pendingCheckpoint"));
        assert_eq!(item::text(&item, CHECKPOINT), Some("49"));
        assert_eq!(item::number(&item, SUB_SEQUENCE_NUMBER), Some(3));
    }
}
