//! Operations about templates.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::{present, source};
use crate::{
    cloudformation::{CloudFormation, input::Input, template::Template},
    service::AwsError,
};

pub(in super::super) fn get(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let stacks = service.stacks();
    let stack = stacks.get(input.required("StackName")?)?;
    let body = match input.text("ChangeSetName") {
        Some(name) => &super::change_set::find(stack, name)?.source.body,
        None => &stack.source.body,
    };
    Ok(json!({ "TemplateBody": body, "StagesAvailable": ["Original", "Processed"] }))
}

pub(in super::super) fn summary(service: &Arc<CloudFormation>, input: &Input) -> Result<Value, AwsError> {
    let body = match input.text("StackName") {
        Some(name) => service.stacks().get(name)?.source.body.clone(),
        None => source::body("GetTemplateSummary", input, None)?,
    };
    let template = Template::parse(&body)?;
    let types: BTreeSet<_> = template.resources.values().map(|resource| resource.type_name.as_str()).collect();
    let parameters = template.parameters.iter().map(|(name, parameter)| {
        json!({
            "ParameterKey": name,
            "DefaultValue": parameter.default,
            "ParameterType": parameter.type_name,
            "NoEcho": parameter.no_echo,
            "Description": parameter.description,
            "ParameterConstraints": { "AllowedValues": parameter.allowed_values },
        })
    });
    let mut answer = capabilities(&template);
    answer["Parameters"] = parameters.collect();
    answer["Description"] = json!(template.description);
    answer["ResourceTypes"] = json!(types);
    answer["Version"] = json!("2010-09-09");
    Ok(present(answer))
}

pub(in super::super) fn validate(input: &Input) -> Result<Value, AwsError> {
    let template = Template::parse(&source::body("ValidateTemplate", input, None)?)?;
    template.check_references()?;
    let parameters = template.parameters.iter().map(|(name, parameter)| {
        json!({
            "ParameterKey": name,
            "DefaultValue": parameter.default,
            "NoEcho": parameter.no_echo,
            "Description": parameter.description,
        })
    });
    let mut answer = capabilities(&template);
    answer["Parameters"] = parameters.collect();
    answer["Description"] = json!(template.description);
    Ok(present(answer))
}

fn capabilities(template: &Template) -> Value {
    match source::needed_capability(template) {
        Some((capability, types)) => json!({
            "Capabilities": [capability],
            "CapabilitiesReason": format!("The following resource(s) require capabilities: [{}]", types.join(", ")),
        }),
        None => json!({ "Capabilities": [] }),
    }
}
