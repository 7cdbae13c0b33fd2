//! A change of a stack that stands, through a change set that is read before it is executed.

use aws_sdk_cloudformation::{
    operation::describe_change_set::DescribeChangeSetOutput,
    types::{Capability, Change, ChangeAction, ChangeSetStatus, ChangeSetType, Replacement, StackStatus},
};

use super::{DeployError, Images, Work, delivery, parameters, tags};
use crate::{
    call::{CallError, call, found, required},
    image::Digest,
    pace::Pace,
    progress::Phase,
    stack::FoundStack,
    tasks::StoppedTasks,
    template::{IMAGE_SOURCE, TEMPLATE},
    watch::Watch,
};

/// What holds records, state or live counts: a replacement would lose them.
const IRREPLACEABLE: [&str; 3] = ["AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::ECS::Service"];

/// How CloudFormation words a change set that would change nothing.
const UNCHANGED: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

pub(super) async fn update(work: Work<'_>, stack: FoundStack) -> Result<FoundStack, DeployError> {
    work.progress.enter(Phase::UpdatingStack).await;
    // The repositories exist already, and an update does not wait for a signal again.
    if let (Images::Push(images), Some("push")) = (&work.request.images, stack.parameter(IMAGE_SOURCE)) {
        delivery::push_all(work, images).await?;
    }
    let change_set = propose(work, &stack).await?;
    let Some(changes) = read(work, &change_set).await? else {
        discard(work, &change_set).await?;
        return Ok(stack);
    };
    let lost = replaced(&changes);
    if !lost.is_empty() {
        discard(work, &change_set).await?;
        return Err(DeployError::Replacement { resources: lost });
    }
    let name = &work.request.name;
    let tasks = StoppedTasks::from_now(work.clients, name.as_str()).await?;
    let watch = Watch::from_now(work.clients, work.progress, &stack.id).await?.with_tasks(tasks);
    let request = work.clients.cloudformation.execute_change_set().change_set_name(&change_set);
    call("cloudformation:ExecuteChangeSet", request.send()).await?;
    delivery::alongside(work, &stack.id, watch).await?.expect(&StackStatus::UpdateComplete, name)
}

/// Creates the change set and returns its ARN. One left over from an interrupted run with the same wish is replaced.
async fn propose(work: Work<'_>, stack: &FoundStack) -> Result<String, DeployError> {
    const OPERATION: &str = "cloudformation:CreateChangeSet";
    let request = work.request;
    let shards = open_shards(work).await?;
    let parameters = parameters::of_update(request, stack, shards);
    let wish = format!("{TEMPLATE}{parameters:?}{:?}", request.tags);
    let name = format!("{}-{}", request.name, Digest::of(wish.as_bytes()).tag());
    let leftover = work.clients.cloudformation.delete_change_set().stack_name(&stack.id).change_set_name(&name);
    found(call("cloudformation:DeleteChangeSet", leftover.send()).await, &["ChangeSetNotFound"])?;
    let proposal = work
        .clients
        .cloudformation
        .create_change_set()
        .stack_name(&stack.id)
        .change_set_name(&name)
        .change_set_type(ChangeSetType::Update)
        .template_body(TEMPLATE)
        .set_parameters(Some(parameters))
        .set_tags(Some(tags(request)))
        .capabilities(Capability::CapabilityIam);
    Ok(required(call(OPERATION, proposal.send()).await?.id, OPERATION, "Id")?)
}

/// Waits for the change set and returns all its changes. `None`: there are none.
async fn read(work: Work<'_>, change_set: &str) -> Result<Option<Vec<Change>>, DeployError> {
    let mut pace = Pace::new();
    loop {
        let answer = page(work, change_set, None).await?;
        let reason = answer.status_reason().unwrap_or("no reason given");
        match answer.status() {
            Some(ChangeSetStatus::CreateComplete) => return Ok(Some(all_changes(work, change_set, answer).await?)),
            Some(ChangeSetStatus::Failed) if UNCHANGED.iter().any(|text| reason.contains(text)) => return Ok(None),
            Some(ChangeSetStatus::Failed) => return Err(DeployError::ChangeSet { reason: reason.to_owned() }),
            _ => pace.pause().await,
        }
    }
}

async fn all_changes(
    work: Work<'_>,
    change_set: &str,
    mut answer: DescribeChangeSetOutput,
) -> Result<Vec<Change>, CallError> {
    let mut changes = answer.changes.take().unwrap_or_default();
    while let Some(token) = answer.next_token.take() {
        answer = page(work, change_set, Some(token)).await?;
        changes.extend(answer.changes.take().unwrap_or_default());
    }
    Ok(changes)
}

async fn page(work: Work<'_>, change_set: &str, token: Option<String>) -> Result<DescribeChangeSetOutput, CallError> {
    let request = work.clients.cloudformation.describe_change_set().change_set_name(change_set).set_next_token(token);
    call("cloudformation:DescribeChangeSet", request.send()).await
}

async fn discard(work: Work<'_>, change_set: &str) -> Result<(), CallError> {
    let request = work.clients.cloudformation.delete_change_set().change_set_name(change_set);
    call("cloudformation:DeleteChangeSet", request.send()).await.map(drop)
}

async fn open_shards(work: Work<'_>) -> Result<Option<i32>, CallError> {
    let request = work.clients.kinesis.describe_stream_summary().stream_name(work.request.name.as_str());
    let summary = call("kinesis:DescribeStreamSummary", request.send()).await;
    let summary = found(summary, &["ResourceNotFoundException"])?.and_then(|answer| answer.stream_description_summary);
    Ok(summary.map(|summary| summary.open_shard_count))
}

/// The irreplaceable resources that the changes would replace or remove.
fn replaced(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .filter_map(Change::resource_change)
        .filter(|change| change.resource_type().is_some_and(|kind| IRREPLACEABLE.contains(&kind)))
        .filter(|change| {
            change.action() == Some(&ChangeAction::Remove)
                || matches!(change.replacement(), Some(Replacement::True | Replacement::Conditional))
        })
        .filter_map(|change| change.logical_resource_id().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::{ChangeType, ResourceChange};

    use super::*;

    fn change(kind: &str, action: ChangeAction, replacement: Option<Replacement>) -> Change {
        let resource = ResourceChange::builder()
            .resource_type(kind)
            .logical_resource_id("Thing")
            .action(action)
            .set_replacement(replacement)
            .build();
        Change::builder().r#type(ChangeType::Resource).resource_change(resource).build()
    }

    #[test]
    fn a_stream_may_be_modified_but_not_replaced_or_removed() {
        let stream = |action, replacement| replaced(&[change("AWS::Kinesis::Stream", action, replacement)]);
        assert!(stream(ChangeAction::Modify, Some(Replacement::False)).is_empty());
        assert!(stream(ChangeAction::Add, None).is_empty());
        assert_eq!(stream(ChangeAction::Modify, Some(Replacement::True)), ["Thing"]);
        assert_eq!(stream(ChangeAction::Modify, Some(Replacement::Conditional)), ["Thing"]);
        assert_eq!(stream(ChangeAction::Remove, None), ["Thing"]);
    }

    #[test]
    fn task_definitions_may_be_replaced() {
        let changes = [change("AWS::ECS::TaskDefinition", ChangeAction::Modify, Some(Replacement::True))];
        assert!(replaced(&changes).is_empty());
    }
}
