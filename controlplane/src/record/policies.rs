//! The policy in force and its history.
//!
//! `policy` is the one in force. Every generation also stays as `policy#<generation>`, so that a rollback is an apply of
//! an old text and nothing is ever lost.

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Put, TransactWriteItem},
};
use jiff::Timestamp;

use super::{
    ApplyError, Table, TableError,
    error::failed,
    item::{Item, POLICY, number, string},
};
use crate::policy::Policy;

/// A policy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// The TOML as the person wrote it.
    pub text: String,
    /// Counts the applies of this pipeline, from 1.
    pub generation: u64,
    pub applied_at: Timestamp,
    /// Who applied it, for people.
    pub applied_by: String,
}

/// The prefix of old policies; the generation follows with ten digits, so that keys sort as numbers do.
const HISTORY: &str = "policy#";

impl Table {
    /// The policy in force; nothing when none was ever applied, and then the defaults hold.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn policy(&self, pipeline: &str) -> Result<Option<StoredPolicy>, TableError> {
        let item = self.get("read the policy", pipeline, POLICY).await?;
        item.map(|item| self.stored_policy(&item)).transpose()
    }

    /// Every policy that was ever applied, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn policy_history(&self, pipeline: &str, limit: usize) -> Result<Vec<StoredPolicy>, TableError> {
        let items = self.query("read the policy's history", pipeline, HISTORY, "", limit).await?;
        items.iter().map(|item| self.stored_policy(item)).collect()
    }

    /// The policy of a generation; nothing when there was no such apply.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn policy_of_generation(
        &self,
        pipeline: &str,
        generation: u64,
    ) -> Result<Option<StoredPolicy>, TableError> {
        let item = self.get("read the policy's history", pipeline, &history_key(generation)).await?;
        item.map(|item| self.stored_policy(&item)).transpose()
    }

    /// Puts a policy in force and returns its generation. `expected_generation` is the one that the person saw, 0 for
    /// none: a policy that somebody else changed meanwhile is not overwritten.
    ///
    /// # Errors
    /// When the text is not a policy, somebody else was faster, or the table cannot be written. Nothing changed then.
    pub async fn apply_policy(
        &self,
        pipeline: &str,
        text: &str,
        expected_generation: u64,
        who: &str,
        at: Timestamp,
    ) -> Result<u64, ApplyError> {
        Policy::parse(text)?;
        let generation = expected_generation + 1;
        let attributes = || {
            [
                ("text", string(text)),
                ("generation", number(generation)),
                ("applied_at", string(at.to_string())),
                ("applied_by", string(who)),
            ]
        };
        let current = self.put(pipeline, POLICY, attributes());
        let current = match expected_generation {
            0 => current.condition_expression("attribute_not_exists(pk)"),
            expected => current
                .condition_expression("generation = :expected")
                .expression_attribute_values(":expected", number(expected)),
        };
        let kept = self.put(pipeline, history_key(generation), attributes());
        let written = self.write_together("apply the policy", [current.build(), kept.build()]).await?;
        if written {
            return Ok(generation);
        }
        let found = self.policy(pipeline).await?.map_or(0, |stored| stored.generation);
        Err(ApplyError::Conflict { expected: expected_generation, found })
    }

    /// Writes all or nothing; false when a condition did not hold.
    async fn write_together<const N: usize>(
        &self,
        action: &'static str,
        puts: [Result<Put, BuildError>; N],
    ) -> Result<bool, TableError> {
        let puts = puts.into_iter().map(|put| put.map(|put| TransactWriteItem::builder().put(put).build()));
        let items: Vec<_> = puts.collect::<Result<_, _>>().map_err(failed(action, &self.name))?;
        self.transact(action, items).await
    }

    /// Writes all or nothing; false when a condition did not hold.
    pub(super) async fn transact(
        &self,
        action: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<bool, TableError> {
        let _alone = self.transacting.lock().await;
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(condition_failed) => Ok(false),
            Err(error) => Err(failed(action, &self.name)(error)),
        }
    }

    fn stored_policy(&self, item: &Item) -> Result<StoredPolicy, TableError> {
        let reader = self.reader(item);
        Ok(StoredPolicy {
            text: reader.string("text")?.to_owned(),
            generation: reader.number("generation")?,
            applied_at: reader.parsed("applied_at")?,
            applied_by: reader.string("applied_by")?.to_owned(),
        })
    }
}

fn history_key(generation: u64) -> String {
    format!("{HISTORY}{generation:010}")
}

fn condition_failed(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}
