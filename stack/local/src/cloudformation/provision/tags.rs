//! Tags: merging the stack's with a resource's own, and changing them on what exists.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Existing, Failure, Kind, Request, properties};

pub(crate) type Tags = BTreeMap<String, String>;

/// How a service's tagging calls want their input.
struct Api {
    service: &'static str,
    tag: &'static str,
    untag: &'static str,
    /// The member that names the resource, and whether it is a list.
    resource: (&'static str, bool),
    /// The members that hold the tags and the keys.
    members: (&'static str, &'static str),
    form: Form,
}

enum Form {
    Map,
    Pairs,
    LowerCasePairs,
}

/// The stack's tags under the resource's own, which win.
pub(crate) fn merged(stack: &Tags, properties: &Value) -> Tags {
    let mut tags = stack.clone();
    for tag in properties["Tags"].as_array().into_iter().flatten() {
        if let Some(key) = properties::text(tag, "Key") {
            tags.insert(key, properties::text(tag, "Value").unwrap_or_default());
        }
    }
    tags
}

/// Makes the resource's tags those of the request.
pub(super) async fn apply(kind: Kind, request: &Request<'_>, existing: &Existing<'_>) -> Result<(), Failure> {
    let Some(api) = api(kind) else { return Ok(()) };
    let arn = existing.attributes.get("Arn").and_then(Value::as_str).unwrap_or(existing.physical_id);
    // CloudFormation's ARN of a log group ends in a wildcard, which the tagging calls refuse.
    let arn = arn.trim_end_matches(":*");
    let (member, list) = api.resource;
    let resource = if list { json!([arn]) } else { json!(arn) };
    let added: Tags = request
        .tags
        .iter()
        .filter(|(key, value)| existing.tags.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !added.is_empty() {
        let input = json!({ member: resource, (api.members.0): api.form.write(&added) });
        request.call(api.service, api.tag, input).await?;
    }
    let removed: Vec<_> = existing.tags.keys().filter(|key| !request.tags.contains_key(*key)).collect();
    if !removed.is_empty() {
        let input = json!({ member: resource, (api.members.1): removed });
        request.call(api.service, api.untag, input).await?;
    }
    Ok(())
}

impl Form {
    fn write(&self, tags: &Tags) -> Value {
        let pairs = |key: &str, value: &str| tags.iter().map(|(k, v)| json!({ key: k, value: v })).collect();
        match self {
            Self::Map => json!(tags),
            Self::Pairs => pairs("Key", "Value"),
            Self::LowerCasePairs => pairs("key", "value"),
        }
    }
}

fn api(kind: Kind) -> Option<Api> {
    let standard = |service, resource, members, form| {
        Some(Api { service, tag: "TagResource", untag: "UntagResource", resource, members, form })
    };
    match kind {
        Kind::Stream => Some(Api {
            service: "kinesis",
            tag: "AddTagsToStream",
            untag: "RemoveTagsFromStream",
            resource: ("StreamARN", false),
            members: ("Tags", "TagKeys"),
            form: Form::Map,
        }),
        Kind::StreamConsumer => standard("kinesis", ("ResourceARN", false), ("Tags", "TagKeys"), Form::Map),
        Kind::Table => standard("dynamodb", ("ResourceArn", false), ("Tags", "TagKeys"), Form::Pairs),
        Kind::Repository => standard("ecr", ("resourceArn", false), ("tags", "tagKeys"), Form::Pairs),
        Kind::LogGroup => standard("logs", ("resourceArn", false), ("tags", "tagKeys"), Form::Map),
        Kind::Cluster | Kind::TaskDefinition | Kind::Service => {
            standard("ecs", ("resourceArn", false), ("tags", "tagKeys"), Form::LowerCasePairs)
        }
        Kind::LoadBalancer | Kind::TargetGroup | Kind::Listener => Some(Api {
            service: "elasticloadbalancing",
            tag: "AddTags",
            untag: "RemoveTags",
            resource: ("ResourceArns", true),
            members: ("Tags", "TagKeys"),
            form: Form::Pairs,
        }),
        Kind::Alarm => standard("monitoring", ("ResourceARN", false), ("Tags", "TagKeys"), Form::Pairs),
        Kind::Dashboard | Kind::Inert(_) => None,
    }
}
