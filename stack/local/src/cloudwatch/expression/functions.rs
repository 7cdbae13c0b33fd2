//! The functions of metric math that localcloud knows.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Expression, TimeSeries, Value,
    evaluate::{Scope, evaluate, map},
    is_true,
};

/// How many points `FILL` may make: the most that one `GetMetricData` returns (API reference).
const FILLED_MAX: u64 = 100_800;

pub(super) fn call(name: &str, arguments: &[Expression], scope: &mut Scope<'_>) -> Result<Value, String> {
    match (name, arguments) {
        ("METRICS", []) => Ok(metrics(scope, "")),
        ("METRICS", [Expression::Text(part)]) => Ok(metrics(scope, part)),
        ("SUM" | "AVG" | "MIN" | "MAX", [argument]) => Ok(reduce(name, evaluate(argument, scope)?)),
        ("RATE", [argument]) => each(evaluate(argument, scope)?, "RATE", &|series| rate(&series)),
        ("PERIOD", [argument]) => match evaluate(argument, scope)? {
            Value::Series(series) => Ok(Value::Scalar(seconds(series.period_s))),
            _ => Err("PERIOD needs a metric".to_owned()),
        },
        ("FILL", [argument, filler]) => fill(evaluate(argument, scope)?, filler, scope),
        ("IF", [condition, then]) => {
            let (condition, then) = (evaluate(condition, scope)?, evaluate(then, scope)?);
            choose(condition, &then, None)
        }
        ("IF", [condition, then, otherwise]) => {
            let condition = evaluate(condition, scope)?;
            let (then, otherwise) = (evaluate(then, scope)?, evaluate(otherwise, scope)?);
            choose(condition, &then, Some(&otherwise))
        }
        ("METRICS" | "SUM" | "AVG" | "MIN" | "MAX" | "RATE" | "PERIOD" | "FILL" | "IF", _) => {
            Err(format!("{name} does not take these arguments"))
        }
        _ => Err(format!("localcloud does not implement the function {name}")),
    }
}

fn metrics(scope: &Scope<'_>, part: &str) -> Value {
    let wanted = scope.metrics.iter().filter(|(id, _)| id.contains(part));
    Value::List(wanted.map(|(_, series)| Value::Series(series.clone())).collect())
}

fn seconds(period_s: u64) -> f64 {
    f64::from(u32::try_from(period_s).unwrap_or(u32::MAX))
}

fn fold(function: &str, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    match function {
        "AVG" => sum / f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX)),
        "MIN" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "MAX" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => sum,
    }
}

/// One series becomes a number over its points; a list becomes a series over the values at each time.
fn reduce(function: &str, argument: Value) -> Value {
    let items = match argument {
        Value::Scalar(value) => return Value::Scalar(value),
        Value::Series(series) => {
            let values: Vec<f64> = series.points.into_values().collect();
            return Value::Scalar(if values.is_empty() { f64::NAN } else { fold(function, &values) });
        }
        Value::List(items) => items,
    };
    let (mut series, mut scalars) = (Vec::new(), Vec::new());
    flatten(items, &mut series, &mut scalars);
    let times: BTreeSet<u64> = series.iter().flat_map(|series: &TimeSeries| series.points.keys().copied()).collect();
    let at = |time: u64| {
        let values: Vec<f64> =
            series.iter().filter_map(|series| series.points.get(&time).copied()).chain(scalars.clone()).collect();
        fold(function, &values)
    };
    let points: BTreeMap<u64, f64> = times.into_iter().map(|time| (time, at(time))).collect();
    let period_s = series.iter().map(|series| series.period_s).max().unwrap_or(60);
    Value::Series(TimeSeries { label: function.to_owned(), period_s, points })
}

fn flatten(items: Vec<Value>, series: &mut Vec<TimeSeries>, scalars: &mut Vec<f64>) {
    for item in items {
        match item {
            Value::Scalar(value) => scalars.push(value),
            Value::Series(one) => series.push(one),
            Value::List(items) => flatten(items, series, scalars),
        }
    }
}

/// Applies something to a series, or to every series of a list.
fn each(value: Value, function: &str, change: &dyn Fn(TimeSeries) -> TimeSeries) -> Result<Value, String> {
    match value {
        Value::Series(series) => Ok(Value::Series(change(series))),
        Value::List(items) => {
            items.into_iter().map(|item| each(item, function, change)).collect::<Result<_, _>>().map(Value::List)
        }
        Value::Scalar(_) => Err(format!("{function} needs a metric, not a number")),
    }
}

/// The change per second since the point before.
fn rate(series: &TimeSeries) -> TimeSeries {
    map(series, |at, value| {
        let (before, earlier) = series.points.range(..at).next_back()?;
        Some((value - earlier) / seconds(at - before))
    })
}

fn fill(value: Value, filler: &Expression, scope: &mut Scope<'_>) -> Result<Value, String> {
    let constant = match filler {
        Expression::Name(keyword) if keyword == "REPEAT" => None,
        other => match evaluate(other, scope)? {
            Value::Scalar(constant) => Some(constant),
            _ => return Err("FILL fills with a number or REPEAT".to_owned()),
        },
    };
    let (from_s, until_s) = (scope.from_s, scope.until_s);
    if let Value::Series(series) = &value
        && until_s.saturating_sub(from_s) / series.period_s.max(1) > FILLED_MAX
    {
        return Err(format!("FILL makes at most {FILLED_MAX} points"));
    }
    each(value, "FILL", &|series| {
        let period_s = series.period_s.max(1);
        let mut filled = series.points.clone();
        let mut last = None;
        for at in (from_s / period_s * period_s..until_s).step_by(usize::try_from(period_s).unwrap_or(usize::MAX)) {
            match series.points.get(&at) {
                Some(value) => last = Some(*value),
                None => drop(constant.or(last).map(|value| filled.insert(at, value))),
            }
        }
        TimeSeries { points: filled, ..series }
    })
}

/// `then` where the condition holds, `otherwise` where it does not. A number stands for a value at every time.
fn choose(condition: Value, then: &Value, otherwise: Option<&Value>) -> Result<Value, String> {
    let condition = match condition {
        Value::Scalar(value) if is_true(value) => return Ok(then.clone()),
        Value::Scalar(_) => return otherwise.cloned().ok_or_else(|| "IF has nothing to choose".to_owned()),
        Value::Series(series) => series,
        Value::List(_) => return Err("the condition of IF is a list".to_owned()),
    };
    if matches!(then, Value::List(_)) || matches!(otherwise, Some(Value::List(_))) {
        return Err("IF cannot choose between lists".to_owned());
    }
    let value_at = |value: &Value, at: u64| match value {
        Value::Scalar(value) => Some(*value),
        Value::Series(series) => series.points.get(&at).copied(),
        Value::List(_) => None,
    };
    Ok(Value::Series(map(&condition, |at, held| {
        if is_true(held) { value_at(then, at) } else { otherwise.and_then(|value| value_at(value, at)) }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::expression::parse;

    fn series(label: &str, points: &[(u64, f64)]) -> TimeSeries {
        TimeSeries { label: label.to_owned(), period_s: 60, points: points.iter().copied().collect() }
    }

    fn value(text: &str) -> Result<Value, String> {
        let metrics = [
            ("m1".to_owned(), series("m1", &[(0, 60.0), (60, 120.0), (180, 30.0)])),
            ("m2".to_owned(), series("m2", &[(0, 1.0), (120, 2.0), (180, 0.0)])),
        ];
        let known = metrics.clone();
        let mut value_of = |id: &str| {
            let found = known.iter().find(|(name, _)| name == id);
            found.map(|(_, series)| Value::Series(series.clone())).ok_or_else(|| format!("no query has the id {id}"))
        };
        let mut scope = Scope { value_of: &mut value_of, metrics: &metrics, from_s: 0, until_s: 240 };
        evaluate(&parse(text)?, &mut scope)
    }

    fn points(text: &str) -> Vec<(u64, f64)> {
        match value(text).unwrap() {
            Value::Series(series) => series.points.into_iter().collect(),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn series_meet_only_where_both_have_a_point() {
        assert_eq!(points("m1 + m2 * 2"), [(0, 62.0), (180, 30.0)]);
        assert_eq!(points("m1 / m2"), [(0, 60.0)], "division by zero is missing");
        assert_eq!(points("m1 * SUM(FILL(m1, 0) / 0)"), [], "and so is what depends on it");
        assert_eq!(points("m1 / PERIOD(m1)"), [(0, 1.0), (60, 2.0), (180, 0.5)]);
        assert_eq!(points("-m2"), [(0, -1.0), (120, -2.0), (180, 0.0)]);
    }

    #[test]
    fn a_list_is_reduced_over_what_is_there_at_each_time() {
        assert_eq!(points("SUM(METRICS())"), [(0, 61.0), (60, 120.0), (120, 2.0), (180, 30.0)]);
        assert_eq!(points("AVG([m1, m2])"), [(0, 30.5), (60, 120.0), (120, 2.0), (180, 15.0)]);
        assert_eq!(points("MAX([m1, 100])"), [(0, 100.0), (60, 120.0), (180, 100.0)]);
        assert_eq!(points("MIN(METRICS(\"2\"))"), [(0, 1.0), (120, 2.0), (180, 0.0)]);
        assert_eq!(value("SUM(m1)").unwrap(), Value::Scalar(210.0));
        assert_eq!(value("MAX(m1) - MIN(m1)").unwrap(), Value::Scalar(90.0));
    }

    #[test]
    fn gaps_are_filled_only_where_asked() {
        assert_eq!(points("FILL(m1, 0)"), [(0, 60.0), (60, 120.0), (120, 0.0), (180, 30.0)]);
        assert_eq!(points("FILL(m1, REPEAT)"), [(0, 60.0), (60, 120.0), (120, 120.0), (180, 30.0)]);
        assert_eq!(points("RATE(m1)"), [(60, 1.0), (180, -0.75)]);
    }

    #[test]
    fn a_condition_chooses_point_by_point() {
        assert_eq!(points("IF(m1 > 50, m1, 0)"), [(0, 60.0), (60, 120.0), (180, 0.0)]);
        assert_eq!(points("IF(m1 > 50 AND m1 < 100, 1)"), [(0, 1.0)]);
        assert_eq!(points("IF(SUM(m2) > 2, m1, m2)").len(), 3);
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_name() {
        assert!(value("ANOMALY_DETECTION_BAND(m1)").unwrap_err().contains("ANOMALY_DETECTION_BAND"));
        assert!(value("SEARCH('x', 'Sum', 60)").unwrap_err().contains("SEARCH"));
        assert!(value("FILL(m1, LINEAR)").unwrap_err().contains("LINEAR"));
        assert!(value("m3").unwrap_err().contains("m3"));
        assert!(value("SUM(m1, m2)").is_err() && value("METRICS() * METRICS()").is_err());
    }
}
