//! Parameters: what a template asks for, and whether what was given satisfies it.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use super::{Position, TemplateError, document::Node, sections::optional_text};

/// Values that were given, by parameter name, before any check.
pub(crate) type Given = BTreeMap<String, String>;

/// The declaration of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) type_name: String,
    pub(crate) default: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) no_echo: bool,
    pub(crate) allowed_values: Vec<String>,
    at: Position,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
    min_value: Option<f64>,
    max_value: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
}

impl Parameter {
    pub(super) fn parse(name: &str, node: &Node) -> Result<Self, TemplateError> {
        let Some(type_name) = optional_text(node, "Type")? else {
            let text = format!("Template format error: Every Parameters object must contain a Type member: {name}");
            return Err(TemplateError::at(node.at, text));
        };
        if type_name.starts_with("AWS::SSM::") {
            let text = format!("Template error: localcloud has no parameter store for the type {type_name} of {name}");
            return Err(TemplateError::at(node.at, text));
        }
        let allowed_values = match node.get("AllowedValues").and_then(Node::list) {
            Some(values) => values.iter().map(|value| value.text("AllowedValues")).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Self {
            type_name,
            default: optional_text(node, "Default")?,
            description: optional_text(node, "Description")?,
            no_echo: optional_text(node, "NoEcho")?.as_deref() == Some("true"),
            allowed_values,
            at: node.at,
            allowed_pattern: optional_text(node, "AllowedPattern")?,
            constraint_description: optional_text(node, "ConstraintDescription")?,
            min_value: number(node, "MinValue")?,
            max_value: number(node, "MaxValue")?,
            min_length: number(node, "MinLength")?,
            max_length: number(node, "MaxLength")?,
        })
    }

    /// The value that references to the parameter see: a list for list types, a string otherwise.
    fn value(&self, name: &str, given: &str) -> Result<Value, TemplateError> {
        let list = self.type_name == "CommaDelimitedList" || self.type_name.starts_with("List<");
        let members: Vec<&str> = if list { given.split(',').map(str::trim).collect() } else { vec![given] };
        for member in &members {
            self.check(name, member)?;
        }
        if list { Ok(members.into()) } else { Ok(given.into()) }
    }

    fn check(&self, name: &str, value: &str) -> Result<(), TemplateError> {
        let Err(broken) = self.constraint(value)? else { return Ok(()) };
        let text = match &self.constraint_description {
            Some(description) => format!("Parameter {name} failed to satisfy constraint: {description}"),
            None => format!("Parameter '{name}' must {broken}"),
        };
        Err(TemplateError::at(self.at, text))
    }

    /// What the value breaks, as the end of "must ..."; the outer error is a fault of the declaration.
    fn constraint(&self, value: &str) -> Result<Result<(), String>, TemplateError> {
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == value) {
            return Ok(Err(format!("be one of AllowedValues: {}", self.allowed_values.join(", "))));
        }
        if let Some(pattern) = &self.allowed_pattern {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                TemplateError::at(self.at, format!("Template format error: AllowedPattern {pattern}: {error}"))
            })?;
            if !regex.is_match(value) {
                return Ok(Err(format!("match pattern {pattern}")));
            }
        }
        let length = value.chars().count();
        if let Some(min) = self.min_length.filter(|min| length < *min) {
            return Ok(Err(format!("contain at least {min} characters")));
        }
        if let Some(max) = self.max_length.filter(|max| length > *max) {
            return Ok(Err(format!("contain at most {max} characters")));
        }
        Ok(self.number_constraint(value))
    }

    fn number_constraint(&self, value: &str) -> Result<(), String> {
        if !matches!(self.type_name.as_str(), "Number" | "List<Number>") {
            return Ok(());
        }
        let number: f64 = value.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("be a number")?;
        if let Some(min) = self.min_value.filter(|min| number < *min) {
            return Err(format!("be a number not less than {min}"));
        }
        if let Some(max) = self.max_value.filter(|max| number > *max) {
            return Err(format!("be a number not greater than {max}"));
        }
        Ok(())
    }
}

/// The values of all parameters of a template, from what was given and the defaults.
pub(super) fn bind(
    declared: &BTreeMap<String, Parameter>,
    given: &Given,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let unknown: Vec<_> = given.keys().filter(|name| !declared.contains_key(*name)).collect();
    if !unknown.is_empty() {
        return Err(TemplateError::call(format!("Parameters: [{}] do not exist in the template", list(unknown))));
    }
    let missing: Vec<_> = declared
        .iter()
        .filter(|(name, parameter)| parameter.default.is_none() && !given.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        return Err(TemplateError::call(format!("Parameters: [{}] must have values", list(missing))));
    }
    declared
        .iter()
        .map(|(name, parameter)| {
            let text = given.get(name).or(parameter.default.as_ref()).map_or("", String::as_str);
            Ok((name.clone(), parameter.value(name, text)?))
        })
        .collect()
}

fn number<T: std::str::FromStr>(node: &Node, key: &str) -> Result<Option<T>, TemplateError> {
    let Some(text) = optional_text(node, key)? else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| TemplateError::at(node.at, format!("Template format error: {key} must be a number")))
}
