//! The calls about repositories.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{Ecr, invalid, repository::Repository};

/// How long an authorization token is valid (API reference of `GetAuthorizationToken`).
const TOKEN_SECONDS: f64 = 12.0 * 3_600.0;

/// Default page of `DescribeRepositories`, and the maximum (API reference).
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateRepository {
    repository_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
    image_tag_mutability: Option<Value>,
    image_scanning_configuration: Option<Value>,
    encryption_configuration: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeRepositories {
    #[serde(default)]
    repository_names: Vec<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteRepository {
    repository_name: String,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagResource {
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Ecr {
    pub(super) fn create_repository(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: CreateRepository = call.input()?;
        let name = input.repository_name;
        if !is_name(&name) {
            return Err(invalid(format!("Invalid parameter at 'repositoryName': {name:?} is not a repository name")));
        }
        let mut options = Map::new();
        let mutability = input.image_tag_mutability.unwrap_or_else(|| "MUTABLE".into());
        let scanning = input.image_scanning_configuration.unwrap_or_else(|| json!({ "scanOnPush": false }));
        let encryption = input.encryption_configuration.unwrap_or_else(|| json!({ "encryptionType": "AES256" }));
        options.insert("imageTagMutability".to_owned(), mutability);
        options.insert("imageScanningConfiguration".to_owned(), scanning);
        options.insert("encryptionConfiguration".to_owned(), encryption);
        let mut repositories = self.lock();
        if repositories.contains_key(&name) {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                self.context.identity.account
            );
            return Err(AwsError::new("RepositoryAlreadyExistsException", message));
        }
        let created_at = self.context.clock.now_seconds();
        let repository = Repository { created_at, options, tags: tags(input.tags), ..Repository::default() };
        let described = self.describe(&name, &repository);
        repositories.insert(name, repository);
        Reply::json(&json!({ "repository": described }))
    }

    pub(super) fn describe_repositories(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DescribeRepositories = call.input()?;
        let repositories = self.lock();
        if let Some(missing) = input.repository_names.iter().find(|name| !repositories.contains_key(*name)) {
            return Err(self.no_repository(missing));
        }
        let names = &input.repository_names;
        let wanted = repositories.iter().filter(|(name, _)| names.is_empty() || names.contains(name)).collect();
        let limit = input.max_results.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let (wanted, next) = page(wanted, |(name, _)| (*name).clone(), input.next_token.as_deref(), limit);
        let described: Vec<Value> = wanted.iter().map(|(name, repository)| self.describe(name, repository)).collect();
        Reply::json(&json!({ "repositories": described, "nextToken": next }))
    }

    pub(super) fn delete_repository(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DeleteRepository = call.input()?;
        let name = input.repository_name;
        let mut repositories = self.lock();
        let repository = repositories.get(&name).ok_or_else(|| self.no_repository(&name))?;
        if !repository.images.is_empty() && !input.force {
            let message = format!(
                "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still \
                 contains images",
                self.context.identity.account
            );
            return Err(AwsError::new("RepositoryNotEmptyException", message));
        }
        let described = self.describe(&name, repository);
        repositories.remove(&name);
        Reply::json(&json!({ "repository": described }))
    }

    /// Changes one of the options that a repository was created with, and answers with it.
    pub(super) fn put_option(&self, call: &Call, option: &str) -> Result<Reply, AwsError> {
        let mut input: Map<String, Value> = call.input()?;
        let name = input.get("repositoryName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = input.remove(option).ok_or_else(|| invalid(format!("Invalid parameter: {option} is missing")))?;
        self.with(&name, |repository| {
            repository.options.insert(option.to_owned(), value.clone());
            Reply::json(&json!({
                "registryId": self.context.identity.account, "repositoryName": name, option: value,
            }))
        })
    }

    pub(super) fn tag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        self.with(name_of_arn(&input.resource_arn), |repository| {
            repository.tags.extend(tags(input.tags));
            Ok(Reply::empty())
        })
    }

    pub(super) fn untag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        self.with(name_of_arn(&input.resource_arn), |repository| {
            repository.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(Reply::empty())
        })
    }

    pub(super) fn list_tags_for_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        self.with(name_of_arn(&input.resource_arn), |repository| {
            let tags: Vec<Value> =
                repository.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            Reply::json(&json!({ "tags": tags }))
        })
    }

    /// A token of the right form. Nothing here asks for one: images are pushed through the API.
    pub(super) fn get_authorization_token(&self) -> Result<Reply, AwsError> {
        let expires_at = self.context.clock.now_seconds() + TOKEN_SECONDS;
        Reply::json(&json!({ "authorizationData": [{
            "authorizationToken": BASE64_STANDARD.encode("AWS:localcloud"),
            "expiresAt": expires_at,
            "proxyEndpoint": format!("https://{}", self.host()),
        }]}))
    }

    fn describe(&self, name: &str, repository: &Repository) -> Value {
        let mut described = repository.options.clone();
        described.insert("repositoryArn".to_owned(), self.arn(name).into());
        described.insert("registryId".to_owned(), self.context.identity.account.as_str().into());
        described.insert("repositoryName".to_owned(), name.into());
        described.insert("repositoryUri".to_owned(), self.uri(name).into());
        described.insert("createdAt".to_owned(), repository.created_at.into());
        described.into()
    }
}

fn tags(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|Tag { key, value }| (key, value)).collect()
}

fn name_of_arn(arn: &str) -> &str {
    arn.split_once(":repository/").map_or(arn, |(_, name)| name)
}

/// Lower-case words joined by `.`, `_`, `-` and `/`, 2 to 256 characters (API reference of `CreateRepository`).
fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_word) && part.ends_with(is_word) && part.chars().all(|c| is_word(c) || "._-".contains(c))
    };
    (2..=256).contains(&name.len()) && name.split('/').all(is_part)
}
