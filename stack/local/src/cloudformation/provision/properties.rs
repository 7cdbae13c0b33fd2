//! Reading resolved properties, and giving them the types that the services' APIs expect.
//!
//! A template has no types: what comes from a parameter is a string even where the API takes a number.

use serde_json::{Map, Number, Value};

use crate::cloudformation::template::scalar_text;

/// A scalar property as text.
pub(super) fn text(properties: &Value, name: &str) -> Option<String> {
    match &properties[name] {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        scalar => Some(scalar_text(scalar)),
    }
}

pub(super) fn integer(properties: &Value, name: &str) -> Option<i64> {
    text(properties, name)?.parse().ok()
}

pub(super) fn flag(properties: &Value, name: &str) -> bool {
    text(properties, name).as_deref() == Some("true")
}

/// Which members of an API's input are not strings.
pub(super) struct Shape {
    pub(super) numbers: &'static [&'static str],
    pub(super) flags: &'static [&'static str],
}

/// The shape of awsQuery inputs.
pub(super) const STRINGS: Shape = Shape { numbers: &[], flags: &[] };

/// Writes every scalar as the type that `shape` gives its member, a string by default.
pub(super) fn typed(value: &Value, shape: &Shape) -> Value {
    member(value, "", shape)
}

fn member(value: &Value, name: &str, shape: &Shape) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| member(item, name, shape)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), member(value, name, shape))).collect())
        }
        scalar => {
            let text = scalar_text(scalar);
            if shape.numbers.contains(&name) {
                number(&text).map_or(Value::String(text), Value::Number)
            } else if shape.flags.contains(&name) && matches!(text.as_str(), "true" | "false") {
                Value::Bool(text == "true")
            } else {
                Value::String(text)
            }
        }
    }
}

fn number(text: &str) -> Option<Number> {
    text.parse::<i64>().map(Number::from).ok().or_else(|| Number::from_f64(text.parse().ok()?))
}

/// Turns `PascalCase` members into `camelCase`, but leaves the keys of members in `opaque` as they are: they are data.
pub(super) fn camel_case(value: &Value, opaque: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| camel_case(item, opaque)).collect(),
        Value::Object(members) => {
            let renamed = members.iter().map(|(name, value)| {
                let value = if opaque.contains(&name.as_str()) { value.clone() } else { camel_case(value, opaque) };
                (lower_first(name), value)
            });
            Value::Object(renamed.collect())
        }
        scalar => scalar.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + characters.as_str())
}

/// The members of an object that are in `names`.
pub(super) fn pick(properties: &Value, names: &[&str]) -> Value {
    let members = properties.as_object().into_iter().flatten();
    let picked = members.filter(|(name, _)| names.contains(&name.as_str()));
    Value::Object(picked.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Adds a member to an object.
pub(super) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    object[name] = value.into();
}

/// Whether two values are the same to CloudFormation, for which `1` and `"1"` are.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    typed(left, &STRINGS) == typed(right, &STRINGS)
}

/// The properties that differ, sorted.
pub(crate) fn changed(before: &Value, after: &Value) -> Vec<String> {
    let names = |value: &Value| value.as_object().into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
    let mut all = names(before);
    all.extend(names(after));
    all.sort();
    all.dedup();
    all.retain(|name| !same(&before[name], &after[name]));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Shape, camel_case, changed, typed};

    #[test]
    fn scalars_take_the_type_of_their_member() {
        let shape = Shape { numbers: &["Port", "Threshold"], flags: &["Enable"] };
        let given = json!({ "Port": "8080", "Threshold": "0.5", "Enable": "true", "Environment": [{ "Value": 80 }] });
        let expected = json!({ "Port": 8080, "Threshold": 0.5, "Enable": true, "Environment": [{ "Value": "80" }] });
        assert_eq!(typed(&given, &shape), expected);
    }

    #[test]
    fn keys_that_are_data_keep_their_case() {
        let given = json!({ "LogConfiguration": { "LogDriver": "awslogs", "Options": { "Awslogs-group": "g" } } });
        let expected = json!({ "logConfiguration": { "logDriver": "awslogs", "options": { "Awslogs-group": "g" } } });
        assert_eq!(camel_case(&given, &["Options"]), expected);
    }

    #[test]
    fn a_number_and_its_text_are_no_change() {
        let before = json!({ "A": 1, "B": ["x"], "C": "gone" });
        assert_eq!(changed(&before, &json!({ "A": "1", "B": ["y"], "D": true })), ["B", "C", "D"]);
    }
}
