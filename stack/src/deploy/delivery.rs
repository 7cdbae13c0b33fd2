//! The images on their way into the deployment's repositories.

use aws_sdk_cloudformation::types::{ResourceSignalStatus, ResourceStatus, StackStatus};

use super::{DeployError, Images, Work};
use crate::{
    call::{CallError, call},
    image::{self, Image},
    name::{DeploymentName, PerRole},
    pace::Pace,
    progress::{Event, Phase},
    stack::FoundStack,
    template::IMAGES_PUSHED,
    watch::Watch,
};

/// A stack that has settled.
pub(super) struct Ended {
    /// `None`: it was deleted and is forgotten.
    pub(super) stack: Option<FoundStack>,
    /// What failed first on the way.
    pub(super) failure: Option<String>,
}

impl Ended {
    /// The stack, if it ended as it should.
    pub(super) fn into_stack(self, wanted: &StackStatus, name: &DeploymentName) -> Result<FoundStack, DeployError> {
        let failed = |status: &StackStatus, reason| {
            let (stack, status) = (name.to_string(), status.to_string());
            DeployError::Failed { stack, status, reason }
        };
        match self.stack {
            None => Err(failed(&StackStatus::DeleteComplete, "it was deleted meanwhile".to_owned())),
            Some(stack) if stack.status == *wanted => Ok(stack),
            Some(stack) => Err(failed(&stack.status, self.failure.unwrap_or_else(|| stack.reason().to_owned()))),
        }
    }
}

/// Watches a stack until it settles while the images are delivered. A failed delivery ends it at once.
pub(super) async fn alongside(work: Work<'_>, stack_id: &str, mut watch: Watch<'_>) -> Result<Ended, DeployError> {
    let deliver = async {
        match &work.request.images {
            Images::Push(images) => when_awaited(work, stack_id, images).await,
            Images::Registry(_) => Ok(()),
        }
    };
    let stack = {
        let settle = watch.until_settled();
        tokio::pin!(deliver, settle);
        tokio::select! {
            delivered = &mut deliver => {
                delivered?;
                settle.await?
            }
            settled = &mut settle => settled?,
        }
    };
    Ok(Ended { stack, failure: watch.first_failure().map(str::to_owned) })
}

/// Waits until the stack awaits the images, pushes them and tells the stack. When a push fails the stack is told that,
/// so that it rolls back now and not after its time-out.
async fn when_awaited(work: Work<'_>, stack_id: &str, images: &PerRole<Image>) -> Result<(), DeployError> {
    if !is_awaited(work, stack_id).await? {
        return Ok(());
    }
    let pushed = push_all(work, images).await;
    let status = if pushed.is_ok() { ResourceSignalStatus::Success } else { ResourceSignalStatus::Failure };
    let signal = work
        .clients
        .cloudformation
        .signal_resource()
        .stack_name(stack_id)
        .logical_resource_id(IMAGES_PUSHED)
        .unique_id("ctl")
        .status(status);
    let signalled = call("cloudformation:SignalResource", signal.send()).await;
    pushed?;
    signalled?;
    Ok(())
}

pub(super) async fn push_all(work: Work<'_>, images: &PerRole<Image>) -> Result<(), DeployError> {
    work.progress.enter(Phase::PushingImages).await;
    for (role, image) in images.iter() {
        let pushed = image::push(work.clients, &work.request.name.repository(role), image)
            .await
            .map_err(|source| DeployError::Push { role, source })?;
        let digest = image.digest().to_string();
        work.progress.report(Event::ImagePushed { role, digest, uploaded: pushed.uploaded }).await;
    }
    Ok(())
}

/// Returns whether the stack wants a signal, once that is known.
async fn is_awaited(work: Work<'_>, stack_id: &str) -> Result<bool, CallError> {
    let mut pace = Pace::new();
    loop {
        let request = work
            .clients
            .cloudformation
            .describe_stack_resource()
            .stack_name(stack_id)
            .logical_resource_id(IMAGES_PUSHED);
        let resource = match call("cloudformation:DescribeStackResource", request.send()).await {
            Err(error) if error.says("ValidationError", "does not exist") => None,
            answer => answer?.stack_resource_detail,
        };
        match resource.as_ref().and_then(|resource| resource.resource_status()) {
            Some(ResourceStatus::CreateInProgress) => return Ok(true),
            Some(_) => return Ok(false),
            None => pace.pause().await,
        }
    }
}
