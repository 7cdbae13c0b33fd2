//! Metric math: `SUM(METRICS()) / PERIOD(m1)` and the like. Pure.

mod evaluate;
mod functions;
mod parse;

use std::collections::BTreeMap;

pub(super) use evaluate::{Scope, evaluate};
pub(super) use parse::parse;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// The id of another query (lower case), or a keyword such as `REPEAT` (upper case).
    Name(String),
    List(Vec<Expression>),
    Negate(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> f64 {
        let truth = |is_true: bool| f64::from(u8::from(is_true));
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Power => left.powf(right),
            Self::Less => truth(left < right),
            Self::LessOrEqual => truth(left <= right),
            Self::Greater => truth(left > right),
            Self::GreaterOrEqual => truth(left >= right),
            Self::Equal => truth(left.total_cmp(&right).is_eq()),
            Self::NotEqual => truth(left.total_cmp(&right).is_ne()),
            Self::And => truth(is_true(left) && is_true(right)),
            Self::Or => truth(is_true(left) || is_true(right)),
        }
    }
}

fn is_true(value: f64) -> bool {
    value.abs() > 0.0
}

/// Values over time, by seconds since the Unix epoch. What is absent is missing, not zero.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeSeries {
    pub(super) label: String,
    pub(super) period_s: u64,
    pub(super) points: BTreeMap<u64, f64>,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Series(TimeSeries),
    List(Vec<Value>),
}
