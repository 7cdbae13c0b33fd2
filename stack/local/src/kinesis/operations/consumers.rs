//! Registering consumers for enhanced fan-out.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use super::tags;
use crate::{
    kinesis::{
        account::{Account, name_in_arn},
        cell::Cell,
        engine::{
            consumer::{Becoming, Consumer},
            stream::Stream,
        },
        fault,
    },
    service::{AwsError, Call, Reply},
};

/// Consumers of one `ListStreamConsumers` answer unless the call says otherwise.
const LIST_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegisterInput {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    consumer_name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

pub(super) fn register(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: RegisterInput = call.input()?;
    tags::check(&input.tags)?;
    let (now, settings) = (account.now(), &account.settings);
    let answer = by_arn(account, &input.stream_arn)?.change(now, |stream| {
        stream.require_usable()?;
        if stream.consumers.iter().any(|consumer| consumer.name == input.consumer_name) {
            return Err(fault::consumer_exists(stream, &input.consumer_name));
        }
        let creating = |consumer: &&Consumer| matches!(consumer.becoming, Some(Becoming::Active(_)));
        if stream.consumers.len() >= settings.consumers_max
            || stream.consumers.iter().filter(creating).count() >= settings.creating_consumers_max
        {
            return Err(fault::limit(format!(
                "Stream {} may have {} registered consumers, and {} of them being created.",
                stream.name, settings.consumers_max, settings.creating_consumers_max
            )));
        }
        let until = now.plus(settings.consumer_delay);
        let consumer = Consumer::new(&stream.arn, &input.consumer_name, input.tags, now, until);
        let answer = json!({ "Consumer": show(&consumer) });
        stream.consumers.push(consumer);
        Ok(answer)
    })?;
    Reply::json(&answer)
}

/// How a call names a consumer: by its ARN, or by its name and the stream's ARN.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConsumerRef {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

impl ConsumerRef {
    fn cell(&self, account: &Account) -> Result<Arc<Cell>, AwsError> {
        match (&self.consumer_arn, &self.stream_arn, &self.consumer_name) {
            (Some(arn), _, _) | (None, Some(arn), Some(_)) => by_arn(account, arn),
            _ => Err(fault::invalid("Must specify either ConsumerARN, or both StreamARN and ConsumerName.")),
        }
    }

    fn find<'a>(&self, stream: &'a mut Stream) -> Result<&'a mut Consumer, AwsError> {
        let name = stream.name.clone();
        let is_it = |consumer: &&mut Consumer| match &self.consumer_arn {
            Some(arn) => consumer.arn == *arn,
            None => self.consumer_name.as_deref() == Some(&consumer.name),
        };
        let wanted = self.consumer_arn.as_deref().or(self.consumer_name.as_deref()).unwrap_or_default();
        stream.consumers.iter_mut().find(is_it).ok_or_else(|| fault::no_consumer(&name, wanted))
    }
}

fn by_arn(account: &Account, arn: &str) -> Result<Arc<Cell>, AwsError> {
    let name = name_in_arn(arn).ok_or_else(|| fault::constraint("streamARN", arn, "be the ARN of a Kinesis stream"))?;
    account.find_named(name)
}

pub(super) fn deregister(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ConsumerRef = call.input()?;
    let now = account.now();
    input.cell(account)?.change(now, |stream| {
        let consumer = input.find(stream)?;
        consumer.becoming = Some(Becoming::Gone(now.plus(account.settings.consumer_delay)));
        Ok(())
    })?;
    Ok(Reply::empty())
}

pub(super) fn describe(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ConsumerRef = call.input()?;
    let description = input.cell(account)?.look(account.now(), |stream| {
        let arn = stream.arn.clone();
        let mut description = show(input.find(stream)?);
        description["StreamARN"] = arn.into();
        Ok::<_, AwsError>(description)
    })?;
    Reply::json(&json!({ "ConsumerDescription": description }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListInput {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

/// A `NextToken` is the name of the last consumer shown.
pub(super) fn list(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ListInput = call.input()?;
    let limit = input.max_results.unwrap_or(LIST_LIMIT).max(1);
    let answer = by_arn(account, &input.stream_arn)?.look(account.now(), |stream| {
        let mut consumers: Vec<&Consumer> = stream.consumers.iter().collect();
        consumers.sort_by_key(|consumer| &consumer.name);
        consumers.retain(|consumer| input.next_token.as_ref().is_none_or(|after| consumer.name > *after));
        let more = consumers.len() > limit;
        consumers.truncate(limit);
        let mut answer = json!({ "Consumers": consumers.iter().map(|consumer| show(consumer)).collect::<Vec<_>>() });
        if let (true, Some(last)) = (more, consumers.last()) {
            answer["NextToken"] = last.name.as_str().into();
        }
        answer
    });
    Reply::json(&answer)
}

fn show(consumer: &Consumer) -> Value {
    json!({
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer.arn,
        "ConsumerStatus": consumer.status(),
        "ConsumerCreationTimestamp": consumer.created.fractional_seconds(),
    })
}
