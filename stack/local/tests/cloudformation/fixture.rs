//! An endpoint with a CloudFormation client, and waiting for stacks.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_cloudformation::{
    Client,
    error::ProvideErrorMetadata,
    types::{Capability, Parameter, ResourceSignalStatus, ResourceStatus, Stack, StackEvent, StackStatus, Tag},
};
use localcloud::Settings;

use crate::endpoint::{self, Endpoint};

/// Longer than any stack of these tests takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Fixture {
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Client,
}

pub(crate) async fn start() -> Fixture {
    on(endpoint::start().await)
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Fixture {
    on(endpoint::start_with(change).await)
}

fn on(endpoint: Endpoint) -> Fixture {
    let client = Client::new(&endpoint.sdk);
    Fixture { endpoint, client }
}

/// Looks until there is something to return.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut interval = tokio::time::interval(Duration::from_millis(20));
        loop {
            interval.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(2 * DEADLINE, looking).await.unwrap_or_else(|_| panic!("still waiting for {what}"))
}

pub(crate) fn parameters(given: &[(&str, &str)]) -> Option<Vec<Parameter>> {
    let one = |(key, value): &(&str, &str)| Parameter::builder().parameter_key(*key).parameter_value(*value).build();
    Some(given.iter().map(one).collect())
}

impl Fixture {
    pub(crate) async fn create(&self, template: &str, given: &[(&str, &str)]) -> Result<String, String> {
        let create = self.client.create_stack().stack_name("s").template_body(template);
        let tag = Tag::builder().key("weir:deployment").value("s").build();
        let create = create.set_parameters(parameters(given)).tags(tag).capabilities(Capability::CapabilityIam);
        match create.send().await {
            Ok(created) => Ok(created.stack_id().unwrap().to_owned()),
            Err(error) => Err(format!("{}: {}", error.code().unwrap_or("?"), error.message().unwrap_or("?"))),
        }
    }

    pub(crate) async fn update(&self, template: &str, given: &[(&str, &str)]) -> Result<(), String> {
        let update = self.client.update_stack().stack_name("s").template_body(template);
        let update = update.capabilities(Capability::CapabilityIam);
        match update.set_parameters(parameters(given)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.message().unwrap_or("?").to_owned()),
        }
    }

    pub(crate) async fn describe(&self, name: &str) -> Option<Stack> {
        let described = self.client.describe_stacks().stack_name(name).send().await;
        described.ok()?.stacks().first().cloned()
    }

    /// Waits for a state; a test that sees another one, or none in time, fails with the stack's story.
    pub(crate) async fn reaches(&self, name: &str, status: StackStatus) -> Stack {
        let settling = eventually(status.as_str(), async || {
            let stack = self.describe(name).await?;
            let now = stack.stack_status()?;
            (*now == status || !now.as_str().ends_with("_IN_PROGRESS")).then_some(stack)
        });
        match tokio::time::timeout(DEADLINE, settling).await {
            Ok(settled) if settled.stack_status() == Some(&status) => settled,
            _ => panic!("not {status}:\n{}", self.story(name).await),
        }
    }

    /// The events of a stack, one a line.
    async fn story(&self, name: &str) -> String {
        let lines = self.events(name).await.into_iter().rev().map(|event| {
            let status = event.resource_status().map_or("?", ResourceStatus::as_str).to_owned();
            format!("{} {status} {:?}", event.logical_resource_id().unwrap_or("?"), event.resource_status_reason())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Every event of a stack, the youngest first.
    pub(crate) async fn events(&self, name: &str) -> Vec<StackEvent> {
        let mut events = Vec::new();
        let mut pages = self.client.describe_stack_events().stack_name(name).into_paginator().send();
        while let Some(page) = pages.next().await {
            events.extend(page.unwrap().stack_events().to_vec());
        }
        events
    }

    /// The reasons of a resource's events in a state.
    pub(crate) async fn reasons(&self, name: &str, resource: &str, status: ResourceStatus) -> Vec<String> {
        let events = self.events(name).await;
        let wanted = events
            .into_iter()
            .filter(|event| event.logical_resource_id() == Some(resource) && event.resource_status() == Some(&status));
        wanted.filter_map(|event| event.resource_status_reason().map(str::to_owned)).collect()
    }

    pub(crate) async fn physical_id(&self, resource: &str) -> String {
        let describe = self.client.describe_stack_resource().stack_name("s").logical_resource_id(resource);
        let described = describe.send().await.unwrap();
        described.stack_resource_detail().unwrap().physical_resource_id().unwrap().to_owned()
    }

    pub(crate) async fn delete(&self, retained: &[&str]) {
        let retained = retained.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let delete = self.client.delete_stack().stack_name("s");
        let delete = if retained.is_empty() { delete } else { delete.set_retain_resources(Some(retained)) };
        delete.send().await.unwrap();
    }

    pub(crate) async fn signal(&self, resource: &str, status: ResourceSignalStatus) -> Result<(), String> {
        let signal = self.client.signal_resource().stack_name("s").logical_resource_id(resource);
        let sent = signal.unique_id("push-1").status(status).send().await;
        sent.map(|_| ()).map_err(|error| error.message().unwrap_or("?").to_owned())
    }
}

pub(crate) fn outputs(stack: &Stack) -> BTreeMap<&str, &str> {
    stack.outputs().iter().map(|output| (output.output_key().unwrap(), output.output_value().unwrap())).collect()
}
