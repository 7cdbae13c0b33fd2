//! Expressions to values.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::{
    Known, Position, Pseudo, TemplateError, cidr,
    document::scalar_text,
    expression::{Expression, Function, Kind, Piece},
    sections::Mapping,
};

/// Zones that `Fn::GetAZs` answers, as suffixes of the region.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// Source: `Fn::Cidr` documents a count of 1 to 256.
const CIDR_COUNT_MAX: u32 = 256;

/// Everything an expression can refer to.
pub(super) struct Scope<'a> {
    pub(super) pseudo: &'a Pseudo,
    pub(super) parameters: &'a BTreeMap<String, Value>,
    pub(super) mappings: &'a BTreeMap<String, Mapping>,
    pub(super) conditions: &'a BTreeMap<String, bool>,
    pub(super) known: &'a BTreeMap<String, Known>,
}

impl Scope<'_> {
    /// The value, or nothing for `AWS::NoValue`.
    pub(super) fn value(&self, expression: &Expression) -> Result<Option<Value>, TemplateError> {
        let at = expression.at;
        match &expression.kind {
            Kind::Scalar(value) => Ok(Some(value.clone())),
            Kind::List(items) => {
                let values = items.iter().filter_map(|item| self.value(item).transpose()).collect::<Result<_, _>>()?;
                Ok(Some(Value::Array(values)))
            }
            Kind::Map(members) => {
                let mut map = Map::new();
                for (name, member) in members {
                    if let Some(value) = self.value(member)? {
                        map.insert(name.clone(), value);
                    }
                }
                Ok(Some(Value::Object(map)))
            }
            Kind::Ref(name) => self.reference(at, name),
            Kind::GetAtt { resource, attribute } => self.attribute(at, resource, &self.text(attribute)?).map(Some),
            Kind::Sub(pieces) => self.substitute(pieces).map(|text| Some(Value::String(text))),
            Kind::If { condition, then, otherwise } => {
                self.value(if self.named_condition(at, condition)? { then } else { otherwise })
            }
            Kind::Call { function, arguments } => self.call(at, *function, arguments).map(Some),
        }
    }

    /// The value of a condition function.
    pub(super) fn condition(&self, expression: &Expression) -> Result<bool, TemplateError> {
        let at = expression.at;
        if let Kind::Map(members) = &expression.kind
            && let [(name, condition)] = members.as_slice()
            && name == "Condition"
        {
            return self.named_condition(at, &self.text(condition)?);
        }
        match self.value(expression)? {
            Some(Value::Bool(value)) => Ok(value),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            _ => Err(TemplateError::at(at, "Template error: a condition must be true or false")),
        }
    }

    fn named_condition(&self, at: Position, name: &str) -> Result<bool, TemplateError> {
        self.conditions
            .get(name)
            .copied()
            .ok_or_else(|| TemplateError::at(at, format!("Template error: Unresolved condition dependency {name}")))
    }

    fn reference(&self, at: Position, name: &str) -> Result<Option<Value>, TemplateError> {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = self.pseudo.get(name).or_else(|| self.parameters.get(name).cloned()) {
            return Ok(Some(value));
        }
        match self.known.get(name) {
            Some(Known::Provisioned { physical_id, .. }) => Ok(Some(Value::String(physical_id.clone()))),
            Some(Known::AfterApply) => Ok(Some(Known::placeholder())),
            None => Err(unresolved(at, name)),
        }
    }

    fn attribute(&self, at: Position, resource: &str, attribute: &str) -> Result<Value, TemplateError> {
        match self.known.get(resource) {
            Some(Known::Provisioned { attributes, .. }) => attributes.get(attribute).cloned().ok_or_else(|| {
                let text = format!(
                    "Template error: resource {resource} does not support attribute type {attribute} in Fn::GetAtt"
                );
                TemplateError::at(at, text)
            }),
            Some(Known::AfterApply) => Ok(Known::placeholder()),
            None => Err(unresolved(at, resource)),
        }
    }

    fn substitute(&self, pieces: &[Piece]) -> Result<String, TemplateError> {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Ok(text.clone()),
                Piece::Value(expression) => self.text(expression),
            })
            .collect()
    }

    fn call(&self, at: Position, function: Function, arguments: &[Expression]) -> Result<Value, TemplateError> {
        let invalid = |text: String| TemplateError::at(at, format!("Template error: {text}"));
        Ok(match (function, arguments) {
            (Function::And, all) => self.conditions_of(all)?.into_iter().all(|value| value).into(),
            (Function::Or, all) => self.conditions_of(all)?.into_iter().any(|value| value).into(),
            (Function::Not, [negated]) => (!self.condition(negated)?).into(),
            (Function::Equals, [left, right]) => (self.comparable(left)? == self.comparable(right)?).into(),
            (Function::Contains, [list, value]) => self.texts(list)?.contains(&self.text(value)?).into(),
            (Function::EachMemberIn, [members, list]) => {
                let allowed = self.texts(list)?;
                self.texts(members)?.iter().all(|member| allowed.contains(member)).into()
            }
            (Function::Base64, [text]) => BASE64_STANDARD.encode(self.text(text)?).into(),
            (Function::Join, [delimiter, list]) => self.texts(list)?.join(&self.text(delimiter)?).into(),
            (Function::Split, [delimiter, text]) => {
                self.text(text)?.split(self.text(delimiter)?.as_str()).map(str::to_owned).collect::<Vec<_>>().into()
            }
            (Function::Select, [index, list]) => self.select(at, index, list)?,
            (Function::GetAzs, [region]) => {
                let region = Some(self.text(region)?).filter(|region| !region.is_empty());
                let region = region.as_deref().unwrap_or(&self.pseudo.region);
                ZONES.map(|zone| format!("{region}{zone}")).to_vec().into()
            }
            (Function::FindInMap, [map, first, second]) => self.find(at, [map, first, second])?,
            (Function::Cidr, [block, count, bits @ ..]) => {
                let bits = bits.first().map_or(Ok(8), |bits| self.number(bits))?;
                let count = self.number(count)?;
                if !(1..=CIDR_COUNT_MAX).contains(&count) {
                    return Err(invalid(format!("Fn::Cidr makes 1 to {CIDR_COUNT_MAX} blocks, not {count}")));
                }
                cidr::subnets(&self.text(block)?, count, bits)
                    .map_err(|text| invalid(format!("Fn::Cidr: {text}")))?
                    .into()
            }
            _ => return Err(invalid(format!("{function:?} has the wrong number of arguments"))),
        })
    }

    fn conditions_of(&self, expressions: &[Expression]) -> Result<Vec<bool>, TemplateError> {
        expressions.iter().map(|expression| self.condition(expression)).collect()
    }

    fn select(&self, at: Position, index: &Expression, list: &Expression) -> Result<Value, TemplateError> {
        let index = self.number(index)?;
        let mut values = self.list(list)?;
        if index as usize >= values.len() {
            let text = format!("Template error: Fn::Select cannot select nonexistent value at index {index}");
            return Err(TemplateError::at(at, text));
        }
        Ok(values.swap_remove(index as usize))
    }

    fn find(&self, at: Position, names: [&Expression; 3]) -> Result<Value, TemplateError> {
        let [map, first, second] = names;
        let (map, first, second) = (self.text(map)?, self.text(first)?, self.text(second)?);
        let found = self.mappings.get(&map).and_then(|map| map.get(&first)).and_then(|keys| keys.get(&second));
        found.cloned().ok_or_else(|| {
            TemplateError::at(at, format!("Template error: Unable to get mapping for {map}::{first}::{second}"))
        })
    }

    fn list(&self, expression: &Expression) -> Result<Vec<Value>, TemplateError> {
        match self.value(expression)? {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(TemplateError::at(expression.at, "Template error: expected a list")),
        }
    }

    fn texts(&self, expression: &Expression) -> Result<Vec<String>, TemplateError> {
        self.list(expression)?.iter().map(|value| text(expression.at, value)).collect()
    }

    fn text(&self, expression: &Expression) -> Result<String, TemplateError> {
        let value = self.value(expression)?.unwrap_or_default();
        text(expression.at, &value)
    }

    fn number(&self, expression: &Expression) -> Result<u32, TemplateError> {
        let text = self.text(expression)?;
        text.parse()
            .map_err(|_| TemplateError::at(expression.at, format!("Template error: {text} is not a whole number")))
    }

    /// CloudFormation compares values as the texts they are written as.
    fn comparable(&self, expression: &Expression) -> Result<Value, TemplateError> {
        Ok(match self.value(expression)? {
            None => Value::Null,
            Some(value @ (Value::Array(_) | Value::Object(_))) => value,
            Some(scalar) => Value::String(scalar_text(&scalar)),
        })
    }
}

fn text(at: Position, value: &Value) -> Result<String, TemplateError> {
    match value {
        Value::Array(_) | Value::Object(_) => Err(TemplateError::at(at, "Template error: expected a string")),
        scalar => Ok(scalar_text(scalar)),
    }
}

fn unresolved(at: Position, name: &str) -> TemplateError {
    TemplateError::at(at, format!("Template format error: Unresolved resource dependencies [{name}]"))
}
