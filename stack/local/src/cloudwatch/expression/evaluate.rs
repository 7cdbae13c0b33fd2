//! [`Expression`] to [`Value`].

use std::collections::BTreeMap;

use super::{Expression, Operator, TimeSeries, Value, functions};

/// What an expression can refer to.
pub(in crate::cloudwatch) struct Scope<'a> {
    /// The value of another query.
    pub(in crate::cloudwatch) value_of: &'a mut dyn FnMut(&str) -> Result<Value, String>,
    /// Every query for a metric (not for an expression), with its id.
    pub(in crate::cloudwatch) metrics: &'a [(String, TimeSeries)],
    /// The time that was asked for, in seconds since the Unix epoch.
    pub(in crate::cloudwatch) from_s: u64,
    pub(in crate::cloudwatch) until_s: u64,
}

/// Evaluates an expression.
///
/// # Errors
/// A sentence that names what cannot be evaluated.
pub(in crate::cloudwatch) fn evaluate(expression: &Expression, scope: &mut Scope<'_>) -> Result<Value, String> {
    match expression {
        Expression::Number(number) => Ok(Value::Scalar(*number)),
        Expression::Text(text) => Err(format!("the text {text:?} is not a value")),
        Expression::Name(name) => (scope.value_of)(name),
        Expression::List(items) => {
            items.iter().map(|item| evaluate(item, scope)).collect::<Result<_, _>>().map(Value::List)
        }
        Expression::Negate(inner) => combine(Operator::Subtract, &Value::Scalar(0.0), &evaluate(inner, scope)?),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, scope)?, evaluate(right, scope)?);
            combine(*operator, &left, &right)
        }
        Expression::Call(name, arguments) => functions::call(name, arguments, scope),
    }
}

/// Applies an operator. Two series meet where both have a point; a list meets anything item by item.
fn combine(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Ok(Value::Scalar(operator.apply(*left, *right))),
        (Value::Series(left), Value::Scalar(right)) => {
            Ok(Value::Series(map(left, |_, value| Some(operator.apply(value, *right)))))
        }
        (Value::Scalar(left), Value::Series(right)) => {
            Ok(Value::Series(map(right, |_, value| Some(operator.apply(*left, value)))))
        }
        (Value::Series(left), Value::Series(right)) => {
            let mut joined = map(left, |at, value| Some(operator.apply(value, *right.points.get(&at)?)));
            joined.period_s = left.period_s.max(right.period_s);
            Ok(Value::Series(joined))
        }
        (Value::List(_), Value::List(_)) => Err("two lists cannot be combined".to_owned()),
        (Value::List(items), other) => {
            items.iter().map(|item| combine(operator, item, other)).collect::<Result<_, _>>().map(Value::List)
        }
        (other, Value::List(items)) => {
            items.iter().map(|item| combine(operator, other, item)).collect::<Result<_, _>>().map(Value::List)
        }
    }
}

/// A series with each point replaced. What is not a number afterwards is missing: a division by zero, or arithmetic with
/// the sum of a metric without data.
pub(super) fn map(series: &TimeSeries, point: impl Fn(u64, f64) -> Option<f64>) -> TimeSeries {
    let points: BTreeMap<u64, f64> = series
        .points
        .iter()
        .filter_map(|(at, value)| Some((*at, point(*at, *value).filter(|value| value.is_finite())?)))
        .collect();
    TimeSeries { points, ..series.clone() }
}
