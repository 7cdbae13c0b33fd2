//! What an expression refers to.

use std::collections::BTreeMap;

use super::{
    Position,
    expression::{Expression, Kind, Piece},
};

/// A name that an expression needs: a parameter, a pseudo parameter or a resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference<'a> {
    pub(super) at: Position,
    pub(super) name: &'a str,
    /// For `Fn::GetAtt`, the attribute where it is a literal.
    pub(super) attribute: Option<&'a str>,
    pub(super) is_attribute: bool,
}

/// The references of an expression. Of an `Fn::If` only the branch that is taken counts; both count where the
/// condition is not in `conditions`.
pub(super) fn of<'a>(expression: &'a Expression, conditions: &BTreeMap<String, bool>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    collect(expression, conditions, &mut found);
    found
}

fn collect<'a>(expression: &'a Expression, conditions: &BTreeMap<String, bool>, found: &mut Vec<Reference<'a>>) {
    let at = expression.at;
    match &expression.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) | Kind::Call { arguments: items, .. } => {
            items.iter().for_each(|item| collect(item, conditions, found));
        }
        Kind::Map(members) => members.iter().for_each(|(_, member)| collect(member, conditions, found)),
        Kind::Ref(name) => found.push(Reference { at, name, attribute: None, is_attribute: false }),
        Kind::GetAtt { resource, attribute } => {
            let literal = match &attribute.kind {
                Kind::Scalar(value) => value.as_str(),
                _ => None,
            };
            found.push(Reference { at, name: resource, attribute: literal, is_attribute: true });
            collect(attribute, conditions, found);
        }
        Kind::Sub(pieces) => {
            for piece in pieces {
                if let Piece::Value(value) = piece {
                    collect(value, conditions, found);
                }
            }
        }
        Kind::If { condition, then, otherwise } => {
            let taken = conditions.get(condition);
            if taken != Some(&false) {
                collect(then, conditions, found);
            }
            if taken != Some(&true) {
                collect(otherwise, conditions, found);
            }
        }
    }
}
