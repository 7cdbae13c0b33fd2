//! Repositories.

use serde_json::{Value, json};

use super::{
    Existing, Failure, Provisioned, Request,
    properties::{self, Shape},
};

/// Source: the ECR API's limit for names.
const NAME_LENGTH_MAX: usize = 256;

const SHAPE: Shape = Shape { numbers: &[], flags: &["ScanOnPush"] };

const PROPERTIES: &[&str] = &[
    "EmptyOnDelete",
    "EncryptionConfiguration",
    "ImageScanningConfiguration",
    "ImageTagMutability",
    "LifecyclePolicy",
    "RepositoryName",
    "RepositoryPolicyText",
    "Tags",
];

pub(super) async fn create(request: &Request<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(PROPERTIES)?;
    let name = request.text("RepositoryName");
    // Unlike other generated names, a repository's has no capitals.
    let name = name.unwrap_or_else(|| request.generated_name(NAME_LENGTH_MAX).to_lowercase());
    let wanted = properties::typed(request.properties, &SHAPE);
    let created = ["EncryptionConfiguration", "ImageScanningConfiguration", "ImageTagMutability"];
    let mut input = properties::camel_case(&properties::pick(&wanted, &created), &[]);
    properties::set(&mut input, "repositoryName", name.as_str());
    properties::set(&mut input, "tags", request.tag_pairs());
    let repository = request.call("ecr", "CreateRepository", input).await?["repository"].take();
    (request.identify)(&name);
    configure(request, &name, &json!({})).await?;
    let attributes =
        [("Arn", repository["repositoryArn"].clone()), ("RepositoryUri", repository["repositoryUri"].clone())];
    Ok(Provisioned::new(name, attributes))
}

pub(super) async fn update(request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    request.refuse_unsupported(PROPERTIES)?;
    let name = existing.physical_id;
    let wanted = properties::typed(request.properties, &SHAPE);
    let calls = [
        ("ImageTagMutability", "PutImageTagMutability"),
        ("ImageScanningConfiguration", "PutImageScanningConfiguration"),
    ];
    for (property, operation) in calls {
        if request.changes(existing, property) {
            let mut input = properties::camel_case(&properties::pick(&wanted, &[property]), &[]);
            properties::set(&mut input, "repositoryName", name);
            request.call("ecr", operation, input).await?;
        }
    }
    configure(request, name, existing.properties).await?;
    Ok(existing.unchanged())
}

pub(super) async fn delete(request: &Request<'_>, name: &str) -> Result<(), Failure> {
    let force = properties::flag(request.properties, "EmptyOnDelete");
    request.call("ecr", "DeleteRepository", json!({ "repositoryName": name, "force": force })).await?;
    Ok(())
}

/// The policies, which have calls of their own.
async fn configure(request: &Request<'_>, name: &str, before: &Value) -> Result<(), Failure> {
    let lifecycle = |properties: &Value| properties::text(&properties["LifecyclePolicy"], "LifecyclePolicyText");
    let wanted = lifecycle(request.properties);
    if wanted != lifecycle(before) {
        let (operation, input) = match wanted {
            Some(text) => ("PutLifecyclePolicy", json!({ "repositoryName": name, "lifecyclePolicyText": text })),
            None => ("DeleteLifecyclePolicy", json!({ "repositoryName": name })),
        };
        request.call("ecr", operation, input).await?;
    }
    let wanted = &request.properties["RepositoryPolicyText"];
    if !properties::same(wanted, &before["RepositoryPolicyText"]) {
        let (operation, input) = match wanted {
            Value::Null => ("DeleteRepositoryPolicy", json!({ "repositoryName": name })),
            policy => ("SetRepositoryPolicy", json!({ "repositoryName": name, "policyText": policy.to_string() })),
        };
        request.call("ecr", operation, input).await?;
    }
    Ok(())
}
