//! Operations that change stacks.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::source::{self, Subject};
use crate::{
    cloudformation::{
        CloudFormation,
        change_set::compare,
        deploy::{self, OnFailure, Operation},
        input::Input,
        stacks::{Options, Source, Stack},
        status::{Action, ResourceStatus, StackStatus},
        template::Bound,
    },
    service::AwsError,
};

/// Source: the AWS limit for names of stacks.
const NAME_LENGTH_MAX: usize = 128;

/// How many signals a resource takes; no template counts that far.
const SIGNALS_MAX: usize = 1000;

pub(in super::super) fn create(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    input.refuse("CreateStack", &["StackPolicyBody", "StackPolicyURL", "RollbackConfiguration", "ResourceTypes"])?;
    let name = checked_name(input)?;
    let id = new_id(service, name);
    let subject = Subject { name, id: &id, notification_arns: input.texts("NotificationARNs") };
    let (source, bound) = source::read(service, "CreateStack", input, subject, None)?;
    let (on_failure, options) = options(input)?;
    let token = options.client_request_token.clone();
    let mut stacks = service.stacks();
    if let Some(existing) = stacks.find(name) {
        if token.is_some() && existing.options.client_request_token == token {
            return Ok(json!({ "StackId": existing.id }));
        }
        return Err(AwsError::new("AlreadyExistsException", format!("Stack [{name}] already exists")));
    }
    let now_ms = service.context.clock.now_ms();
    stacks.insert(Stack::new(id.clone(), name.to_owned(), source, options, now_ms))?;
    let stack = stacks.get_mut(&id)?;
    begin_creation(service, stack, bound, on_failure, token);
    Ok(json!({ "StackId": id }))
}

/// Starts to create a stack that has been recorded.
pub(super) fn begin_creation(
    service: &Arc<CloudFormation>,
    stack: &mut Stack,
    bound: Arc<Bound>,
    on_failure: OnFailure,
    token: Option<String>,
) {
    let limit = stack.options.timeout_minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let now_ms = service.context.clock.now_ms();
    stack.enter(StackStatus::CreateInProgress, Some("User Initiated".to_owned()), now_ms, token.as_deref());
    let operation = Operation::start(service, stack, token);
    service.context.tasks.spawn(deploy::create(operation, bound, on_failure, limit));
}

fn options(input: &Input) -> Result<(OnFailure, Options), AwsError> {
    let on_failure = match (input.text("OnFailure"), input.has("DisableRollback")) {
        (Some(_), true) => {
            return Err(AwsError::new(
                "ValidationError",
                "You can specify either DisableRollback or OnFailure, but not both.",
            ));
        }
        (Some("DO_NOTHING"), _) => OnFailure::DoNothing,
        (Some("DELETE"), _) => OnFailure::Delete,
        (Some("ROLLBACK"), _) => OnFailure::Rollback,
        (Some(other), _) => return Err(AwsError::new("ValidationError", format!("OnFailure cannot be {other}"))),
        (None, _) if input.flag("DisableRollback") => OnFailure::DoNothing,
        (None, _) => OnFailure::Rollback,
    };
    let timeout_minutes =
        input.text("TimeoutInMinutes").map(|text| text.parse::<u64>().ok().filter(|minutes| *minutes > 0));
    if timeout_minutes == Some(None) {
        return Err(AwsError::new("ValidationError", "TimeoutInMinutes must be a whole number of at least 1"));
    }
    let options = Options {
        disable_rollback: on_failure == OnFailure::DoNothing,
        termination_protection: input.flag("EnableTerminationProtection"),
        timeout_minutes: timeout_minutes.flatten(),
        retain_except_on_create: input.flag("RetainExceptOnCreate"),
        notification_arns: input.texts("NotificationARNs"),
        role_arn: input.owned("RoleARN"),
        client_request_token: input.owned("ClientRequestToken"),
    };
    Ok((on_failure, options))
}

pub(in super::super) fn update(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let refused =
        ["StackPolicyBody", "StackPolicyURL", "StackPolicyDuringUpdateBody", "RollbackConfiguration", "ResourceTypes"];
    input.refuse("UpdateStack", &refused)?;
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(input.required("StackName")?)?;
    check_updatable(stack)?;
    let subject =
        Subject { name: &stack.name, id: &stack.id, notification_arns: stack.options.notification_arns.clone() };
    let (source, bound) = source::read(service, "UpdateStack", input, subject, Some(&stack.source))?;
    if !differs(stack, &source, &bound)? {
        return Err(AwsError::new("ValidationError", "No updates are to be performed."));
    }
    let disable_rollback = input.flag("DisableRollback");
    let id = stack.id.clone();
    begin_update(service, stack, source, bound, disable_rollback, input.owned("ClientRequestToken"));
    Ok(json!({ "StackId": id }))
}

/// Starts to update a stack.
pub(super) fn begin_update(
    service: &Arc<CloudFormation>,
    stack: &mut Stack,
    source: Source,
    bound: Arc<Bound>,
    disable_rollback: bool,
    token: Option<String>,
) {
    let before = std::mem::replace(&mut stack.source, source);
    let now_ms = service.context.clock.now_ms();
    stack.enter(StackStatus::UpdateInProgress, Some("User Initiated".to_owned()), now_ms, token.as_deref());
    let operation = Operation::start(service, stack, token);
    service.context.tasks.spawn(deploy::update(operation, bound, before, disable_rollback));
}

pub(super) fn check_updatable(stack: &Stack) -> Result<(), AwsError> {
    if stack.status.is_updatable() {
        return Ok(());
    }
    let text = format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status.as_str());
    Err(AwsError::new("ValidationError", text))
}

/// Whether there is anything to update: a resource, the tags or an output.
pub(super) fn differs(stack: &Stack, source: &Source, bound: &Bound) -> Result<bool, AwsError> {
    let known = stack.known();
    let changes = compare(&stack.resources, known.clone(), bound, &source.tags)?;
    Ok(!changes.is_empty() || source.tags != stack.source.tags || bound.outputs(&known)? != stack.outputs)
}

pub(in super::super) fn delete(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    input.refuse("DeleteStack", &["DeletionMode"])?;
    let retained = input.texts("RetainResources");
    let mut stacks = service.stacks();
    // A stack that does not exist, or no longer does, counts as deleted.
    let Some(stack) = stacks.find_mut(input.required("StackName")?) else { return Ok(json!({})) };
    if matches!(stack.status, StackStatus::DeleteComplete | StackStatus::DeleteInProgress) {
        return Ok(json!({}));
    }
    if stack.options.termination_protection {
        let text = format!("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.id);
        return Err(AwsError::new("ValidationError", text));
    }
    check_retained(stack, &retained)?;
    let token = input.owned("ClientRequestToken");
    let now_ms = service.context.clock.now_ms();
    stack.enter(StackStatus::DeleteInProgress, Some("User Initiated".to_owned()), now_ms, token.as_deref());
    let operation = Operation::start(service, stack, token);
    service.context.tasks.spawn(deploy::delete(operation, retained));
    Ok(json!({}))
}

fn check_retained(stack: &Stack, retained: &[String]) -> Result<(), AwsError> {
    if retained.is_empty() {
        return Ok(());
    }
    let refuse = |text: String| Err(AwsError::new("ValidationError", text));
    if stack.status != StackStatus::DeleteFailed {
        return refuse(format!(
            "Invalid operation on stack [{}]. RetainResources can only be given for a stack in DELETE_FAILED, not {}",
            stack.id,
            stack.status.as_str()
        ));
    }
    match retained.iter().find(|name| !stack.failed(Action::Delete).contains(name)) {
        Some(name) => refuse(format!("The resource {name} is not in DELETE_FAILED and cannot be retained")),
        None => Ok(()),
    }
}

pub(in super::super) fn cancel_update(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(input.required("StackName")?)?;
    if stack.status != StackStatus::UpdateInProgress {
        return Err(AwsError::new("ValidationError", "CancelUpdateStack cannot be called from current stack status"));
    }
    stack.cancel.cancel();
    Ok(json!({}))
}

pub(in super::super) fn protect(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(input.required("StackName")?)?;
    stack.options.termination_protection = input.required("EnableTerminationProtection")? == "true";
    Ok(json!({ "StackId": stack.id }))
}

pub(in super::super) fn signal(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let (name, unique_id) = (input.required("LogicalResourceId")?, input.required("UniqueId")?);
    let success = match input.required("Status")? {
        "SUCCESS" => true,
        "FAILURE" => false,
        other => {
            return Err(AwsError::new("ValidationError", format!("Status must be SUCCESS or FAILURE, not {other}")));
        }
    };
    let refuse = |text: String| Err(AwsError::new("ValidationError", text));
    let mut stacks = service.stacks();
    let stack = stacks.get_mut(input.required("StackName")?)?;
    if !matches!(stack.status, StackStatus::CreateInProgress | StackStatus::UpdateInProgress) {
        return refuse(format!("Stack {} is in {} state and cannot be signaled", stack.id, stack.status.as_str()));
    }
    let status = match stack.resources.get(name).map(|resource| resource.status) {
        Some(status @ ResourceStatus::InProgress(Action::Create | Action::Update)) => status,
        Some(other) => return refuse(format!("Resource {name} is in {} state and cannot be signaled", other.as_str())),
        None => return refuse(format!("Resource {name} does not exist for stack {}", stack.name)),
    };
    let received = stack.signals.entry(name.to_owned()).or_default();
    if received.len() == SIGNALS_MAX {
        return Err(AwsError::new(
            "LimitExceededException",
            format!("Resource {name} has {SIGNALS_MAX} signals already"),
        ));
    }
    received.insert(unique_id.to_owned(), success);
    let word = if success { "SUCCESS" } else { "FAILURE" };
    let reason = format!("Received {word} signal with UniqueId {unique_id}");
    stack.enter_resource(name, status, Some(reason), service.context.clock.now_ms(), None);
    drop(stacks);
    service.signalled.notify_waiters();
    Ok(json!({}))
}

/// The stack's name, if it can be one.
pub(super) fn checked_name(input: &Input) -> Result<&str, AwsError> {
    let name = input.required("StackName")?;
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    if starts && rest && name.len() <= NAME_LENGTH_MAX {
        return Ok(name);
    }
    let text = format!(
        "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    );
    Err(AwsError::new("ValidationError", text))
}

pub(super) fn new_id(service: &CloudFormation, name: &str) -> String {
    service.context.identity.arn("cloudformation", &format!("stack/{name}/{}", Uuid::new_v4()))
}
