//! What a stack is to be made from: template, parameters, tags and capabilities of a call.

use std::sync::Arc;

use crate::{
    cloudformation::{
        CloudFormation,
        input::Input,
        provision::resource_type,
        stacks::Source,
        template::{Bound, Given, Pseudo, Template, TemplateError},
    },
    service::AwsError,
};

/// Source: the AWS quota "Template body size in a request".
const TEMPLATE_BYTES_MAX: usize = 51_200;

/// Source: the AWS quota on tags of a stack.
const TAGS_MAX: usize = 50;

/// The name and id that a stack's pseudo parameters need.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) notification_arns: Vec<String>,
}

/// Reads and checks everything about the wanted stack; `previous` is what it is made from now.
pub(super) fn read(
    service: &CloudFormation,
    operation: &str,
    input: &Input,
    subject: Subject<'_>,
    previous: Option<&Source>,
) -> Result<(Source, Arc<Bound>), AwsError> {
    let body = body(operation, input, previous)?;
    let template = Arc::new(Template::parse(&body)?);
    let given = parameters(input, previous)?;
    let tags =
        if input.has("Tags") { input.tags() } else { previous.map(|source| source.tags.clone()).unwrap_or_default() };
    if tags.len() > TAGS_MAX || tags.keys().any(|key| key.is_empty() || key.starts_with("aws:")) {
        let text = format!("Tags: at most {TAGS_MAX}, with keys that are not empty and do not start with aws:");
        return Err(AwsError::new("ValidationError", text));
    }
    let identity = &service.context.identity;
    let pseudo = Pseudo {
        region: identity.region.clone(),
        account: identity.account.clone(),
        stack_name: subject.name.to_owned(),
        stack_id: subject.id.to_owned(),
        notification_arns: subject.notification_arns,
    };
    let bound = Arc::new(Bound::new(template.clone(), pseudo, &given)?);
    check_types(&bound)?;
    let capabilities = input.texts("Capabilities");
    check_capabilities(&template, &capabilities)?;
    Ok((Source { body, bound: Some(bound.clone()), given, tags, capabilities }, bound))
}

/// The template's text, within AWS's limit.
pub(super) fn body(operation: &str, input: &Input, previous: Option<&Source>) -> Result<String, AwsError> {
    input.refuse(operation, &["TemplateURL"])?;
    if input.flag("UsePreviousTemplate") {
        let previous = previous.ok_or_else(|| AwsError::new("ValidationError", "There is no previous template"))?;
        return Ok(previous.body.clone());
    }
    let body = input
        .text("TemplateBody")
        .ok_or_else(|| AwsError::new("ValidationError", "Either Template URL or Template Body must be specified."))?;
    if body.len() > TEMPLATE_BYTES_MAX {
        let text = format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {TEMPLATE_BYTES_MAX}"
        );
        return Err(AwsError::new("ValidationError", text));
    }
    Ok(body.to_owned())
}

fn parameters(input: &Input, previous: Option<&Source>) -> Result<Given, AwsError> {
    let mut given = Given::new();
    for parameter in input.list("Parameters") {
        let key = parameter["ParameterKey"].as_str().unwrap_or_default();
        let value = if parameter["UsePreviousValue"] == "true" {
            // A value that was never given stays the default's.
            match previous.map(|source| source.given.get(key)) {
                Some(value) => value.cloned(),
                None => {
                    let text = format!("Invalid input for parameter key {key}. There is no previous value");
                    return Err(AwsError::new("ValidationError", text));
                }
            }
        } else {
            Some(parameter["ParameterValue"].as_str().unwrap_or_default().to_owned())
        };
        if let Some(value) = value {
            given.insert(key.to_owned(), value);
        }
    }
    Ok(given)
}

/// Refuses types and attributes that localcloud does not know before anything is made.
fn check_types(bound: &Bound) -> Result<(), TemplateError> {
    for name in bound.dependencies().keys() {
        let Some(definition) = bound.definition(name) else { continue };
        if resource_type(&definition.type_name).is_none() {
            let text = format!("localcloud does not know resource type {}", definition.type_name);
            return Err(TemplateError::at(definition.at, text));
        }
    }
    for (name, definition, attribute, at) in bound.attributes() {
        if resource_type(&definition.type_name).is_some_and(|known| !known.has_attribute(attribute)) {
            let text =
                format!("Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt");
            return Err(TemplateError::at(at, text));
        }
    }
    Ok(())
}

/// The capability that the template's IAM resources need.
pub(super) fn needed_capability(template: &Template) -> Option<(&'static str, Vec<&str>)> {
    let named = ["RoleName", "ManagedPolicyName", "PolicyName"];
    let iam = || template.resources.values().filter(|resource| resource.type_name.starts_with("AWS::IAM::"));
    let types: std::collections::BTreeSet<_> = iam().map(|resource| resource.type_name.as_str()).collect();
    if types.is_empty() {
        return None;
    }
    // An inline policy always has a name; it is not one of the account's.
    let custom = iam().any(|resource| {
        resource.type_name != "AWS::IAM::Policy" && named.iter().any(|property| resource.has_property(property))
    });
    let capability = if custom { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
    Some((capability, types.into_iter().collect()))
}

fn check_capabilities(template: &Template, given: &[String]) -> Result<(), AwsError> {
    let Some((needed, _)) = needed_capability(template) else { return Ok(()) };
    let sufficient = |capability: &String| capability == needed || capability == "CAPABILITY_NAMED_IAM";
    if given.iter().any(sufficient) {
        return Ok(());
    }
    Err(AwsError::new("InsufficientCapabilitiesException", format!("Requires capabilities : [{needed}]")))
}
