//! Operations that tell about stacks.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    page::{page, page_before},
    present, timestamp,
};
use crate::{
    cloudformation::{
        CloudFormation,
        input::Input,
        stacks::{Event, Resource, Source, Stack},
        status::StackStatus,
        template::scalar_text,
    },
    service::AwsError,
};

/// What CloudFormation shows instead of the value of a `NoEcho` parameter.
const HIDDEN: &str = "****";

pub(in super::super) fn stacks(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let found: Vec<Value> = match input.text("StackName") {
        Some(name) => vec![stack(stacks.get(name)?)],
        None => {
            let live = stacks.all().into_iter().filter(|stack| stack.status != StackStatus::DeleteComplete);
            live.map(stack).collect()
        }
    };
    let (found, next) = page(input, found)?;
    Ok(present(json!({ "Stacks": found, "NextToken": next })))
}

fn stack(stack: &Stack) -> Value {
    let options = &stack.options;
    let outputs: Vec<_> = stack
        .outputs
        .iter()
        .map(|output| {
            json!({
                "OutputKey": output.key,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export,
            })
        })
        .collect();
    let tags: Vec<_> = stack.source.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    present(json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": description(stack),
        "Parameters": parameters(&stack.source),
        "CreationTime": timestamp(stack.created_ms),
        "LastUpdatedTime": stack.updated_ms.map(timestamp),
        "DeletionTime": stack.deleted_ms.map(timestamp),
        "StackStatus": stack.status.as_str(),
        "StackStatusReason": stack.reason,
        "DisableRollback": options.disable_rollback,
        "EnableTerminationProtection": options.termination_protection,
        "NotificationARNs": options.notification_arns,
        "TimeoutInMinutes": options.timeout_minutes,
        "RetainExceptOnCreate": options.retain_except_on_create,
        "RoleARN": options.role_arn,
        "Capabilities": stack.source.capabilities,
        "Outputs": outputs,
        "Tags": tags,
        "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
    }))
}

fn description(stack: &Stack) -> Option<&str> {
    stack.source.bound.as_ref()?.template().description.as_deref()
}

pub(super) fn parameters(source: &Source) -> Vec<Value> {
    let Some(bound) = &source.bound else { return Vec::new() };
    let declared = &bound.template().parameters;
    let values = bound.parameters().iter().map(|(name, value)| {
        let hidden = declared.get(name).is_some_and(|parameter| parameter.no_echo);
        let value = match value {
            Value::Array(items) => items.iter().map(scalar_text).collect::<Vec<_>>().join(","),
            scalar => scalar_text(scalar),
        };
        json!({ "ParameterKey": name, "ParameterValue": if hidden { HIDDEN.to_owned() } else { value } })
    });
    values.collect()
}

pub(in super::super) fn events(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let stack = stacks.get(input.required("StackName")?)?;
    let (events, next) = page_before(input, |sequence| {
        stack.events_before(sequence).map(|found| (found.sequence, event(stack, found))).collect()
    })?;
    Ok(present(json!({ "StackEvents": events, "NextToken": next })))
}

fn event(stack: &Stack, event: &Event) -> Value {
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "EventId": format!("{}-{}-{}-{}", event.logical_id, event.status, timestamp(event.at_ms), event.sequence),
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type_name,
        "Timestamp": timestamp(event.at_ms),
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.token,
    })
}

pub(in super::super) fn resource(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let name = input.required("LogicalResourceId")?;
    let stacks = service.stacks();
    let stack = stacks.get(input.required("StackName")?)?;
    let resource = stack.resources.get(name).ok_or_else(|| no_resource(name, &stack.name))?;
    let mut detail = resource_of(stack, name, resource);
    detail["LastUpdatedTimestamp"] = detail["Timestamp"].take();
    detail["Metadata"] = json!("{}");
    Ok(present(json!({ "StackResourceDetail": detail })))
}

pub(in super::super) fn resources(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let stack = match (input.text("StackName"), input.text("PhysicalResourceId")) {
        (Some(name), None) => stacks.get(name)?,
        (None, Some(id)) => {
            let owns = |stack: &&Stack| {
                let mut resources = stack.resources.values();
                resources.any(|resource| !resource.status.is_gone() && resource.physical_id.as_deref() == Some(id))
            };
            let text = format!("Stack for {id} does not exist");
            stacks.all().into_iter().find(owns).ok_or_else(|| AwsError::new("ValidationError", text))?
        }
        _ => {
            let text = "Either StackName or PhysicalResourceId must be specified, but not both";
            return Err(AwsError::new("ValidationError", text));
        }
    };
    let wanted = input.text("LogicalResourceId");
    let resources: Vec<_> = stack
        .resources
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
        .map(|(name, resource)| resource_of(stack, name, resource))
        .collect();
    match wanted.filter(|_| resources.is_empty()) {
        Some(name) => Err(no_resource(name, &stack.name)),
        None => Ok(present(json!({ "StackResources": resources }))),
    }
}

fn no_resource(name: &str, stack: &str) -> AwsError {
    AwsError::new("ValidationError", format!("Resource {name} does not exist for stack {stack}"))
}

fn resource_of(stack: &Stack, name: &str, resource: &Resource) -> Value {
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": name,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type_name,
        "Timestamp": timestamp(resource.updated_ms),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.reason,
        "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" },
    })
}

pub(in super::super) fn list_resources(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let stack = stacks.get(input.required("StackName")?)?;
    let summaries = stack.resources.iter().map(|(name, resource)| {
        let mut summary = resource_of(stack, name, resource);
        summary["LastUpdatedTimestamp"] = summary["Timestamp"].take();
        for stack_only in ["StackId", "StackName"] {
            summary[stack_only] = Value::Null;
        }
        summary
    });
    let (summaries, next) = page(input, summaries.collect())?;
    Ok(present(json!({ "StackResourceSummaries": summaries, "NextToken": next })))
}

pub(in super::super) fn list_stacks(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let wanted = input.texts("StackStatusFilter");
    let stacks = service.stacks();
    let summaries = stacks
        .all()
        .into_iter()
        .filter(|stack| wanted.is_empty() || wanted.iter().any(|status| status == stack.status.as_str()))
        .map(|stack| {
            json!({
                "StackId": stack.id,
                "StackName": stack.name,
                "TemplateDescription": description(stack),
                "CreationTime": timestamp(stack.created_ms),
                "LastUpdatedTime": stack.updated_ms.map(timestamp),
                "DeletionTime": stack.deleted_ms.map(timestamp),
                "StackStatus": stack.status.as_str(),
                "StackStatusReason": stack.reason,
                "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
            })
        });
    let (summaries, next) = page(input, summaries.collect())?;
    Ok(present(json!({ "StackSummaries": summaries, "NextToken": next })))
}
