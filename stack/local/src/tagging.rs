//! Resource Groups Tagging API: find resources of every service by tag.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cloud::Context,
    page::page,
    service::{AwsError, Call, Reply},
};

/// Default and maximum page of `GetResources` (API reference).
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// The page of `GetTagKeys` and `GetTagValues`: more than one machine has.
const PAGE_NAMES: usize = 1_000;

/// Tags by ARN.
type Resources = BTreeMap<String, BTreeMap<String, String>>;

/// Resource Groups Tagging API: find resources of every service by tag.
pub struct Tagging {
    context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetResources {
    #[serde(default)]
    tag_filters: Vec<TagFilter>,
    #[serde(default)]
    resource_type_filters: Vec<String>,
    #[serde(default, rename = "ResourceARNList")]
    resource_arn_list: Vec<String>,
    resources_per_page: Option<usize>,
    pagination_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagFilter {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetTagNames {
    key: Option<String>,
    pagination_token: Option<String>,
}

impl GetResources {
    /// Every key must be there, with any one of its values; any one of the types; any one of the ARNs.
    fn wants(&self, arn: &str, tags: &BTreeMap<String, String>) -> bool {
        let has = |filter: &TagFilter| {
            tags.get(&filter.key).is_some_and(|value| filter.values.is_empty() || filter.values.contains(value))
        };
        let is_any = |list: &[String], matches: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(matches);
        self.tag_filters.iter().all(has)
            && is_any(&self.resource_type_filters, &|wanted| is_of_type(arn, wanted))
            && is_any(&self.resource_arn_list, &|wanted| wanted == arn)
    }
}

/// Whether an ARN is of a type such as `ecs` or `ecs:service`.
fn is_of_type(arn: &str, wanted: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    match wanted.split_once(':') {
        None => service == wanted,
        Some((wanted_service, wanted_type)) => {
            let is_type = |rest: &str| rest.starts_with(['/', ':']);
            service == wanted_service && resource.strip_prefix(wanted_type).is_some_and(is_type)
        }
    }
}

impl Tagging {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "GetResources" => self.get_resources(&call).await,
            "GetTagKeys" | "GetTagValues" => self.get_tag_names(&call).await,
            other => Err(AwsError::not_implemented("tagging", other)),
        }
    }

    async fn get_resources(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: GetResources = call.input()?;
        let resources = self.resources().await?;
        let wanted = resources.into_iter().filter(|(arn, tags)| input.wants(arn, tags)).collect();
        let limit = input.resources_per_page.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let token = input.pagination_token.as_deref().filter(|token| !token.is_empty());
        let (wanted, next) = page(wanted, |(arn, _)| arn.clone(), token, limit);
        let mapping = |(arn, tags): (String, BTreeMap<String, String>)| {
            let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            json!({ "ResourceARN": arn, "Tags": tags })
        };
        let mappings: Vec<Value> = wanted.into_iter().map(mapping).collect();
        Reply::json(&json!({ "PaginationToken": next.unwrap_or_default(), "ResourceTagMappingList": mappings }))
    }

    /// The keys in use, or the values of one key.
    async fn get_tag_names(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: GetTagNames = call.input()?;
        let resources = self.resources().await?;
        let tags = resources.into_values().flatten();
        let (member, names): (_, BTreeSet<String>) = match input.key {
            None => ("TagKeys", tags.map(|(key, _)| key).collect()),
            Some(wanted) => ("TagValues", tags.filter(|(key, _)| *key == wanted).map(|(_, value)| value).collect()),
        };
        let token = input.pagination_token.as_deref().filter(|token| !token.is_empty());
        let (names, next) = page(names.into_iter().collect(), String::clone, token, PAGE_NAMES);
        Reply::json(&json!({ "PaginationToken": next.unwrap_or_default(), member: names }))
    }

    /// Every resource with tags.
    async fn resources(&self) -> Result<Resources, AwsError> {
        let services = self.context.peers.services()?;
        let mut resources: Resources = services.dynamodb.tagged_resources().await?.into_iter().collect();
        resources.extend(services.kinesis.tagged_resources());
        resources.extend(services.ecs.tagged_resources());
        resources.extend(services.cloudwatch.tagged_resources());
        resources.extend(services.logs.tagged_resources());
        resources.extend(services.ecr.tagged_resources());
        resources.extend(services.cloudformation.tagged_resources());
        resources.extend(services.balancer.tagged_resources());
        resources.retain(|_, tags| !tags.is_empty());
        Ok(resources)
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_type;

    #[test]
    fn types_are_read_off_arns() {
        let service = "arn:aws:ecs:eu-central-1:000000000000:service/weir/weir-producer";
        let group = "arn:aws:logs:eu-central-1:000000000000:log-group:/weir/weir/consumer";
        assert!(is_of_type(service, "ecs") && is_of_type(service, "ecs:service"));
        assert!(!is_of_type(service, "ecs:serv") && !is_of_type(service, "ecs:task") && !is_of_type(service, "ecr"));
        assert!(is_of_type(group, "logs:log-group") && !is_of_type("", "logs"));
    }
}
