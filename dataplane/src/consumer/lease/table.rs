//! The lease table in DynamoDB.
//!
//! Items are only ever changed with `UpdateItem` on condition of the counter, so attributes of other KCL versions
//! stay as they are.

use std::{sync::Arc, time::Duration};

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
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
        ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus,
    },
};
use tokio::time::sleep;

use super::{
    Lease, Load,
    item::{
        self, CHECKPOINT, CHECKPOINT_OWNER, CHILDREN, COUNTER, CPU, ENDING_HASH_KEY, KEY, OWNER, PENDING,
        PENDING_STATE, PENDING_SUB_SEQUENCE_NUMBER, RELEASED_BY, STARTING_HASH_KEY, SUB_SEQUENCE_NUMBER, SWITCHES,
        THROUGHPUT,
    },
};
use crate::consumer::{
    checkpoint::Checkpoint,
    counts::{Count, Counts},
};

/// How often a table that is being created is looked at, and how many times.
const CREATION_POLL: (Duration, u32) = (Duration::from_millis(500), 120);

/// The lease table of an application.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
    counts: Arc<Counts>,
}

/// What the owner of a lease writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    /// The new checkpoint, if it has moved.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// How far processing may come before the next checkpoint.
    pub(crate) pending: Option<Checkpoint>,
    /// What the shard costs now, if that is known.
    pub(crate) load: Option<Load>,
    /// The shards that follow, at the end of a shard.
    pub(crate) children: Vec<String>,
    /// Whether the owner lets go: to whom it is handed over, or to anybody.
    pub(crate) release: bool,
}

/// Why the table did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("somebody else has written the lease")]
    Lost,
    /// Another worker of Weir, or a KCL 3 leader, wants the lease to be handed over. This is how it is now.
    #[error("the lease is to be handed over")]
    Requested(Box<Lease>),
    #[error("the lease table `{0}` does not exist")]
    Missing(String),
    #[error("the lease table is not available: {0}")]
    Unavailable(String),
}

impl Table {
    pub(crate) fn new(client: Client, name: String, counts: Arc<Counts>) -> Self {
        Self { client, name, counts }
    }

    /// All leases.
    pub(crate) async fn leases(&self) -> Result<Vec<Lease>, TableError> {
        // Consistent: a child lease must never be seen without its parent's, or it would start too early.
        let mut pages = self.client.scan().table_name(&self.name).consistent_read(true).into_paginator().items().send();
        let mut leases = Vec::new();
        self.counts.add(Count::TableReads, 1);
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

    /// One lease as it is now.
    pub(crate) async fn get(&self, shard_id: &str) -> Result<Option<Lease>, TableError> {
        self.counts.add(Count::TableReads, 1);
        let get = self.client.get_item().table_name(&self.name).key(KEY, item::string(shard_id)).consistent_read(true);
        let item = get.send().await.map_err(|error| unavailable(&error))?.item;
        item.map_or(Ok(None), |item| item::read(&item).map_err(|error| unavailable(&error)))
    }

    /// Adds a lease unless there is one of its key. Whether it was added.
    pub(crate) async fn create(&self, lease: &Lease) -> Result<bool, TableError> {
        self.counts.add(Count::TableWrites, 1);
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item::write(lease)));
        let put = put.condition_expression(format!("attribute_not_exists({KEY})"));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Makes `worker` the owner of a lease that has not moved since it was read.
    pub(crate) async fn take(&self, lease: &Lease, worker: &str) -> Result<Lease, TableError> {
        let switched =
            if lease.owner.as_deref() == Some(worker) { "" } else { " ADD ownerSwitchesSinceCheckpoint :one" };
        let mut update = self
            .update(
                lease,
                &format!("SET {COUNTER} = :next, {OWNER} = :worker REMOVE {CHECKPOINT_OWNER}, {RELEASED_BY}{switched}"),
            )
            .condition_expression(format!("{COUNTER} = :counter"))
            .expression_attribute_values(":worker", item::string(worker));
        if !switched.is_empty() {
            update = update.expression_attribute_values(":one", item::integer(1));
        }
        let taken = Lease {
            owner: Some(worker.to_owned()),
            counter: lease.counter + 1,
            checkpoint_owner: None,
            released_by: None,
            ..lease.clone()
        };
        self.send(update, &taken).await.map(|()| taken)
    }

    /// Asks the owner of a lease to hand it over to `worker`, as the leader of a KCL 3 does: `worker` becomes its owner
    /// and waits until the old one has written its last checkpoint. The counter stays the old one's to move.
    pub(crate) async fn request(&self, lease: &Lease, worker: &str) -> Result<Lease, TableError> {
        self.counts.add(Count::TableWrites, 1);
        let old = lease.owner.clone().unwrap_or_default();
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(KEY, item::string(&lease.shard_id))
            .update_expression(format!("SET {OWNER} = :worker, {CHECKPOINT_OWNER} = :old ADD {SWITCHES} :one"))
            .condition_expression(format!("{OWNER} = :old AND attribute_not_exists({CHECKPOINT_OWNER})"))
            .expression_attribute_values(":worker", item::string(worker))
            .expression_attribute_values(":old", item::string(&old))
            .expression_attribute_values(":one", item::integer(1));
        match update.send().await {
            Ok(_) => Ok(Lease { owner: Some(worker.to_owned()), checkpoint_owner: Some(old), ..lease.clone() }),
            Err(error) => {
                let refused =
                    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception);
                Err(if refused { TableError::Lost } else { unavailable(&error) })
            }
        }
    }

    /// Writes what `worker` has to say, who has the lease or is handing it over. Without a change this is the sign of
    /// life.
    pub(crate) async fn advance(&self, lease: &Lease, worker: &str, change: &Change) -> Result<Lease, TableError> {
        let handing_over = lease.checkpoint_owner.as_deref() == Some(worker);
        let condition = if handing_over {
            format!("{COUNTER} = :counter AND {CHECKPOINT_OWNER} = :worker")
        } else {
            format!("{COUNTER} = :counter AND {OWNER} = :worker AND attribute_not_exists({CHECKPOINT_OWNER})")
        };
        let update = self
            .update(lease, &expression(change, handing_over))
            .condition_expression(condition)
            .expression_attribute_values(":worker", item::string(worker));
        let advanced = Lease {
            owner: lease.owner.clone().filter(|_| handing_over || !change.release),
            checkpoint_owner: lease.checkpoint_owner.clone().filter(|_| !change.release),
            released_by: (change.release && !handing_over).then(|| worker.to_owned()),
            counter: lease.counter + 1,
            checkpoint: change.checkpoint.clone().unwrap_or_else(|| lease.checkpoint.clone()),
            pending: match change.checkpoint {
                Some(_) => change.pending.clone(),
                None => change.pending.clone().or_else(|| lease.pending.clone()),
            },
            load: change.load.unwrap_or(lease.load),
            ..lease.clone()
        };
        self.send(values(update, change), &advanced).await.map(|()| advanced)
    }

    /// Adds its hash range to a lease that has none.
    pub(crate) async fn describe(&self, shard_id: &str, (first, last): &(String, String)) -> Result<(), TableError> {
        self.counts.add(Count::TableWrites, 1);
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(KEY, item::string(shard_id))
            .update_expression(format!("SET {STARTING_HASH_KEY} = :first, {ENDING_HASH_KEY} = :last"))
            .condition_expression(format!("attribute_exists({KEY})"))
            .expression_attribute_values(":first", item::string(first))
            .expression_attribute_values(":last", item::string(last));
        match update.send().await {
            Ok(_) => Ok(()),
            // It was cleaned up in this moment.
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Removes the lease of a shard that no longer exists.
    pub(crate) async fn delete(&self, shard_id: &str) -> Result<(), TableError> {
        self.counts.add(Count::TableWrites, 1);
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
        self.counts.add(Count::TableWrites, 1);
        let refused = match update.send().await {
            Ok(_) => return Ok(()),
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => refused,
            Err(error) => return Err(unavailable(&error)),
        };
        let there = match refused.err() {
            UpdateItemError::ConditionalCheckFailedException(refusal) => refusal.item(),
            _ => None,
        };
        match there.and_then(|there| item::read(there).ok().flatten()) {
            Some(there) if is(&there, wanted) => Ok(()),
            Some(there) if is_requested(&there, wanted) => Err(TableError::Requested(Box::new(there))),
            _ => Err(TableError::Lost),
        }
    }
}

/// The update expression of a change.
fn expression(change: &Change, handing_over: bool) -> String {
    let (mut sets, mut removes) = (format!("{COUNTER} = :next"), Vec::new());
    if change.checkpoint.is_some() {
        sets += &format!(", #checkpoint = :checkpoint, {SUB_SEQUENCE_NUMBER} = :sub, {SWITCHES} = :zero");
        removes.push(PENDING_STATE);
        if change.pending.is_none() {
            removes.extend([PENDING, PENDING_SUB_SEQUENCE_NUMBER]);
        }
    }
    if change.pending.is_some() {
        sets += &format!(", {PENDING} = :pending, {PENDING_SUB_SEQUENCE_NUMBER} = :pending_sub");
    }
    if change.load.is_some() {
        sets += &format!(", {THROUGHPUT} = :throughput, {CPU} = :cpu");
    }
    if !change.children.is_empty() {
        sets += &format!(", {CHILDREN} = :children");
    }
    match (change.release, handing_over) {
        (true, true) => removes.push(CHECKPOINT_OWNER),
        (true, false) => {
            sets += &format!(", {RELEASED_BY} = :worker");
            removes.push(OWNER);
        }
        (false, _) => {}
    }
    if removes.is_empty() { format!("SET {sets}") } else { format!("SET {sets} REMOVE {}", removes.join(", ")) }
}

/// The values of [`expression`].
fn values(mut update: UpdateItemFluentBuilder, change: &Change) -> UpdateItemFluentBuilder {
    if let Some(checkpoint) = &change.checkpoint {
        update = update
            .expression_attribute_names("#checkpoint", CHECKPOINT)
            .expression_attribute_values(":checkpoint", item::string(&checkpoint.to_string()))
            .expression_attribute_values(":sub", item::integer(checkpoint.sub_sequence_number()))
            .expression_attribute_values(":zero", item::integer(0));
    }
    if !change.children.is_empty() {
        update = update.expression_attribute_values(":children", AttributeValue::Ss(change.children.clone()));
    }
    if let Some(pending) = &change.pending {
        update = update
            .expression_attribute_values(":pending", item::string(&pending.to_string()))
            .expression_attribute_values(":pending_sub", item::integer(pending.sub_sequence_number()));
    }
    if let Some(load) = change.load {
        update = update
            .expression_attribute_values(":throughput", item::decimal(load.kilobytes_per_second))
            .expression_attribute_values(":cpu", item::decimal(load.cpus));
    }
    update
}

fn is(there: &Lease, wanted: &Lease) -> bool {
    let place =
        |lease: &Lease| (lease.owner.clone(), lease.checkpoint_owner.clone(), lease.counter, lease.checkpoint.clone());
    place(there) == place(wanted)
}

/// Whether the lease is as its owner left it, but for the wish that it be handed over.
fn is_requested(there: &Lease, wanted: &Lease) -> bool {
    there.counter + 1 == wanted.counter && there.checkpoint_owner.is_some() && wanted.checkpoint_owner.is_none()
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> TableError {
    TableError::Unavailable(crate::process::chain(error))
}

#[cfg(test)]
mod tests;
