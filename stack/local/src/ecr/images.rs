//! The calls about images.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{
    Ecr, digest, invalid,
    manifest::{Manifest, OCI_MANIFEST},
    repository::{Image, ImageId, Missing, Repository},
};

/// The largest manifest (API reference of `PutImage`).
const MANIFEST_BYTES_MAX: usize = 4_194_304;

/// How many images one batch may name (API references of `BatchDeleteImage` and `BatchGetImage`).
const BATCH_MAX: usize = 100;

/// Default page of `DescribeImages` and `ListImages`, and the maximum (API reference).
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutImage {
    repository_name: String,
    image_manifest: String,
    image_manifest_media_type: Option<String>,
    image_tag: Option<String>,
    image_digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Images {
    repository_name: String,
    #[serde(default)]
    image_ids: Vec<ImageId>,
    #[serde(default)]
    filter: Filter,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    tag_status: Option<String>,
}

impl Filter {
    fn wants(&self, has_tag: bool) -> bool {
        match self.tag_status.as_deref() {
            Some("TAGGED") => has_tag,
            Some("UNTAGGED") => !has_tag,
            _ => true,
        }
    }
}

impl Ecr {
    pub(super) fn put_image(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: PutImage = call.input()?;
        let name = input.repository_name.clone();
        let digest = digest(input.image_manifest.as_bytes());
        let image = self.image(&input, &digest)?;
        self.with(&name, |repository| {
            check_references(repository, &image.manifest)?;
            let is_new = !repository.images.contains_key(&digest);
            let tagged = input.image_tag.as_ref().and_then(|tag| repository.digests_by_tag.get(tag));
            match (&input.image_tag, tagged) {
                (Some(tag), Some(other)) if *other != digest && repository.is_immutable() => {
                    let message = format!(
                        "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten \
                         because the repository is immutable."
                    );
                    return Err(AwsError::new("ImageTagAlreadyExistsException", message));
                }
                (Some(_), Some(same)) if *same == digest => return Err(exists(&input.image_tag, &digest, &name)),
                (None, _) if !is_new => return Err(exists(&input.image_tag, &digest, &name)),
                _ => {}
            }
            let described = self.describe_image(&name, &digest, input.image_tag.as_deref(), &image);
            repository.images.entry(digest.clone()).or_insert(image);
            if let Some(tag) = input.image_tag {
                repository.digests_by_tag.insert(tag, digest);
            }
            Reply::json(&json!({ "image": described }))
        })
    }

    fn image(&self, input: &PutImage, digest: &str) -> Result<Image, AwsError> {
        if input.image_manifest.len() > MANIFEST_BYTES_MAX {
            return Err(invalid("Invalid parameter at 'ImageManifest': it is larger than 4 MiB"));
        }
        if input.image_digest.as_ref().is_some_and(|stated| stated != digest) {
            let message = format!("The manifest has the digest {digest}");
            return Err(AwsError::new("ImageDigestDoesNotMatchException", message));
        }
        let manifest: Manifest = serde_json::from_str(&input.image_manifest)
            .map_err(|error| invalid(format!("Invalid parameter at 'ImageManifest': {error}")))?;
        let media_type = input.image_manifest_media_type.clone().or_else(|| manifest.media_type.clone());
        Ok(Image {
            text: input.image_manifest.clone(),
            media_type: media_type.unwrap_or_else(|| OCI_MANIFEST.to_owned()),
            manifest,
            pushed_at: self.context.clock.now_seconds(),
        })
    }

    pub(super) fn batch_get_image(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: Images = call.input()?;
        check_batch(&input.image_ids)?;
        self.with(&input.repository_name, |repository| {
            let (mut images, mut failures) = (Vec::new(), Vec::new());
            for id in &input.image_ids {
                match repository.resolve(id).map(|digest| (repository.images.get(&digest), digest)) {
                    Ok((Some(image), digest)) => {
                        let tag = id.image_tag.as_deref();
                        images.push(self.describe_image(&input.repository_name, &digest, tag, image));
                    }
                    Ok((None, _)) => {}
                    Err(missing) => failures.push(failure(id, missing)),
                }
            }
            Reply::json(&json!({ "images": images, "failures": failures }))
        })
    }

    pub(super) fn describe_images(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: Images = call.input()?;
        self.with(&input.repository_name, |repository| {
            let digests = if input.image_ids.is_empty() {
                let wants = |digest: &&String| input.filter.wants(repository.tags_of(digest).next().is_some());
                repository.images.keys().filter(wants).cloned().collect()
            } else {
                self.resolve_all(repository, &input)?
            };
            let limit = input.max_results.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
            let (digests, next) = page(digests, String::clone, input.next_token.as_deref(), limit);
            let detail = |digest: &String| {
                let image = repository.images.get(digest)?;
                let tags: Vec<&str> = repository.tags_of(digest).collect();
                Some(json!({
                    "registryId": self.context.identity.account,
                    "repositoryName": input.repository_name,
                    "imageDigest": digest,
                    "imageTags": (!tags.is_empty()).then_some(tags),
                    "imageSizeInBytes": image.manifest.layers.iter().map(|layer| layer.size).sum::<u64>(),
                    "imagePushedAt": image.pushed_at,
                    "imageManifestMediaType": image.media_type,
                    "artifactMediaType": image.manifest.artifact_media_type(),
                }))
            };
            let details: Vec<Value> = digests.iter().filter_map(detail).collect();
            Reply::json(&json!({ "imageDetails": details, "nextToken": next }))
        })
    }

    fn resolve_all(&self, repository: &Repository, input: &Images) -> Result<Vec<String>, AwsError> {
        let missing = |id: &ImageId| {
            let message = format!(
                "The image with imageId {} does not exist within the repository with name '{}' in the registry with \
                 id '{}'",
                json!(id),
                input.repository_name,
                self.context.identity.account
            );
            AwsError::new("ImageNotFoundException", message)
        };
        input.image_ids.iter().map(|id| repository.resolve(id).map_err(|_| missing(id))).collect()
    }

    pub(super) fn list_images(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: Images = call.input()?;
        self.with(&input.repository_name, |repository| {
            let ids = repository.ids().into_iter().filter(|id| input.filter.wants(id.image_tag.is_some())).collect();
            let limit = input.max_results.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
            let key = |id: &ImageId| {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                format!("{} {}", part(&id.image_digest), part(&id.image_tag))
            };
            let (ids, next) = page(ids, key, input.next_token.as_deref(), limit);
            Reply::json(&json!({ "imageIds": ids, "nextToken": next }))
        })
    }

    pub(super) fn batch_delete_image(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: Images = call.input()?;
        check_batch(&input.image_ids)?;
        self.with(&input.repository_name, |repository| {
            let (mut deleted, mut failures) = (Vec::new(), Vec::new());
            for id in &input.image_ids {
                match repository.remove(id) {
                    Ok(ids) => deleted.extend(ids),
                    // Named twice in one batch, once by digest and once by tag: gone with the first.
                    Err(_) if deleted.iter().any(|gone: &ImageId| is_covered(id, gone)) => {}
                    Err(missing) => failures.push(failure(id, missing)),
                }
            }
            Reply::json(&json!({ "imageIds": deleted, "failures": failures }))
        })
    }

    fn describe_image(&self, repository: &str, digest: &str, tag: Option<&str>, image: &Image) -> Value {
        json!({
            "registryId": self.context.identity.account,
            "repositoryName": repository,
            "imageId": ImageId::new(digest, tag),
            "imageManifest": image.text,
            "imageManifestMediaType": image.media_type,
        })
    }
}

fn check_batch(ids: &[ImageId]) -> Result<(), AwsError> {
    if (1..=BATCH_MAX).contains(&ids.len()) {
        return Ok(());
    }
    Err(invalid(format!("Invalid parameter at 'imageIds': a batch names 1 to {BATCH_MAX} images, not {}", ids.len())))
}

/// Everything that a manifest refers to has to be in the repository already.
fn check_references(repository: &Repository, manifest: &Manifest) -> Result<(), AwsError> {
    let missing: Vec<&str> = manifest
        .blobs()
        .map(|blob| blob.digest.as_str())
        .filter(|digest| !repository.blobs.contains_key(*digest))
        .collect();
    if !missing.is_empty() {
        let message = format!("Layers with digests '{missing:?}' required for pushing image do not exist");
        return Err(AwsError::new("LayersNotFoundException", message));
    }
    match manifest.manifests.iter().find(|image| !repository.images.contains_key(&image.digest)) {
        Some(missing) => Err(AwsError::new(
            "ReferencedImagesNotFoundException",
            format!("The referenced image {} does not exist", missing.digest),
        )),
        None => Ok(()),
    }
}

fn exists(tag: &Option<String>, digest: &str, name: &str) -> AwsError {
    let tag = tag.as_deref().unwrap_or("null");
    let message =
        format!("Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}'");
    AwsError::new("ImageAlreadyExistsException", message)
}

fn failure(id: &ImageId, (code, reason): Missing) -> Value {
    json!({ "imageId": id, "failureCode": code, "failureReason": reason })
}

fn is_covered(id: &ImageId, gone: &ImageId) -> bool {
    (id.image_digest.is_none() || id.image_digest == gone.image_digest)
        && (id.image_tag.is_none() || id.image_tag == gone.image_tag)
}
