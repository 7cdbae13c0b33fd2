//! The sections of a template.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Parameter, Position, TemplateError,
    document::{self, Kind, Node},
    expression::{Expression, Kind as ExpressionKind},
    references,
    rules::Rule,
};

/// Source: the AWS quota "Resources" of a template.
const RESOURCES_MAX: usize = 500;

/// Source: the greatest `Timeout` of a wait condition.
const WAIT_CONDITION_SECONDS_MAX: u32 = 43_200;

/// Two levels of names over a scalar or a list.
pub(super) type Mapping = BTreeMap<String, BTreeMap<String, Value>>;

/// A template that has been read but has no parameter values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    pub(crate) description: Option<String>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) resources: BTreeMap<String, ResourceDefinition>,
    pub(super) mappings: BTreeMap<String, Mapping>,
    pub(super) conditions: BTreeMap<String, Expression>,
    pub(super) rules: Vec<Rule>,
    pub(super) outputs: BTreeMap<String, OutputDefinition>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResourceDefinition {
    pub(crate) at: Position,
    pub(crate) type_name: String,
    pub(crate) deletion_policy: DeletionPolicy,
    pub(crate) update_replace_policy: DeletionPolicy,
    pub(super) condition: Option<String>,
    pub(super) depends_on: Vec<(String, Position)>,
    pub(super) properties: Expression,
    pub(super) creation_policy: Option<Expression>,
}

/// What happens to the real thing when its resource leaves the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
    /// Kept, unless the stack's creation fails.
    RetainExceptOnCreate,
}

/// How many signals a resource waits for, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CreationPolicy {
    pub(crate) count: usize,
    pub(crate) timeout: std::time::Duration,
}

impl CreationPolicy {
    /// What a wait condition with a handle says in its own properties: `Count`, and `Timeout` in seconds.
    pub(crate) fn of_wait_condition(properties: &Value) -> Self {
        let number = |name: &str| document::scalar_text(&properties[name]).parse::<u32>().ok();
        let timeout = std::time::Duration::from_secs(number("Timeout").unwrap_or(WAIT_CONDITION_SECONDS_MAX).into());
        Self { count: number("Count").unwrap_or(1) as usize, timeout }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct OutputDefinition {
    pub(super) description: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) value: Expression,
    pub(super) export: Option<Expression>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When the text is not YAML or JSON, a section is malformed, or it uses what localcloud does not support.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let root = document::parse(text)?;
        check_sections(&root)?;
        let resources = section(&root, "Resources", resource)?;
        if resources.is_empty() {
            return Err(TemplateError::at(
                root.at,
                "Template format error: At least one Resources member must be defined.",
            ));
        }
        if resources.len() > RESOURCES_MAX {
            let text = format!(
                "Template format error: Number of resources, {}, is greater than maximum allowed, {RESOURCES_MAX}",
                resources.len()
            );
            return Err(TemplateError::at(root.at, text));
        }
        Ok(Self {
            description: optional_text(&root, "Description")?,
            parameters: section(&root, "Parameters", Parameter::parse)?,
            mappings: section(&root, "Mappings", |_, node| mapping(node))?,
            conditions: section(&root, "Conditions", |_, node| Expression::parse(node))?,
            rules: section(&root, "Rules", Rule::parse)?.into_values().collect(),
            resources,
            outputs: section(&root, "Outputs", output)?,
        })
    }
}

impl Template {
    /// Whether every reference leads to a parameter or resource, whatever the conditions turn out to be.
    pub(crate) fn check_references(&self) -> Result<(), TemplateError> {
        let blocks = self.resources.values().map(|resource| ("Resources", &resource.properties));
        let blocks = blocks.chain(self.outputs.values().map(|output| ("Outputs", &output.value)));
        for (block, expression) in blocks {
            for reference in references::of(expression, &BTreeMap::new()) {
                let known = self.resources.contains_key(reference.name)
                    || (!reference.is_attribute && self.is_parameter(reference.name));
                if !known {
                    return Err(unresolved(reference.name, reference.at, block));
                }
            }
        }
        Ok(())
    }

    fn is_parameter(&self, name: &str) -> bool {
        name.starts_with("AWS::") || self.parameters.contains_key(name)
    }
}

impl ResourceDefinition {
    /// Whether the property is written down, whatever its value turns out to be.
    pub(crate) fn has_property(&self, name: &str) -> bool {
        matches!(&self.properties.kind, ExpressionKind::Map(members) if members.iter().any(|(known, _)| known == name))
    }
}

pub(super) fn unresolved(name: &str, at: Position, block: &str) -> TemplateError {
    let text = format!(
        "Template format error: Unresolved resource dependencies [{name}] in the {block} block of the template"
    );
    TemplateError::at(at, text)
}

fn check_sections(root: &Node) -> Result<(), TemplateError> {
    let known = [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    ];
    for entry in root.map("the template")? {
        if entry.key == "Transform" {
            return Err(TemplateError::at(entry.at, "Template error: localcloud does not support Transform"));
        }
        if !known.contains(&entry.key.as_str()) {
            let text = format!("Invalid template property or properties [{}]", entry.key);
            return Err(TemplateError::at(entry.at, text));
        }
    }
    match root.get("AWSTemplateFormatVersion").map(|node| (node, node.str())) {
        None | Some((_, Some("2010-09-09"))) => Ok(()),
        Some((node, _)) => {
            Err(TemplateError::at(node.at, "Template format error: unsupported AWSTemplateFormatVersion"))
        }
    }
}

fn section<T>(
    root: &Node,
    name: &str,
    parse: impl Fn(&str, &Node) -> Result<T, TemplateError>,
) -> Result<BTreeMap<String, T>, TemplateError> {
    let Some(node) = root.get(name) else { return Ok(BTreeMap::new()) };
    let mut members = BTreeMap::new();
    for entry in node.map(name)? {
        if name != "Mappings" && !entry.key.chars().all(|character| character.is_ascii_alphanumeric()) {
            let text = format!("Template format error: {name} name {} is non alphanumeric.", entry.key);
            return Err(TemplateError::at(entry.at, text));
        }
        members.insert(entry.key.clone(), parse(&entry.key, &entry.value)?);
    }
    Ok(members)
}

fn resource(name: &str, node: &Node) -> Result<ResourceDefinition, TemplateError> {
    let known = [
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "Metadata",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "CreationPolicy",
        "UpdatePolicy",
    ];
    let entries = node.map(&format!("resource {name}"))?;
    if let Some(entry) = entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
        return Err(TemplateError::at(entry.at, format!("Invalid template resource property '{}'", entry.key)));
    }
    let Some(type_name) = node.get("Type") else {
        let text =
            format!("Template format error: [/Resources/{name}] Every Resources object must contain a Type member.");
        return Err(TemplateError::at(node.at, text));
    };
    let properties = match node.get("Properties") {
        Some(properties) => {
            properties.map(&format!("Properties of resource {name}"))?;
            Expression::parse(properties)?
        }
        None => Expression { at: node.at, kind: ExpressionKind::Map(Vec::new()) },
    };
    Ok(ResourceDefinition {
        at: node.at,
        type_name: type_name.text("Type")?,
        deletion_policy: policy(node, "DeletionPolicy")?,
        update_replace_policy: policy(node, "UpdateReplacePolicy")?,
        condition: optional_text(node, "Condition")?,
        depends_on: node.get("DependsOn").map(depends_on).transpose()?.unwrap_or_default(),
        properties,
        creation_policy: node.get("CreationPolicy").map(Expression::parse).transpose()?,
    })
}

fn depends_on(node: &Node) -> Result<Vec<(String, Position)>, TemplateError> {
    match node.list() {
        Some(items) => items.iter().map(|item| Ok((item.text("DependsOn")?, item.at))).collect(),
        None => Ok(vec![(node.text("DependsOn")?, node.at)]),
    }
}

fn policy(node: &Node, key: &str) -> Result<DeletionPolicy, TemplateError> {
    let Some(policy) = node.get(key) else { return Ok(DeletionPolicy::Delete) };
    match policy.str() {
        Some("Delete") => Ok(DeletionPolicy::Delete),
        Some("Retain") => Ok(DeletionPolicy::Retain),
        Some("RetainExceptOnCreate") if key == "DeletionPolicy" => Ok(DeletionPolicy::RetainExceptOnCreate),
        _ => Err(TemplateError::at(policy.at, format!("Template format error: unsupported {key}"))),
    }
}

fn output(name: &str, node: &Node) -> Result<OutputDefinition, TemplateError> {
    let Some(value) = node.get("Value") else {
        let text = format!("Template format error: Every Outputs member must contain a Value object: {name}");
        return Err(TemplateError::at(node.at, text));
    };
    let export = node.get("Export").and_then(|export| export.get("Name"));
    Ok(OutputDefinition {
        description: optional_text(node, "Description")?,
        condition: optional_text(node, "Condition")?,
        value: Expression::parse(value)?,
        export: export.map(Expression::parse).transpose()?,
    })
}

fn mapping(node: &Node) -> Result<Mapping, TemplateError> {
    let mut mapping = Mapping::new();
    for top in node.map("a mapping")? {
        let mut second = BTreeMap::new();
        for entry in top.value.map("a mapping")? {
            second.insert(entry.key.clone(), literal(&entry.value)?);
        }
        mapping.insert(top.key.clone(), second);
    }
    Ok(mapping)
}

fn literal(node: &Node) -> Result<Value, TemplateError> {
    match &node.kind {
        Kind::Scalar(value) => Ok(value.clone()),
        Kind::List(items) => items.iter().map(literal).collect::<Result<_, _>>().map(Value::Array),
        Kind::Map(_) => Err(TemplateError::at(
            node.at,
            "Template format error: Every Mappings attribute must be a String or a List.",
        )),
    }
}

pub(super) fn optional_text(node: &Node, key: &str) -> Result<Option<String>, TemplateError> {
    node.get(key).map(|value| value.text(key)).transpose()
}
