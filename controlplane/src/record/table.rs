//! The control table as everybody reads it; writing it is the leader's part, except for policy and pause.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Put},
};
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    Status, TableError,
    error::failed,
    item::{AFTER_UUIDS, DECISION, Item, Reader, STATUS, pipeline, string},
};
use crate::decide::Decision;

/// One deployment's control table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) client: Client,
    /// Held by the one transaction that is under way: all of a leader's check the same item, and DynamoDB refuses one of
    /// two transactions that meet at an item.
    pub(super) transacting: Arc<Mutex<()>>,
    pub(super) name: String,
}

impl Table {
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, transacting: Arc::default(), name: name.into() }
    }

    /// The status of a pipeline; nothing before its first tick.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn status(&self, pipeline: &str) -> Result<Option<Status>, TableError> {
        let item = self.get("read the status", pipeline, STATUS).await?;
        item.map(|item| self.reader(&item).document()).transpose()
    }

    /// The newest decisions first: at most `limit`, none older than `since`.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn decisions(
        &self,
        pipeline: &str,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Decision>, TableError> {
        let oldest = since.map_or_else(Uuid::nil, first_id_of);
        let items = self.query("read the decisions", pipeline, DECISION, &oldest.to_string(), limit).await?;
        items.iter().map(|item| self.reader(item).document()).collect()
    }

    /// Items whose sort key starts with `prefix` and goes on with `from` or more, the last first.
    pub(super) async fn query(
        &self,
        action: &'static str,
        name: &str,
        prefix: &str,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Item>, TableError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", string(pipeline(name)))
            .expression_attribute_values(":from", string(format!("{prefix}{from}")))
            .expression_attribute_values(":to", string(format!("{prefix}{AFTER_UUIDS}")))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while items.len() < limit {
            match pages.next().await {
                Some(item) => items.push(item.map_err(failed(action, &self.name))?),
                None => break,
            }
        }
        Ok(items)
    }

    pub(super) async fn get(&self, action: &'static str, name: &str, sk: &str) -> Result<Option<Item>, TableError> {
        let read = self.client.get_item().table_name(&self.name).set_key(Some(key(&pipeline(name), sk)));
        Ok(read.consistent_read(true).send().await.map_err(failed(action, &self.name))?.item)
    }

    pub(super) fn reader<'a>(&'a self, item: &'a Item) -> Reader<'a> {
        Reader { table: &self.name, item }
    }

    /// A write of a whole item of a pipeline, without a condition yet.
    pub(super) fn put<const N: usize>(
        &self,
        name: &str,
        sk: impl Into<String>,
        attributes: [(&str, AttributeValue); N],
    ) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
        let item = key(&pipeline(name), sk).into_iter().chain(attributes).collect();
        Put::builder().table_name(&self.name).set_item(Some(item))
    }
}

pub(super) fn key(pk: &str, sk: impl Into<String>) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), string(pk)), ("sk".to_owned(), string(sk))])
}

/// The smallest id that a decision of this moment can have.
pub(super) fn first_id_of(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(u128::from(millis) << 80)
}
