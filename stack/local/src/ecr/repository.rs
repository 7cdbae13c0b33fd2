//! A repository: images by digest, tags that point to them, and the blobs they are made of.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::Manifest;

/// An image as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Byte for byte: its digest is its name.
    pub(super) text: String,
    pub(super) media_type: String,
    pub(super) manifest: Manifest,
    /// Seconds since the Unix epoch.
    pub(super) pushed_at: f64,
}

/// How a request names an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageId {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_tag: Option<String>,
}

impl ImageId {
    pub(super) fn new(digest: &str, tag: Option<&str>) -> Self {
        Self { image_digest: Some(digest.to_owned()), image_tag: tag.map(str::to_owned) }
    }
}

/// Why an image is not found: ECR's failure code and reason.
pub(super) type Missing = (&'static str, &'static str);

/// A repository.
#[derive(Debug, Default)]
pub(super) struct Repository {
    /// Seconds since the Unix epoch.
    pub(super) created_at: f64,
    /// `imageTagMutability`, `imageScanningConfiguration` and `encryptionConfiguration`, as they were given.
    pub(super) options: serde_json::Map<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) lifecycle_policy: Option<String>,
    pub(super) access_policy: Option<String>,
    pub(super) images: BTreeMap<String, Image>,
    pub(super) digests_by_tag: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Bytes>,
    pub(super) uploads: HashMap<String, Vec<u8>>,
}

impl Repository {
    pub(super) fn is_immutable(&self) -> bool {
        self.options.get("imageTagMutability").is_some_and(|mutability| mutability == "IMMUTABLE")
    }

    /// The digest that an id names.
    pub(super) fn resolve(&self, id: &ImageId) -> Result<String, Missing> {
        const NOT_FOUND: Missing = ("ImageNotFound", "Requested image not found");
        match (&id.image_digest, &id.image_tag) {
            (None, None) => {
                Err(("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"))
            }
            (Some(digest), None) => self.images.contains_key(digest).then(|| digest.clone()).ok_or(NOT_FOUND),
            (None, Some(tag)) => self.digests_by_tag.get(tag).cloned().ok_or(NOT_FOUND),
            (Some(digest), Some(tag)) => match self.digests_by_tag.get(tag) {
                None => Err(NOT_FOUND),
                Some(tagged) if tagged == digest => Ok(tagged.clone()),
                Some(_) => Err(("ImageTagDoesNotMatchDigest", "The tag does not point to the image of the digest")),
            },
        }
    }

    pub(super) fn tags_of<'a>(&'a self, digest: &'a str) -> impl Iterator<Item = &'a str> {
        self.digests_by_tag.iter().filter(move |(_, tagged)| *tagged == digest).map(|(tag, _)| tag.as_str())
    }

    /// Every tag with its digest, and every digest without a tag.
    pub(super) fn ids(&self) -> Vec<ImageId> {
        let ids_of = |digest: &String| {
            let mut ids: Vec<ImageId> = self.tags_of(digest).map(|tag| ImageId::new(digest, Some(tag))).collect();
            if ids.is_empty() {
                ids.push(ImageId::new(digest, None));
            }
            ids
        };
        self.images.keys().flat_map(ids_of).collect()
    }

    /// Removes what an id names: an image with all its tags by digest; a tag by tag, and the image with its last tag.
    pub(super) fn remove(&mut self, id: &ImageId) -> Result<Vec<ImageId>, Missing> {
        let digest = self.resolve(id)?;
        let tags: Vec<String> = match (&id.image_digest, &id.image_tag) {
            (None, Some(tag)) => vec![tag.clone()],
            _ => self.tags_of(&digest).map(str::to_owned).collect(),
        };
        for tag in &tags {
            self.digests_by_tag.remove(tag);
        }
        if self.tags_of(&digest).next().is_none() {
            self.remove_image(&digest);
        }
        if tags.is_empty() {
            return Ok(vec![ImageId::new(&digest, None)]);
        }
        Ok(tags.iter().map(|tag| ImageId::new(&digest, Some(tag))).collect())
    }

    /// Removes an image and those of its blobs that no other image needs.
    fn remove_image(&mut self, digest: &str) {
        let Some(removed) = self.images.remove(digest) else { return };
        for blob in removed.manifest.blobs() {
            let is_needed =
                self.images.values().any(|image| image.manifest.blobs().any(|other| other.digest == blob.digest));
            if !is_needed {
                self.blobs.remove(&blob.digest);
            }
        }
    }

    /// How many bytes are kept for this repository.
    pub(super) fn bytes(&self) -> usize {
        self.blobs.values().map(Bytes::len).sum::<usize>() + self.uploads.values().map(Vec::len).sum::<usize>()
    }
}
