//! A change of a stack that stands.

use aws_sdk_cloudformation::types::StackStatus;
use aws_sdk_kinesis::types::StreamStatus;

use super::{DeployError, Images, Work, delivery, proposal::Proposal};
use crate::{
    call::{CallError, call, found},
    pace::Pace,
    progress::Phase,
    stack::FoundStack,
    tasks::StoppedTasks,
    template::IMAGE_SOURCE,
    watch::Watch,
};

pub(super) async fn update(work: Work<'_>, stack: FoundStack) -> Result<FoundStack, DeployError> {
    work.progress.enter(Phase::UpdatingStack).await;
    // The repositories exist already, and an update does not wait for a signal again.
    if let (Images::Push(images), Some("push")) = (&work.request.images, stack.parameter(IMAGE_SOURCE)) {
        delivery::push_all(work, images).await?;
    }
    let proposal = propose(work, &stack).await?;
    if proposal.changes_nothing() {
        proposal.discard(work).await?;
        return Ok(stack);
    }
    let resources = proposal.losses();
    if !resources.is_empty() {
        proposal.discard(work).await?;
        return Err(DeployError::Replacement { resources });
    }
    let name = &work.request.name;
    let tasks = StoppedTasks::from_now(work.clients, name.as_str()).await?;
    let watch = Watch::from_now(work.clients, work.progress, &stack.id).await?.with_tasks(tasks);
    proposal.execute(work).await?;
    delivery::alongside(work, &stack.id, watch).await?.into_stack(&StackStatus::UpdateComplete, name)
}

/// CloudFormation compares templates and not what there is: as long as nothing of the stream changes it leaves the stream
/// alone, and a rollback does too. When something does change, the count that is true now goes with it.
async fn propose(work: Work<'_>, stack: &FoundStack) -> Result<Proposal, DeployError> {
    let proposal = Proposal::make(work, stack, None).await?;
    if !proposal.touches_stream() {
        return Ok(proposal);
    }
    proposal.discard(work).await?;
    Proposal::make(work, stack, open_shards(work).await?).await
}

/// The shards that the stream has now; while it reshards their number means nothing yet.
async fn open_shards(work: Work<'_>) -> Result<Option<i32>, CallError> {
    let mut pace = Pace::new();
    loop {
        let request = work.clients.kinesis.describe_stream_summary().stream_name(work.request.name.as_str());
        let answer = call("kinesis:DescribeStreamSummary", request.send()).await;
        let summary = found(answer, &["ResourceNotFoundException"])?.and_then(|it| it.stream_description_summary);
        match summary {
            Some(summary) if summary.stream_status == StreamStatus::Updating => pace.pause().await,
            summary => return Ok(summary.map(|summary| summary.open_shard_count)),
        }
    }
}
