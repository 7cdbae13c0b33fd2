//! Values of a template with their intrinsic functions.

use serde_json::Value;

use super::{
    Position, TemplateError,
    document::{Kind as NodeKind, Node},
};

/// A value that may depend on parameters and other resources.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    pub(super) at: Position,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Expression>),
    Map(Vec<(String, Expression)>),
    Ref(String),
    GetAtt { resource: String, attribute: Box<Expression> },
    Sub(Vec<Piece>),
    If { condition: String, then: Box<Expression>, otherwise: Box<Expression> },
    Call { function: Function, arguments: Vec<Expression> },
}

/// A part of an `Fn::Sub` text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Value(Expression),
}

/// Functions whose arguments are a list of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Base64,
    Cidr,
    Contains,
    EachMemberIn,
    Equals,
    FindInMap,
    GetAzs,
    Join,
    Not,
    Or,
    Select,
    Split,
}

/// Name, function, and the least and greatest number of arguments.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("Fn::And", Function::And, 2, 10),
    ("Fn::Base64", Function::Base64, 1, 1),
    ("Fn::Cidr", Function::Cidr, 2, 3),
    ("Fn::Contains", Function::Contains, 2, 2),
    ("Fn::EachMemberIn", Function::EachMemberIn, 2, 2),
    ("Fn::Equals", Function::Equals, 2, 2),
    ("Fn::FindInMap", Function::FindInMap, 3, 3),
    ("Fn::GetAZs", Function::GetAzs, 1, 1),
    ("Fn::Join", Function::Join, 2, 2),
    ("Fn::Not", Function::Not, 1, 1),
    ("Fn::Or", Function::Or, 2, 10),
    ("Fn::Select", Function::Select, 2, 2),
    ("Fn::Split", Function::Split, 2, 2),
];

impl Expression {
    pub(super) fn parse(node: &Node) -> Result<Self, TemplateError> {
        let kind = match &node.kind {
            NodeKind::Scalar(value) => Kind::Scalar(value.clone()),
            NodeKind::List(items) => Kind::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            NodeKind::Map(entries) => match entries.as_slice() {
                [entry] if entry.key == "Ref" => Kind::Ref(entry.value.text("Ref")?),
                [entry] if entry.key.starts_with("Fn::") => intrinsic(&entry.key, &entry.value)?,
                _ => Kind::Map(
                    entries.iter().map(|entry| Ok((entry.key.clone(), Self::parse(&entry.value)?))).collect::<Result<
                        _,
                        TemplateError,
                    >>(
                    )?,
                ),
            },
        };
        Ok(Self { at: node.at, kind })
    }

    /// The conditions that this expression, as a condition, is made from.
    pub(super) fn conditions(&self) -> Vec<&String> {
        match &self.kind {
            Kind::Map(members) => match members.as_slice() {
                [(name, Self { kind: Kind::Scalar(Value::String(condition)), .. })] if name == "Condition" => {
                    vec![condition]
                }
                _ => Vec::new(),
            },
            Kind::Call { arguments, .. } => arguments.iter().flat_map(Self::conditions).collect(),
            Kind::If { condition, .. } => vec![condition],
            _ => Vec::new(),
        }
    }

    fn reference(at: Position, name: &str) -> Self {
        let kind = match name.split_once('.') {
            Some((resource, attribute)) => Kind::GetAtt {
                resource: resource.to_owned(),
                attribute: Box::new(Self { at, kind: Kind::Scalar(Value::String(attribute.to_owned())) }),
            },
            None => Kind::Ref(name.to_owned()),
        };
        Self { at, kind }
    }
}

fn intrinsic(name: &str, argument: &Node) -> Result<Kind, TemplateError> {
    match name {
        "Fn::GetAtt" => get_att(argument),
        "Fn::If" => conditional(argument),
        "Fn::Sub" => substitution(argument),
        "Fn::ImportValue" => Err(TemplateError::at(
            argument.at,
            "Template error: localcloud does not support Fn::ImportValue: pass the value as a parameter",
        )),
        _ => call(name, argument),
    }
}

fn call(name: &str, argument: &Node) -> Result<Kind, TemplateError> {
    let Some((_, function, least, most)) = FUNCTIONS.iter().copied().find(|(known, ..)| *known == name) else {
        return Err(TemplateError::at(argument.at, format!("Template error: localcloud does not support {name}")));
    };
    let arguments: Vec<_> = match argument.list() {
        Some(items) => items.iter().map(Expression::parse).collect::<Result<_, _>>()?,
        None => vec![Expression::parse(argument)?],
    };
    if !(least..=most).contains(&arguments.len()) {
        let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let text = format!("Template error: {name} takes {count} arguments, not {}", arguments.len());
        return Err(TemplateError::at(argument.at, text));
    }
    Ok(Kind::Call { function, arguments })
}

fn get_att(argument: &Node) -> Result<Kind, TemplateError> {
    let malformed = || {
        TemplateError::at(
            argument.at,
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
        )
    };
    match argument.list() {
        Some([resource, attribute]) => Ok(Kind::GetAtt {
            resource: resource.str().ok_or_else(malformed)?.to_owned(),
            attribute: Box::new(Expression::parse(attribute)?),
        }),
        Some(_) => Err(malformed()),
        None => {
            let text = argument.str().filter(|text| text.contains('.')).ok_or_else(malformed)?;
            Ok(Expression::reference(argument.at, text).kind)
        }
    }
}

fn conditional(argument: &Node) -> Result<Kind, TemplateError> {
    let Some([condition, then, otherwise]) = argument.list() else {
        return Err(TemplateError::at(
            argument.at,
            "Template error: Fn::If requires a list argument with three elements: a condition, a value if true, a value if false",
        ));
    };
    Ok(Kind::If {
        condition: condition.text("the condition of Fn::If")?,
        then: Box::new(Expression::parse(then)?),
        otherwise: Box::new(Expression::parse(otherwise)?),
    })
}

fn substitution(argument: &Node) -> Result<Kind, TemplateError> {
    let (text, variables) = match argument.list() {
        Some([text, variables]) => (text, variables.map("the second argument of Fn::Sub")?),
        Some(_) => {
            let message = "Template error: every Fn::Sub object requires a string, or a list of a string and an object";
            return Err(TemplateError::at(argument.at, message));
        }
        None => (argument, &[][..]),
    };
    let at = text.at;
    let text = text.text("the text of Fn::Sub")?;
    let mut pieces = Vec::new();
    for piece in split_variables(&text) {
        pieces.push(match piece {
            Part::Text(text) => Piece::Text(text.to_owned()),
            Part::Variable(name) => match variables.iter().find(|entry| entry.key == name) {
                Some(entry) => Piece::Value(Expression::parse(&entry.value)?),
                None if is_name(name) => Piece::Value(Expression::reference(at, name)),
                None => {
                    return Err(TemplateError::at(
                        at,
                        format!(
                            "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons: ${{{name}}}"
                        ),
                    ));
                }
            },
        });
    }
    Ok(Kind::Sub(pieces))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || "_.:".contains(character))
}

enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Splits `a ${Name} b ${!Literal}` into texts and names. `${!x}` stands for the text `${x}`.
fn split_variables(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, remainder)) = after.split_once('}') else { break };
        parts.push(Part::Text(before));
        match name.strip_prefix('!') {
            Some(literal) => parts.extend([Part::Text("${"), Part::Text(literal), Part::Text("}")]),
            None => parts.push(Part::Variable(name.trim())),
        }
        rest = remainder;
    }
    parts.push(Part::Text(rest));
    parts
}
