//! A push through ECR's own API calls: no docker, no registry protocol, no other credentials.

use aws_sdk_ecr::{
    primitives::Blob as Body,
    types::{LayerAvailability, LayerFailureCode},
};

use super::{Blob, Digest, Image, MANIFEST_TYPE};
use crate::{
    call::{CallError, call, required},
    clients::Clients,
    limits::LAYER_PART_BYTES,
};

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of blobs that the repository did not have yet.
    pub uploaded: u64,
}

/// Why an image is not in its repository.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("repository {repository} cannot say whether it has {digest}: {reason}")]
    Unavailable { repository: String, digest: Digest, reason: String },
    #[error("repository {repository} holds another image under the tag {tag}: empty the repository")]
    TagTaken { repository: String, tag: String },
}

/// Pushes `image` to `repository`, sending only what it lacks. An image that is already there is a success.
///
/// # Errors
/// When ECR refuses a part, or the repository is gone.
pub async fn push(clients: &Clients, repository: &str, image: &Image) -> Result<Pushed, PushError> {
    let mut uploaded = 0;
    for blob in [&image.layer, &image.config] {
        if !has(clients, repository, &blob.digest).await? {
            upload(clients, repository, blob).await?;
            uploaded += blob.bytes.len() as u64;
        }
    }
    put(clients, repository, image).await?;
    Ok(Pushed { uploaded })
}

async fn has(clients: &Clients, repository: &str, digest: &Digest) -> Result<bool, PushError> {
    let request =
        clients.ecr.batch_check_layer_availability().repository_name(repository).layer_digests(digest.as_str());
    let answer = call("ecr:BatchCheckLayerAvailability", request.send()).await?;
    if let Some(layer) = answer.layers().first() {
        return Ok(layer.layer_availability() == Some(&LayerAvailability::Available));
    }
    match answer.failures().first() {
        Some(failure) if failure.failure_code() != Some(&LayerFailureCode::MissingLayerDigest) => {
            Err(PushError::Unavailable {
                repository: repository.to_owned(),
                digest: digest.clone(),
                reason: failure.failure_reason().unwrap_or("no reason given").to_owned(),
            })
        }
        _ => Ok(false),
    }
}

async fn upload(clients: &Clients, repository: &str, blob: &Blob) -> Result<(), PushError> {
    let started =
        call("ecr:InitiateLayerUpload", clients.ecr.initiate_layer_upload().repository_name(repository).send()).await?;
    let id = required(started.upload_id, "ecr:InitiateLayerUpload", "uploadId")?;
    let part_bytes = started
        .part_size
        .and_then(|size| usize::try_from(size).ok())
        .map_or(LAYER_PART_BYTES, |size| size.clamp(1, LAYER_PART_BYTES));
    let mut first = 0;
    for part in blob.bytes.chunks(part_bytes) {
        let last = first + part.len() as i64 - 1;
        let request = clients
            .ecr
            .upload_layer_part()
            .repository_name(repository)
            .upload_id(&id)
            .part_first_byte(first)
            .part_last_byte(last)
            .layer_part_blob(Body::new(part));
        call("ecr:UploadLayerPart", request.send()).await?;
        first = last + 1;
    }
    let request = clients
        .ecr
        .complete_layer_upload()
        .repository_name(repository)
        .upload_id(&id)
        .layer_digests(blob.digest.as_str());
    match call("ecr:CompleteLayerUpload", request.send()).await {
        // Somebody else completed the same blob meanwhile.
        Err(error) if error.is(&["LayerAlreadyExistsException"]) => Ok(()),
        completed => completed.map(drop).map_err(PushError::from),
    }
}

async fn put(clients: &Clients, repository: &str, image: &Image) -> Result<(), PushError> {
    let tag = image.digest().tag();
    let request = clients
        .ecr
        .put_image()
        .repository_name(repository)
        .image_manifest(String::from_utf8_lossy(&image.manifest.bytes))
        .image_manifest_media_type(MANIFEST_TYPE)
        .image_digest(image.digest().as_str())
        .image_tag(tag);
    match call("ecr:PutImage", request.send()).await {
        Err(error) if error.is(&["ImageAlreadyExistsException"]) => Ok(()),
        Err(error) if error.is(&["ImageTagAlreadyExistsException"]) => {
            Err(PushError::TagTaken { repository: repository.to_owned(), tag: tag.to_owned() })
        }
        put => put.map(drop).map_err(PushError::from),
    }
}
