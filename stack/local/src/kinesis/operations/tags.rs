//! Tags of streams and of their consumers.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    kinesis::{
        account::{Account, StreamRef, name_in_arn},
        cell::Cell,
        engine::stream::Stream,
        fault,
    },
    service::{AwsError, Call, Reply},
};

/// Tags of one resource (API reference), and longest key and value.
const TAGS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

type Tags = BTreeMap<String, String>;

/// Refuses tags that no resource may have.
pub(super) fn check(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > TAGS_MAX {
        return Err(fault::invalid(format!("A resource cannot have more than {TAGS_MAX} tags.")));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY_LENGTH_MAX || value.chars().count() > VALUE_LENGTH_MAX {
            return Err(fault::constraint("tags", key, "have a key of 1 to 128 characters and a value of up to 256"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddInput {
    #[serde(flatten)]
    stream: StreamRef,
    tags: Tags,
}

pub(super) fn add_to_stream(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: AddInput = call.input()?;
    account.find(&input.stream)?.change(account.now(), |stream| add(&mut stream.tags, input.tags))?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RemoveInput {
    #[serde(flatten)]
    stream: StreamRef,
    tag_keys: Vec<String>,
}

pub(super) fn remove_from_stream(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: RemoveInput = call.input()?;
    account.find(&input.stream)?.change(account.now(), |stream| {
        stream.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    })?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListInput {
    #[serde(flatten)]
    stream: StreamRef,
    exclusive_start_tag_key: Option<String>,
    limit: Option<usize>,
}

pub(super) fn list_for_stream(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ListInput = call.input()?;
    let limit = input.limit.unwrap_or(TAGS_MAX).max(1);
    let after = input.exclusive_start_tag_key.as_ref();
    let tags = account.find(&input.stream)?.look(account.now(), |stream| stream.tags.clone());
    let mut rest = tags.iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).map(show);
    let shown: Vec<_> = rest.by_ref().take(limit).collect();
    Reply::json(&json!({ "Tags": shown, "HasMoreTags": rest.next().is_some() }))
}

fn show((key, value): (&String, &String)) -> Value {
    json!({ "Key": key, "Value": value })
}

#[derive(Deserialize)]
struct ResourceRef {
    #[serde(rename = "ResourceARN")]
    arn: String,
}

impl ResourceRef {
    fn cell(&self, account: &Account) -> Result<Arc<Cell>, AwsError> {
        let rule = "be the ARN of a Kinesis stream or consumer";
        let name = name_in_arn(&self.arn).ok_or_else(|| fault::constraint("resourceARN", &self.arn, rule))?;
        account.find_named(name)
    }

    /// The tags of the stream or of the consumer that the ARN names.
    fn tags<'a>(&self, stream: &'a mut Stream) -> Result<&'a mut Tags, AwsError> {
        if self.arn == stream.arn {
            return Ok(&mut stream.tags);
        }
        let consumer = stream.consumers.iter_mut().find(|consumer| consumer.arn == self.arn);
        consumer.map(|consumer| &mut consumer.tags).ok_or_else(|| fault::no_consumer(&stream.name, &self.arn))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagInput {
    #[serde(flatten)]
    resource: ResourceRef,
    tags: Tags,
}

pub(super) fn tag_resource(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: TagInput = call.input()?;
    input.resource.cell(account)?.change(account.now(), |stream| add(input.resource.tags(stream)?, input.tags))?;
    Ok(Reply::empty())
}

fn add(tags: &mut Tags, more: Tags) -> Result<(), AwsError> {
    let mut all = tags.clone();
    all.extend(more);
    check(&all)?;
    *tags = all;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UntagInput {
    #[serde(flatten)]
    resource: ResourceRef,
    tag_keys: Vec<String>,
}

pub(super) fn untag_resource(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: UntagInput = call.input()?;
    input.resource.cell(account)?.change(account.now(), |stream| {
        input.resource.tags(stream)?.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    })?;
    Ok(Reply::empty())
}

pub(super) fn list_for_resource(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ResourceRef = call.input()?;
    let cell = input.cell(account)?;
    let tags = cell.look(account.now(), |stream| input.tags(stream).map(|tags| tags.clone()))?;
    Reply::json(&json!({ "Tags": tags.iter().map(show).collect::<Vec<_>>() }))
}
