//! The calls about log groups.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{
    Logs, already_exists,
    group::{Group, lock},
    invalid,
};

/// Both the default and the maximum page of `DescribeLogGroups` (API reference).
const PAGE_GROUPS_MAX: usize = 50;

/// What `PutRetentionPolicy` accepts (API reference).
const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateLogGroup {
    log_group_name: String,
    kms_key_id: Option<String>,
    log_group_class: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneGroup {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutRetentionPolicy {
    log_group_name: String,
    retention_in_days: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagResource {
    resource_arn: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Logs {
    pub(super) fn create_log_group(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: CreateLogGroup = call.input()?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
        if input.log_group_name.is_empty()
            || input.log_group_name.len() > 512
            || !input.log_group_name.chars().all(is_allowed)
        {
            return Err(invalid(format!("logGroupName {:?} is not a name of a log group", input.log_group_name)));
        }
        let mut groups = self.write();
        if groups.by_name.contains_key(&input.log_group_name) {
            return Err(already_exists("The specified log group already exists"));
        }
        let mut group = Group::new(self.files.clone(), self.context.clock.now_ms());
        (group.kms_key_id, group.tags) = (input.kms_key_id, input.tags);
        if let Some(class) = input.log_group_class {
            group.class = class;
        }
        groups.deleted.remove(&input.log_group_name);
        groups.by_name.insert(input.log_group_name, Arc::new(group.into()));
        Ok(Reply::empty())
    }

    pub(super) fn delete_log_group(&self, call: &Call) -> Result<Reply, AwsError> {
        let OneGroup { log_group_name } = call.input()?;
        let group = self.group(&log_group_name)?;
        let mut groups = self.write();
        groups.by_name.remove(&log_group_name);
        groups.deleted.insert(log_group_name);
        lock(&group).remove_streams();
        Ok(Reply::empty())
    }

    pub(super) fn describe_log_groups(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DescribeLogGroups = call.input()?;
        let prefix = input.log_group_name_prefix.unwrap_or_default();
        let pattern = input.log_group_name_pattern.unwrap_or_default().to_lowercase();
        let groups = self.read();
        let wanted = groups
            .by_name
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix) && name.to_lowercase().contains(&pattern))
            .collect();
        let limit = input.limit.unwrap_or(PAGE_GROUPS_MAX).clamp(1, PAGE_GROUPS_MAX);
        let (wanted, next) = page(wanted, |(name, _)| (*name).clone(), input.next_token.as_deref(), limit);
        let described: Vec<Value> =
            wanted.into_iter().map(|(name, group)| describe(&self.arn(name), name, &lock(group))).collect();
        Reply::json(&with_token(json!({ "logGroups": described }), next))
    }

    pub(super) fn put_retention_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: PutRetentionPolicy = call.input()?;
        if !RETENTION_DAYS.contains(&input.retention_in_days) {
            return Err(invalid(format!(
                "retentionInDays {} is not one of the accepted values",
                input.retention_in_days
            )));
        }
        lock(&*self.group(&input.log_group_name)?).retention_days = Some(input.retention_in_days);
        Ok(Reply::empty())
    }

    pub(super) fn delete_retention_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        let OneGroup { log_group_name } = call.input()?;
        lock(&*self.group(&log_group_name)?).retention_days = None;
        Ok(Reply::empty())
    }

    pub(super) fn tag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        lock(&*self.group(&input.resource_arn)?).tags.extend(input.tags);
        Ok(Reply::empty())
    }

    pub(super) fn untag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        lock(&*self.group(&input.resource_arn)?).tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(Reply::empty())
    }

    pub(super) fn list_tags_for_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        let group = self.group(&input.resource_arn)?;
        Reply::json(&json!({ "tags": lock(&group).tags }))
    }
}

fn describe(arn: &str, name: &str, group: &Group) -> Value {
    let mut described = json!({
        "logGroupName": name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": group.stored_bytes(),
        "logGroupClass": group.class,
    });
    if let Some(days) = group.retention_days {
        described["retentionInDays"] = days.into();
    }
    if let Some(key) = &group.kms_key_id {
        described["kmsKeyId"] = key.as_str().into();
    }
    described
}

/// Adds `nextToken` where there is a next page.
pub(super) fn with_token(mut output: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        output["nextToken"] = next.into();
    }
    output
}
