//! A change set: what an update would do, known before it is done.

use aws_sdk_cloudformation::{
    operation::describe_change_set::DescribeChangeSetOutput,
    types::{Capability, Change, ChangeAction, ChangeSetStatus, ChangeSetType, Replacement, ResourceChange},
};

use super::{DeployError, Work, parameters, tags};
use crate::{
    call::{CallError, call, found, required},
    image::Digest,
    pace::Pace,
    stack::FoundStack,
    template,
};

const STREAM: &str = "AWS::Kinesis::Stream";

/// What holds records, state or live counts: a replacement would lose them.
const IRREPLACEABLE: [&str; 3] = [STREAM, "AWS::DynamoDB::Table", "AWS::ECS::Service"];

/// How CloudFormation words a change set that would change nothing.
const UNCHANGED: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

pub(super) struct Proposal {
    /// The change set's ARN.
    id: String,
    /// `None`: nothing would change.
    changes: Option<Vec<Change>>,
}

impl Proposal {
    /// Creates the change set and waits until it can be read. One left over from an interrupted run with the same wish
    /// is replaced. `open_shards` is passed on where the stream is changed anyway.
    pub(super) async fn make(
        work: Work<'_>,
        stack: &FoundStack,
        open_shards: Option<i32>,
    ) -> Result<Self, DeployError> {
        let id = create(work, stack, open_shards).await?;
        Ok(Self { changes: read(work, &id).await?, id })
    }

    pub(super) fn changes_nothing(&self) -> bool {
        self.changes.is_none()
    }

    pub(super) fn touches_stream(&self) -> bool {
        self.resources().any(|change| change.resource_type() == Some(STREAM))
    }

    /// The irreplaceable resources that would be replaced or removed.
    pub(super) fn losses(&self) -> Vec<String> {
        let lost = self.resources().filter(|change| {
            change.resource_type().is_some_and(|kind| IRREPLACEABLE.contains(&kind))
                && (change.action() == Some(&ChangeAction::Remove)
                    || matches!(change.replacement(), Some(Replacement::True | Replacement::Conditional)))
        });
        lost.filter_map(|change| change.logical_resource_id().map(str::to_owned)).collect()
    }

    fn resources(&self) -> impl Iterator<Item = &ResourceChange> {
        self.changes.iter().flatten().filter_map(Change::resource_change)
    }

    pub(super) async fn execute(&self, work: Work<'_>) -> Result<(), CallError> {
        let request = work.clients.cloudformation.execute_change_set().change_set_name(&self.id);
        call("cloudformation:ExecuteChangeSet", request.send()).await.map(drop)
    }

    pub(super) async fn discard(self, work: Work<'_>) -> Result<(), CallError> {
        let request = work.clients.cloudformation.delete_change_set().change_set_name(&self.id);
        call("cloudformation:DeleteChangeSet", request.send()).await.map(drop)
    }
}

async fn create(work: Work<'_>, stack: &FoundStack, open_shards: Option<i32>) -> Result<String, CallError> {
    const OPERATION: &str = "cloudformation:CreateChangeSet";
    let request = work.request;
    let parameters = parameters::of_update(request, stack, open_shards);
    let wish = format!("{}{parameters:?}{:?}", template::body(), request.tags);
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
        .template_body(template::body())
        .set_parameters(Some(parameters))
        .set_tags(Some(tags(request)))
        .capabilities(Capability::CapabilityIam);
    required(call(OPERATION, proposal.send()).await?.id, OPERATION, "Id")
}

async fn read(work: Work<'_>, id: &str) -> Result<Option<Vec<Change>>, DeployError> {
    let mut pace = Pace::new();
    loop {
        let answer = page(work, id, None).await?;
        let reason = answer.status_reason().unwrap_or("no reason given");
        match answer.status() {
            Some(ChangeSetStatus::CreateComplete) => return Ok(Some(all_changes(work, id, answer).await?)),
            Some(ChangeSetStatus::Failed) if UNCHANGED.iter().any(|text| reason.contains(text)) => return Ok(None),
            Some(ChangeSetStatus::Failed) => return Err(DeployError::ChangeSet { reason: reason.to_owned() }),
            _ => pace.pause().await,
        }
    }
}

async fn all_changes(work: Work<'_>, id: &str, mut answer: DescribeChangeSetOutput) -> Result<Vec<Change>, CallError> {
    let mut changes = answer.changes.take().unwrap_or_default();
    while let Some(token) = answer.next_token.take() {
        answer = page(work, id, Some(token)).await?;
        changes.extend(answer.changes.take().unwrap_or_default());
    }
    Ok(changes)
}

async fn page(work: Work<'_>, id: &str, token: Option<String>) -> Result<DescribeChangeSetOutput, CallError> {
    let request = work.clients.cloudformation.describe_change_set().change_set_name(id).set_next_token(token);
    call("cloudformation:DescribeChangeSet", request.send()).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::ChangeType;

    use super::*;

    fn losses(kind: &str, action: ChangeAction, replacement: Option<Replacement>) -> Vec<String> {
        let resource = ResourceChange::builder()
            .resource_type(kind)
            .logical_resource_id("Thing")
            .action(action)
            .set_replacement(replacement)
            .build();
        let change = Change::builder().r#type(ChangeType::Resource).resource_change(resource).build();
        Proposal { id: String::new(), changes: Some(vec![change]) }.losses()
    }

    #[test]
    fn a_stream_may_be_modified_but_not_replaced_or_removed() {
        assert!(losses(STREAM, ChangeAction::Modify, Some(Replacement::False)).is_empty());
        assert!(losses(STREAM, ChangeAction::Add, None).is_empty());
        assert_eq!(losses(STREAM, ChangeAction::Modify, Some(Replacement::True)), ["Thing"]);
        assert_eq!(losses(STREAM, ChangeAction::Modify, Some(Replacement::Conditional)), ["Thing"]);
        assert_eq!(losses(STREAM, ChangeAction::Remove, None), ["Thing"]);
    }

    #[test]
    fn task_definitions_may_be_replaced() {
        assert!(losses("AWS::ECS::TaskDefinition", ChangeAction::Modify, Some(Replacement::True)).is_empty());
    }
}
