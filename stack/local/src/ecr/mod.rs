//! ECR: repositories and images, pushed through ECR's own API. Layers are kept in memory.

mod images;
mod layers;
mod manifest;
mod policies;
mod repositories;
mod repository;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

pub(crate) use manifest::ImageConfig;
use manifest::{Configuration, digest};
use repository::{ImageId, Repository};

/// ECR: repositories and images.
pub struct Ecr {
    context: Context,
    repositories: Mutex<BTreeMap<String, Repository>>,
}

impl Ecr {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context, repositories: Mutex::default() })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "CreateRepository" => self.create_repository(&call),
            "DescribeRepositories" => self.describe_repositories(&call),
            "DeleteRepository" => self.delete_repository(&call),
            "PutImageTagMutability" => self.put_option(&call, "imageTagMutability"),
            "PutImageScanningConfiguration" => self.put_option(&call, "imageScanningConfiguration"),
            "PutLifecyclePolicy" => self.put_lifecycle_policy(&call),
            "GetLifecyclePolicy" => self.get_lifecycle_policy(&call),
            "DeleteLifecyclePolicy" => self.delete_lifecycle_policy(&call),
            "SetRepositoryPolicy" => self.set_repository_policy(&call),
            "GetRepositoryPolicy" => self.get_repository_policy(&call),
            "DeleteRepositoryPolicy" => self.delete_repository_policy(&call),
            "TagResource" => self.tag_resource(&call),
            "UntagResource" => self.untag_resource(&call),
            "ListTagsForResource" => self.list_tags_for_resource(&call),
            "GetAuthorizationToken" => self.get_authorization_token(),
            "InitiateLayerUpload" => self.initiate_layer_upload(&call),
            "UploadLayerPart" => self.upload_layer_part(&call),
            "CompleteLayerUpload" => self.complete_layer_upload(&call),
            "BatchCheckLayerAvailability" => self.batch_check_layer_availability(&call),
            "PutImage" => self.put_image(&call),
            "BatchGetImage" => self.batch_get_image(&call),
            "DescribeImages" => self.describe_images(&call),
            "ListImages" => self.list_images(&call),
            "BatchDeleteImage" => self.batch_delete_image(&call),
            other => Err(AwsError::not_implemented("ecr", other)),
        }
    }

    /// The configuration of an image, for the ECS runner. `repository` is a name, with or without the registry's host;
    /// `reference` is a tag or a `sha256:` digest.
    ///
    /// # Errors
    /// A sentence for a stopped task's reason, as ECS words it (`CannotPullContainerError: ...`).
    pub(crate) fn image_config(&self, repository: &str, reference: &str) -> Result<ImageConfig, String> {
        let cannot_pull = |why: &str| format!("CannotPullContainerError: {repository}:{reference}: {why}");
        let name = repository.strip_prefix(&self.uri("")).unwrap_or(repository);
        let repositories = self.lock();
        let repository = repositories.get(name).ok_or_else(|| cannot_pull("repository does not exist"))?;
        let id = if reference.starts_with("sha256:") {
            ImageId { image_digest: Some(reference.to_owned()), image_tag: None }
        } else {
            ImageId { image_digest: None, image_tag: Some(reference.to_owned()) }
        };
        let image = repository.resolve(&id).ok().and_then(|digest| repository.images.get(&digest));
        let image = image.ok_or_else(|| cannot_pull("not found"))?;
        let config = image.manifest.config.as_ref().and_then(|config| repository.blobs.get(&config.digest));
        let config = config.ok_or_else(|| cannot_pull("the image has no configuration"))?;
        let Configuration { config } = serde_json::from_slice(config)
            .map_err(|error| cannot_pull(&format!("the image's configuration cannot be read: {error}")))?;
        Ok(config)
    }

    /// ARN and tags of every repository.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.lock().iter().map(|(name, repository)| (self.arn(name), repository.tags.clone())).collect()
    }

    fn arn(&self, name: &str) -> String {
        self.context.identity.arn("ecr", &format!("repository/{name}"))
    }

    fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    fn host(&self) -> String {
        let identity = &self.context.identity;
        format!("{}.dkr.ecr.{}.amazonaws.com", identity.account, identity.region)
    }

    /// Locks the registry. No code panics between two halves of a change, so a poisoned lock still guards a whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Repository>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the repository of that name.
    fn with<T>(&self, name: &str, action: impl FnOnce(&mut Repository) -> Result<T, AwsError>) -> Result<T, AwsError> {
        let mut repositories = self.lock();
        action(repositories.get_mut(name).ok_or_else(|| self.no_repository(name))?)
    }

    fn no_repository(&self, name: &str) -> AwsError {
        let account = &self.context.identity.account;
        AwsError::new(
            "RepositoryNotFoundException",
            format!("The repository with name '{name}' does not exist in the registry with id '{account}'"),
        )
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalCloud, Settings, ecr::repository::Image};

    #[tokio::test]
    async fn a_runner_finds_the_configuration_by_tag_and_by_digest() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let ecr = cloud.services().ecr.clone();
        let config = br#"{"config":{"Entrypoint":["ctl"],"Labels":{"weir.host-process":"true"}}}"#;
        let text = format!(r#"{{"config":{{"digest":"{}"}}}}"#, digest(config));
        let image = Image {
            manifest: serde_json::from_str(&text).unwrap(),
            media_type: String::new(),
            pushed_at: 0.0,
            text: text.clone(),
        };
        let of_image = digest(text.as_bytes());
        let mut repository = Repository::default();
        repository.blobs.insert(digest(config), config.to_vec().into());
        repository.images.insert(of_image.clone(), image);
        repository.digests_by_tag.insert("v1".to_owned(), of_image.clone());
        ecr.lock().insert("weir/producer".to_owned(), repository);
        for (repository, reference) in
            [("weir/producer", "v1"), ("weir/producer", of_image.as_str()), (ecr.uri("weir/producer").as_str(), "v1")]
        {
            let found = ecr.image_config(repository, reference).unwrap();
            assert_eq!(
                (found.entrypoint, found.labels["weir.host-process"].as_str()),
                (vec!["ctl".to_owned()], "true")
            );
        }
        for (repository, reference) in [("weir/producer", "v2"), ("weir/consumer", "v1")] {
            let refused = ecr.image_config(repository, reference).unwrap_err();
            assert!(refused.starts_with("CannotPullContainerError: "), "{refused}");
        }
        cloud.stop().await;
    }
}
