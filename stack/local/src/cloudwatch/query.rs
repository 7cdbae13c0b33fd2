//! Metric data queries: metrics and expressions over them, evaluated for a stretch of time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::service::AwsError;

use super::{
    expression::{self, Scope, TimeSeries, Value},
    input::{MetricName, check_period, malformed},
    samples::Statistic,
    store::Store,
};

/// How many queries one call may have (API reference of `GetMetricData`).
const QUERIES_MAX: usize = 500;

/// One query of `GetMetricData` or of an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Query {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metric_stat: Option<MetricStat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) return_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: MetricName,
    pub(super) period: u64,
    pub(super) stat: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
}

/// The time that is asked for, in seconds since the Unix epoch, and the time of asking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) from_s: u64,
    /// Not included.
    pub(super) until_s: u64,
    pub(super) now_ms: u64,
}

/// One series of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) series: TimeSeries,
}

/// Evaluates the queries and returns the series of those that return data, in their order.
///
/// # Errors
/// `ValidationError` with the id of the query at fault.
pub(super) fn evaluate(store: &Store, queries: &[Query], range: Range) -> Result<Vec<Answer>, AwsError> {
    check(queries)?;
    let mut metrics = Vec::new();
    for query in queries {
        if let Some(stat) = &query.metric_stat {
            metrics.push((query.id.clone(), series(store, stat, range)?));
        }
    }
    let values: BTreeMap<&str, Value> =
        metrics.iter().map(|(id, series)| (id.as_str(), Value::Series(series.clone()))).collect();
    let mut evaluation = Evaluation { queries, metrics: &metrics, values, open: Vec::new(), range };
    let mut answers = Vec::new();
    for query in queries.iter().filter(|query| query.return_data != Some(false)) {
        let value = evaluation.value(&query.id).map_err(|why| at_fault(query, &why))?;
        answer(query, value, &mut answers).map_err(|why| at_fault(query, &why))?;
    }
    Ok(answers)
}

fn at_fault(query: &Query, why: &str) -> AwsError {
    malformed(format!("Error in expression '{}': {why}", query.id))
}

fn check(queries: &[Query]) -> Result<(), AwsError> {
    if queries.is_empty() || queries.len() > QUERIES_MAX {
        return Err(malformed(format!("A call has 1 to {QUERIES_MAX} queries, not {}", queries.len())));
    }
    for (at, query) in queries.iter().enumerate() {
        let id = &query.id;
        let is_id = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_id {
            return Err(malformed(format!("The id {id:?} does not begin with a lower-case letter")));
        }
        if queries.iter().take(at).any(|other| other.id == *id) {
            return Err(malformed(format!("The id {id} is not unique")));
        }
        if query.metric_stat.is_some() == query.expression.is_some() {
            return Err(malformed(format!("The query {id} needs either MetricStat or Expression")));
        }
    }
    Ok(())
}

/// The series of one metric. A metric that does not exist has no points.
fn series(store: &Store, stat: &MetricStat, range: Range) -> Result<TimeSeries, AwsError> {
    let period_s = check_period(stat.period)?;
    let statistic = Statistic::parse(&stat.stat)?;
    let metric = store.get(&stat.metric.id());
    let metric = metric.filter(|metric| stat.unit.as_ref().is_none_or(|unit| *unit == metric.unit));
    let periods = metric
        .map(|metric| metric.periods(period_s, range.from_s / period_s * period_s, range.until_s, range.now_ms))
        .unwrap_or_default();
    let points = periods.iter().filter_map(|(at, samples)| Some((*at, samples.statistic(statistic)?))).collect();
    Ok(TimeSeries { label: stat.metric.metric_name.clone(), period_s, points })
}

struct Evaluation<'a> {
    queries: &'a [Query],
    metrics: &'a [(String, TimeSeries)],
    values: BTreeMap<&'a str, Value>,
    /// The expressions being evaluated, to find circles.
    open: Vec<&'a str>,
    range: Range,
}

impl Evaluation<'_> {
    fn value(&mut self, id: &str) -> Result<Value, String> {
        if let Some(value) = self.values.get(id) {
            return Ok(value.clone());
        }
        let query = self.queries.iter().find(|query| query.id == id);
        let query = query.ok_or_else(|| format!("no query has the id {id}"))?;
        let text = query.expression.as_deref().unwrap_or_default();
        if self.open.contains(&query.id.as_str()) {
            return Err(format!("{id} refers to itself"));
        }
        self.open.push(&query.id);
        let parsed = expression::parse(text)?;
        let (metrics, Range { from_s, until_s, now_ms }) = (self.metrics, self.range);
        // The future has no gaps to fill.
        let until_s = until_s.min(now_ms / 1_000 + 1);
        let mut scope = Scope { value_of: &mut |id| self.value(id), metrics, from_s, until_s };
        let value = expression::evaluate(&parsed, &mut scope)?;
        self.open.pop();
        self.values.insert(&query.id, value.clone());
        Ok(value)
    }
}

/// The series of one query: several where its expression is a list.
fn answer(query: &Query, value: Value, answers: &mut Vec<Answer>) -> Result<(), String> {
    match value {
        Value::Scalar(_) => Err("the result is a number, not a time series".to_owned()),
        Value::List(items) => items.into_iter().try_for_each(|item| answer(query, item, answers)),
        Value::Series(mut series) => {
            match (&query.label, &query.expression) {
                (Some(label), _) => series.label.clone_from(label),
                (None, Some(_)) => series.label.clone_from(&query.id),
                (None, None) => {}
            }
            answers.push(Answer { id: query.id.clone(), series });
            Ok(())
        }
    }
}
