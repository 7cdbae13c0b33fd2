//! YAML and JSON text as a tree of nodes that know their place.
//!
//! Built from parser events rather than from a loaded document: CloudFormation's short tags (`!Ref`) stay visible,
//! every node keeps its position, and neither nesting nor aliases can make a small text large.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Number, Value};

use super::{Position, TemplateError};

/// How deep a template may nest. Real templates stay below twenty; the walks over the tree are recursive.
const DEPTH_MAX: usize = 64;

/// Functions with a short tag, apart from `!Ref` and `!Condition`, which have no `Fn::` in their long form.
const TAGGED_FUNCTIONS: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    List(Vec<Node>),
    /// In the order of the text; keys are unique.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn map(&self, what: &str) -> Result<&[Entry], TemplateError> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(TemplateError::at(self.at, format!("Template format error: {what} must be an object."))),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    /// A scalar as text; CloudFormation reads numbers and booleans as the strings they were written as.
    pub(super) fn text(&self, what: &str) -> Result<String, TemplateError> {
        match &self.kind {
            Kind::Scalar(value) => Ok(scalar_text(value)),
            _ => Err(TemplateError::at(self.at, format!("Template format error: {what} must be a string."))),
        }
    }
}

/// A scalar as CloudFormation writes it into strings.
pub(crate) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, TemplateError> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| {
            let marker = error.marker();
            let at = Position { line: marker.line(), column: marker.col() + 1 };
            TemplateError::at(at, format!("Template format error: YAML not well-formed: {}", error.info()))
        })?;
        builder.accept(event, position(&span))?;
    }
    builder.root.ok_or_else(|| {
        TemplateError::at(Position { line: 1, column: 1 }, "Template format error: the template is empty")
    })
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// A list or map whose end has not been seen.
struct Open {
    at: Position,
    tag: Option<Tag>,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Position)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    fn accept(&mut self, event: Event<'_>, at: Position) -> Result<(), TemplateError> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                if self.expects_key() {
                    return self.key(text.into_owned(), at);
                }
                let core = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !core;
                let value = if plain { plain_scalar(&text) } else { Value::String(text.into_owned()) };
                let node = tagged(Node { at, kind: Kind::Scalar(value) }, tag.as_deref())?;
                self.add(node)
            }
            Event::SequenceStart(_, tag) => {
                self.begin(at, tag.map(std::borrow::Cow::into_owned), Content::List(Vec::new()))
            }
            Event::MappingStart(_, tag) => {
                let content = Content::Map { entries: Vec::new(), key: None };
                self.begin(at, tag.map(std::borrow::Cow::into_owned), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(_) => Err(TemplateError::at(
                at,
                "Template format error: YAML aliases are not allowed in CloudFormation templates",
            )),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, name: String, at: Position) -> Result<(), TemplateError> {
        if let Some(Open { content: Content::Map { entries, key }, .. }) = self.open.last_mut() {
            if entries.iter().any(|entry| entry.key == name) {
                return Err(TemplateError::at(at, format!("Template format error: duplicate key {name}")));
            }
            *key = Some((name, at));
        }
        Ok(())
    }

    fn begin(&mut self, at: Position, tag: Option<Tag>, content: Content) -> Result<(), TemplateError> {
        if self.expects_key() {
            return Err(TemplateError::at(at, "Template format error: a key must be a string"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(TemplateError::at(at, format!("Template format error: nested deeper than {DEPTH_MAX} levels")));
        }
        self.open.push(Open { at, tag, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), TemplateError> {
        let Some(Open { at, tag, content }) = self.open.pop() else { return Ok(()) };
        let kind = match content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        self.add(tagged(Node { at, kind }, tag.as_ref())?)
    }

    fn add(&mut self, node: Node) -> Result<(), TemplateError> {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => {
                if let Some((key, at)) = key.take() {
                    entries.push(Entry { at, key, value: node });
                }
            }
            None if self.root.is_some() => {
                return Err(TemplateError::at(node.at, "Template format error: more than one YAML document"));
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

/// Writes a short tag out: `!GetAtt a.b` is `{"Fn::GetAtt": "a.b"}`.
fn tagged(node: Node, tag: Option<&Tag>) -> Result<Node, TemplateError> {
    let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return Ok(node) };
    let at = node.at;
    let key = match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name if TAGGED_FUNCTIONS.contains(&name) => format!("Fn::{name}"),
        _ => {
            return Err(TemplateError::at(
                at,
                format!("Template format error: {tag} is not a CloudFormation function"),
            ));
        }
    };
    Ok(Node { at, kind: Kind::Map(vec![Entry { at, key, value: node }]) })
}

/// The YAML core schema, except that digits after a leading zero stay text: an account id is not a number.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let number = if leading_zero || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        None
    } else {
        text.parse::<i64>().map(Number::from).ok().or_else(|| text.parse().ok().and_then(Number::from_f64))
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
