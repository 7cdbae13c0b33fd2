//! Templates: text in, a resolved graph out. Pure: no clock, no randomness, no services.
//!
//! [`Template::parse`] reads YAML or JSON once into expressions. [`Bound`] is a template with parameters: which
//! resources exist, what each depends on, and, as soon as the resources it refers to are known, its properties.

mod bound;
mod cidr;
mod document;
mod evaluate;
mod expression;
mod graph;
mod parameters;
mod references;
mod rules;
mod sections;

pub(crate) use bound::{Bound, Known, OutputValue, Pseudo};
pub(crate) use document::scalar_text;
pub(crate) use graph::{Graph, order, reverse};
pub(crate) use parameters::{Given, Parameter};
pub(crate) use sections::{CreationPolicy, DeletionPolicy, ResourceDefinition, Template};

use std::fmt;

use crate::service::AwsError;

/// A place in the template's text, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// Why a template cannot be used, worded as CloudFormation does, with the place where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .at.map(|at| format!(" ({at})")).unwrap_or_default())]
pub(crate) struct TemplateError {
    message: String,
    at: Option<Position>,
}

impl TemplateError {
    pub(crate) fn at(at: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), at: Some(at) }
    }

    /// An error of the call rather than of a place in the template, such as a parameter without a value.
    pub(crate) fn call(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None }
    }
}

impl From<TemplateError> for AwsError {
    fn from(error: TemplateError) -> Self {
        Self::new("ValidationError", error.to_string())
    }
}

#[cfg(test)]
mod tests;
