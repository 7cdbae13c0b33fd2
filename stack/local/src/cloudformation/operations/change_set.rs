//! Operations on change sets.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    describe::parameters,
    page::page,
    present,
    source::{self, Subject},
    stack as stack_operations, timestamp,
};
use crate::{
    cloudformation::{
        CloudFormation,
        change_set::{Change, ChangeKind, ChangeSet, compare},
        deploy::OnFailure,
        input::Input,
        stacks::{Options, Source, Stack},
        status::StackStatus,
    },
    service::AwsError,
};

/// How many change sets a stack may have; AWS says no more than "several thousand".
const CHANGE_SETS_MAX: usize = 100;

const NOTHING_TO_CHANGE: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

pub(in super::super) fn create(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let refused =
        ["DeploymentMode", "ImportExistingResources", "ResourcesToImport", "RollbackConfiguration", "ResourceTypes"];
    input.refuse("CreateChangeSet", &refused)?;
    let creates = match input.text("ChangeSetType").unwrap_or("UPDATE") {
        "CREATE" => true,
        "UPDATE" => false,
        other => return Err(AwsError::not_implemented("cloudformation", &format!("CreateChangeSet of type {other}"))),
    };
    let name = input.required("ChangeSetName")?;
    let mut stacks = service.stacks();
    let now_ms = service.context.clock.now_ms();
    let stack_name = input.required("StackName")?;
    if creates && stacks.find(stack_name).is_none() {
        let stack_name = stack_operations::checked_name(input)?;
        let id = stack_operations::new_id(service, stack_name);
        let options = Options { notification_arns: input.texts("NotificationARNs"), ..Options::default() };
        // The template is read before the stack is recorded: a faulty call leaves nothing behind.
        let subject = Subject { name: stack_name, id: &id, notification_arns: options.notification_arns.clone() };
        source::read(service, "CreateChangeSet", input, subject, None)?;
        stacks.insert(Stack::new(id.clone(), stack_name.to_owned(), Source::default(), options, now_ms))?;
        stacks.get_mut(&id)?.enter(StackStatus::ReviewInProgress, Some("User Initiated".to_owned()), now_ms, None);
    }
    let stack = stacks.get_mut(stack_name)?;
    check(stack, name, creates)?;
    let subject =
        Subject { name: &stack.name, id: &stack.id, notification_arns: stack.options.notification_arns.clone() };
    let (source, bound) = source::read(service, "CreateChangeSet", input, subject, Some(&stack.source))?;
    let changes = compare(&stack.resources, stack.known(), &bound, &source.tags)?;
    let executable = creates || !changes.is_empty() || stack_operations::differs(stack, &source, &bound)?;
    let id = service.context.identity.arn("cloudformation", &format!("changeSet/{name}/{}", Uuid::new_v4()));
    let change_set = ChangeSet {
        id: id.clone(),
        name: name.to_owned(),
        description: input.owned("Description"),
        created_ms: now_ms,
        creates,
        source,
        changes,
        executable,
        executed: false,
    };
    stack.change_sets.insert(name.to_owned(), change_set);
    Ok(json!({ "Id": id, "StackId": stack.id }))
}

fn check(stack: &Stack, name: &str, creates: bool) -> Result<(), AwsError> {
    if stack.change_sets.contains_key(name) {
        return Err(AwsError::new("AlreadyExistsException", format!("ChangeSet {name} already exists")));
    }
    if stack.change_sets.len() == CHANGE_SETS_MAX {
        let text = format!("A stack holds at most {CHANGE_SETS_MAX} change sets");
        return Err(AwsError::new("LimitExceededException", text));
    }
    let text = match (creates, stack.status) {
        (true, StackStatus::ReviewInProgress) => return Ok(()),
        (true, _) => {
            format!("Stack [{}] already exists and cannot be created again with the changeSet [{name}].", stack.name)
        }
        (false, StackStatus::ReviewInProgress) => format!("Stack [{}] does not exist", stack.name),
        (false, _) => return stack_operations::check_updatable(stack),
    };
    Err(AwsError::new("ValidationError", text))
}

/// Finds a change set by its name or id.
pub(super) fn find<'a>(stack: &'a Stack, name_or_id: &str) -> Result<&'a ChangeSet, AwsError> {
    let found = stack.change_sets.values().find(|set| set.name == name_or_id || set.id == name_or_id);
    found.ok_or_else(|| AwsError::new("ChangeSetNotFound", format!("ChangeSet [{name_or_id}] does not exist")))
}

/// The stack that a call names, or the one that owns the change set whose ARN it gives.
fn owner(service: &CloudFormation, input: &Input) -> Result<String, AwsError> {
    let stacks = service.stacks();
    if let Some(name) = input.text("StackName") {
        return stacks.get(name).map(|stack| stack.id.clone());
    }
    let set = input.required("ChangeSetName")?;
    let owner = stacks.all().into_iter().find(|stack| find(stack, set).is_ok());
    owner
        .map(|stack| stack.id.clone())
        .ok_or_else(|| AwsError::new("ChangeSetNotFound", format!("ChangeSet [{set}] does not exist")))
}

pub(in super::super) fn describe(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let owner = owner(service, input)?;
    let stacks = service.stacks();
    let stack = stacks.get(&owner)?;
    let set = find(stack, input.required("ChangeSetName")?)?;
    let values = input.flag("IncludePropertyValues");
    let changes = set.changes.iter().map(|found| change(found, values)).collect();
    let (changes, next) = page(input, changes)?;
    let mut answer = summary(stack, set);
    answer["Parameters"] = parameters(&set.source).into();
    answer["Capabilities"] = json!(set.source.capabilities);
    answer["Tags"] = set.source.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    answer["NotificationARNs"] = json!(stack.options.notification_arns);
    answer["Changes"] = changes.into();
    answer["NextToken"] = json!(next);
    Ok(present(answer))
}

fn summary(stack: &Stack, set: &ChangeSet) -> Value {
    let (status, reason) = if set.executable { ("CREATE_COMPLETE", None) } else { ("FAILED", Some(NOTHING_TO_CHANGE)) };
    let execution = match (set.executed, set.executable) {
        (true, _) if stack.status.is_busy() => "EXECUTE_IN_PROGRESS",
        (true, _) => "EXECUTE_COMPLETE",
        (false, true) => "AVAILABLE",
        (false, false) => "UNAVAILABLE",
    };
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": set.id,
        "ChangeSetName": set.name,
        "Description": set.description,
        "CreationTime": timestamp(set.created_ms),
        "Status": status,
        "StatusReason": reason,
        "ExecutionStatus": execution,
    })
}

fn change(change: &Change, values: bool) -> Value {
    let (action, replacement) = match &change.kind {
        ChangeKind::Add => ("Add", None),
        ChangeKind::Remove => ("Remove", None),
        ChangeKind::Modify { .. } => ("Modify", Some(if change.replaces() { "True" } else { "False" })),
    };
    let mut description = json!({
        "Action": action,
        "LogicalResourceId": change.logical_id,
        "PhysicalResourceId": change.physical_id,
        "ResourceType": change.type_name,
        "Replacement": replacement,
        "Scope": scope(change),
        "Details": details(change, values),
    });
    if values {
        let context =
            |properties: &Value| (!properties.is_null()).then(|| json!({ "Properties": properties }).to_string());
        description["BeforeContext"] = json!(context(&change.before));
        description["AfterContext"] = json!(context(&change.after));
    }
    json!({ "Type": "Resource", "ResourceChange": description })
}

fn scope(change: &Change) -> Vec<&'static str> {
    let ChangeKind::Modify { properties, tags } = &change.kind else { return Vec::new() };
    let mut scope = Vec::new();
    if properties.iter().any(|property| property.name != "Tags") {
        scope.push("Properties");
    }
    if *tags {
        scope.push("Tags");
    }
    scope
}

fn details(change: &Change, values: bool) -> Vec<Value> {
    let ChangeKind::Modify { properties, .. } = &change.kind else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let detail = |name: &str, replaces: bool| {
        let mut target = json!({
            "Attribute": "Properties",
            "Name": name,
            "RequiresRecreation": if replaces { "Always" } else { "Never" },
            "Path": format!("/Properties/{name}"),
        });
        if values {
            target["BeforeValue"] = json!(text(&change.before[name]));
            target["AfterValue"] = json!(text(&change.after[name]));
        }
        json!({ "Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification" })
    };
    properties.iter().map(|property| detail(&property.name, property.replaces)).collect()
}

pub(in super::super) fn execute(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let owner = owner(service, input)?;
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(&owner)?;
    let set = find(stack, input.required("ChangeSetName")?)?;
    let Some(bound) = set.source.bound.clone().filter(|_| set.executable && !set.executed) else {
        let text = format!("ChangeSet [{}] cannot be executed in its current status", set.id);
        return Err(AwsError::new("InvalidChangeSetStatus", text));
    };
    let (name, creates, source) = (set.name.clone(), set.creates, set.source.clone());
    if !creates {
        stack_operations::check_updatable(stack)?;
    }
    // Every other change set was made for a stack that will no longer be like that.
    stack.change_sets.retain(|other, _| *other == name);
    if let Some(set) = stack.change_sets.get_mut(&name) {
        set.executed = true;
    }
    let token = input.owned("ClientRequestToken");
    let disable_rollback = input.flag("DisableRollback");
    if creates {
        stack.source = source;
        stack.options.disable_rollback = disable_rollback;
        stack.options.retain_except_on_create = input.flag("RetainExceptOnCreate");
        let on_failure = if disable_rollback { OnFailure::DoNothing } else { OnFailure::Rollback };
        stack_operations::begin_creation(service, stack, bound, on_failure, token);
    } else {
        stack_operations::begin_update(service, stack, source, bound, disable_rollback, token);
    }
    Ok(json!({}))
}

pub(in super::super) fn delete(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let owner = owner(service, input)?;
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(&owner)?;
    let name = find(stack, input.required("ChangeSetName")?)?.name.clone();
    stack.change_sets.remove(&name);
    Ok(json!({}))
}

pub(in super::super) fn list(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let stack = stacks.get(input.required("StackName")?)?;
    let summaries = stack.change_sets.values().map(|set| summary(stack, set)).collect();
    let (summaries, next) = page(input, summaries)?;
    Ok(present(json!({ "Summaries": summaries, "NextToken": next })))
}
