//! The calls that upload layers and configurations.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::service::{AwsError, Call, Reply};

use super::{Ecr, digest, invalid, repository::Repository};

/// The part size that ECR asks for, and the largest part it takes (API reference of `UploadLayerPart`).
const PART_BYTES: usize = 10 << 20;
const PART_BYTES_MAX: usize = 20 << 20;

/// How much all repositories together keep in memory. Images of one machine have empty layers; this is room for a few
/// real ones.
const BLOB_BYTES_MAX: usize = 512 << 20;

/// How many uploads of one repository may be open at once; a push has one for each layer.
const UPLOADS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiateLayerUpload {
    repository_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UploadLayerPart {
    repository_name: String,
    upload_id: String,
    part_first_byte: usize,
    part_last_byte: usize,
    layer_part_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompleteLayerUpload {
    repository_name: String,
    upload_id: String,
    layer_digests: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchCheckLayerAvailability {
    repository_name: String,
    layer_digests: Vec<String>,
}

impl Ecr {
    pub(super) fn initiate_layer_upload(&self, call: &Call) -> Result<Reply, AwsError> {
        let InitiateLayerUpload { repository_name } = call.input()?;
        let upload_id = Uuid::new_v4().to_string();
        self.with(&repository_name, |repository| {
            if repository.uploads.len() >= UPLOADS_MAX {
                let message = format!("'{repository_name}' has {UPLOADS_MAX} uploads open already");
                return Err(AwsError::new("LimitExceededException", message));
            }
            repository.uploads.insert(upload_id.clone(), Vec::new());
            Reply::json(&json!({ "uploadId": upload_id, "partSize": PART_BYTES }))
        })
    }

    pub(super) fn upload_layer_part(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: UploadLayerPart = call.input()?;
        let part = BASE64_STANDARD.decode(&input.layer_part_blob).map_err(|error| invalid(error.to_string()))?;
        let kept: usize = self.lock().values().map(Repository::bytes).sum();
        if kept + part.len() > BLOB_BYTES_MAX {
            let message = format!("localcloud keeps at most {} MiB of layers in memory", BLOB_BYTES_MAX >> 20);
            return Err(AwsError::new("LimitExceededException", message));
        }
        self.with(&input.repository_name, |repository| {
            let received = repository.uploads.get_mut(&input.upload_id).ok_or_else(|| no_upload(&input.upload_id))?;
            let is_next = input.part_first_byte == received.len();
            let has_length = input.part_last_byte + 1 == input.part_first_byte + part.len();
            if !is_next || !has_length || part.len() > PART_BYTES_MAX {
                let mut error = AwsError::new(
                    "InvalidLayerPartException",
                    format!(
                        "The part {}..={} of {} bytes does not follow the {} bytes received, or is larger than {} bytes",
                        input.part_first_byte,
                        input.part_last_byte,
                        part.len(),
                        received.len(),
                        PART_BYTES_MAX
                    ),
                );
                error.members.insert("lastValidByteReceived".to_owned(), received.len().saturating_sub(1).into());
                return Err(error);
            }
            received.extend_from_slice(&part);
            Reply::json(&json!({
                "registryId": self.context.identity.account,
                "repositoryName": input.repository_name,
                "uploadId": input.upload_id,
                "lastByteReceived": input.part_last_byte,
            }))
        })
    }

    pub(super) fn complete_layer_upload(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: CompleteLayerUpload = call.input()?;
        self.with(&input.repository_name, |repository| {
            let received = repository.uploads.remove(&input.upload_id).ok_or_else(|| no_upload(&input.upload_id))?;
            if received.is_empty() {
                return Err(AwsError::new("EmptyUploadException", "The upload contains no parts"));
            }
            let actual = digest(&received);
            if !input.layer_digests.contains(&actual) {
                return Err(AwsError::new(
                    "InvalidLayerException",
                    format!("The uploaded layer has the digest {actual}, not one of {:?}", input.layer_digests),
                ));
            }
            if repository.blobs.contains_key(&actual) {
                return Err(AwsError::new(
                    "LayerAlreadyExistsException",
                    format!(
                        "Layer with digest '{actual}' already exists in the repository '{}'",
                        input.repository_name
                    ),
                ));
            }
            repository.blobs.insert(actual.clone(), received.into());
            Reply::json(&json!({
                "registryId": self.context.identity.account,
                "repositoryName": input.repository_name,
                "uploadId": input.upload_id,
                "layerDigest": actual,
            }))
        })
    }

    pub(super) fn batch_check_layer_availability(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: BatchCheckLayerAvailability = call.input()?;
        self.with(&input.repository_name, |repository| {
            let layers: Vec<Value> = input
                .layer_digests
                .iter()
                .map(|digest| match repository.blobs.get(digest) {
                    Some(blob) => json!({
                        "layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": blob.len(),
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    }),
                    None => json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }),
                })
                .collect();
            Reply::json(&json!({ "layers": layers, "failures": [] }))
        })
    }
}

fn no_upload(id: &str) -> AwsError {
    AwsError::new("UploadNotFoundException", format!("Upload with id '{id}' cannot be found"))
}
