//! Create or update a deployment, push its images, and see its services steady.

mod creation;
mod delivery;
mod error;
mod outputs;
mod parameters;
mod proposal;
mod services;
mod step;
mod update;

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{StackStatus, Tag};
use tokio_util::sync::CancellationToken;

use self::step::Step;
use crate::{
    call::call,
    clients::Clients,
    image::Image,
    limits::DEPLOYMENT,
    name::{DEPLOYMENT_TAG, DeploymentName, PerRole},
    progress::Progress,
    stack::{FoundStack, find},
    template::Parameters,
    watch::Watch,
};

pub use error::DeployError;
pub use outputs::{Outputs, describe};

/// What to deploy.
#[derive(Debug, Clone)]
pub struct Request {
    pub name: DeploymentName,
    pub images: Images,
    /// `ShardCount` counts for a new stack only: an update leaves the stream as the control plane has it.
    pub parameters: Parameters,
    /// Tags of every resource beside `weir:deployment`.
    pub tags: BTreeMap<String, String>,
}

/// Where tasks get their images from.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for a deployment, and it is only borrowed")]
pub enum Images {
    /// Pushed to the deployment's own repositories while the stack is created.
    Push(PerRole<Image>),
    /// Already in a registry that the tasks can reach, each as `name@sha256:<hex>`.
    Registry(PerRole<String>),
}

/// Creates the deployment, or updates the one of that name. Running it again after any failure or cancellation
/// continues where AWS stands.
///
/// # Errors
/// See [`DeployError`]; each says what to do about it in [`DeployError::hint`].
pub async fn deploy(
    clients: &Clients,
    request: &Request,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Outputs, DeployError> {
    let work = converge(Work { clients, request, progress });
    match cancel.run_until_cancelled(tokio::time::timeout(DEPLOYMENT, work)).await {
        None => Err(DeployError::Cancelled),
        Some(Err(_)) => Err(DeployError::Late { limit: DEPLOYMENT }),
        Some(Ok(outcome)) => outcome,
    }
}

/// What every part of a deployment works with.
#[derive(Clone, Copy)]
struct Work<'a> {
    clients: &'a Clients,
    request: &'a Request,
    progress: &'a Progress,
}

async fn converge(work: Work<'_>) -> Result<Outputs, DeployError> {
    let stack = settle(work).await?;
    services::until_steady(work).await?;
    Outputs::of(&stack.description)
}

/// Takes the stack from whatever it is to what was asked for. Each pass looks again and takes one step.
async fn settle(work: Work<'_>) -> Result<FoundStack, DeployError> {
    let name = &work.request.name;
    loop {
        let Some(stack) = find(work.clients, name.as_str()).await? else {
            creation::start(work).await?;
            continue;
        };
        if !stack.belongs_to(name) {
            return Err(DeployError::Foreign { stack: name.to_string() });
        }
        match Step::after(&stack.status) {
            Step::Follow => {
                return creation::follow(work, &stack).await?.into_stack(&StackStatus::CreateComplete, name);
            }
            Step::Update => return update::update(work, stack).await,
            Step::Wait => drop(Watch::from_now(work.clients, work.progress, &stack.id).await?.until_settled().await?),
            Step::Clear => clear(work, &stack).await?,
            Step::GiveUp => {
                return Err(DeployError::Stuck { stack: name.to_string(), status: stack.status.to_string() });
            }
        }
    }
}

/// Removes a stack whose creation was rolled back: nothing is left in it, and it can only be deleted.
async fn clear(work: Work<'_>, stack: &FoundStack) -> Result<(), DeployError> {
    let mut watch = Watch::from_now(work.clients, work.progress, &stack.id).await?;
    let request = work.clients.cloudformation.delete_stack().stack_name(&stack.id);
    call("cloudformation:DeleteStack", request.send()).await?;
    watch.until_settled().await?;
    Ok(())
}

/// The deployment's tag and those that were asked for, for CloudFormation to put on everything.
fn tags(request: &Request) -> Vec<Tag> {
    let own = (DEPLOYMENT_TAG, request.name.as_str());
    let asked = request.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let asked = asked.filter(|(key, _)| *key != DEPLOYMENT_TAG);
    std::iter::once(own).chain(asked).map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
