//! `PutMetricData`.

use serde::Deserialize;
use serde_json::Value;

use crate::service::{AwsError, Call, Reply};

use super::{
    CloudWatch,
    input::{Dimension, MetricName, Timestamp, invalid},
    samples::Samples,
    store::{MetricId, Publication, Sample},
};

/// Limits of one request (API reference of `PutMetricData` and `MetricDatum`).
const DATA_MAX: usize = 1_000;
const VALUES_MAX: usize = 150;
const DIMENSIONS_MAX: usize = 30;
const PAST_MAX_S: u64 = 14 * 24 * 3_600;
const FUTURE_MAX_S: u64 = 2 * 3_600;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutMetricData {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<MetricDatum>,
    entity_metric_data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDatum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<Timestamp>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
    unit: Option<String>,
    storage_resolution: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

struct Accepted {
    id: MetricId,
    unit: String,
    sample: Sample,
}

impl CloudWatch {
    pub(super) fn put_metric_data(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: PutMetricData = call.input()?;
        let now_ms = self.now_ms();
        if input.namespace.is_empty() || input.namespace.starts_with("AWS/") {
            return Err(invalid(format!("The value {} for parameter Namespace is invalid.", input.namespace)));
        }
        if input.metric_data.len() > DATA_MAX {
            return Err(invalid(format!("The collection MetricData must not have a size greater than {DATA_MAX}.")));
        }
        if input.entity_metric_data.is_some() {
            return Err(AwsError::not_implemented("monitoring", "PutMetricData with EntityMetricData"));
        }
        let accept = |datum| accept(&input.namespace, datum, now_ms / 1_000);
        let accepted: Vec<Accepted> = input.metric_data.into_iter().map(accept).collect::<Result<_, _>>()?;
        let mut store = self.store();
        for Accepted { id, unit, sample } in accepted {
            store.put(id, &unit, &sample, Publication { now_ms, visible_at_ms: now_ms });
        }
        Ok(Reply::empty())
    }
}

fn accept(namespace: &str, datum: MetricDatum, now_s: u64) -> Result<Accepted, AwsError> {
    let name = &datum.metric_name;
    if name.is_empty() || datum.dimensions.len() > DIMENSIONS_MAX {
        return Err(invalid(format!("The metric {name:?} has no name or more than {DIMENSIONS_MAX} dimensions.")));
    }
    if let Some(empty) = datum.dimensions.iter().find(|d| d.name.is_empty() || d.value.is_empty()) {
        return Err(invalid(format!("The dimension {:?} of the metric {name} has no name or no value.", empty.name)));
    }
    let at_s = datum.timestamp.map_or(now_s, Timestamp::seconds);
    if at_s + PAST_MAX_S < now_s || at_s > now_s + FUTURE_MAX_S {
        let message = "must be a value between two weeks ago and two hours in the future.";
        return Err(invalid(format!("The parameter Timestamp of the metric {name} {message}")));
    }
    let is_high_resolution = match datum.storage_resolution {
        None | Some(60) => false,
        Some(1) => true,
        Some(other) => return Err(invalid(format!("The storage resolution {other} is neither 1 nor 60."))),
    };
    let samples = samples(&datum)?;
    let metric =
        MetricName { namespace: namespace.to_owned(), metric_name: datum.metric_name, dimensions: datum.dimensions };
    Ok(Accepted {
        id: metric.id(),
        unit: datum.unit.unwrap_or_else(|| "None".to_owned()),
        sample: Sample { at_s, samples, is_high_resolution },
    })
}

fn samples(datum: &MetricDatum) -> Result<Samples, AwsError> {
    let name = &datum.metric_name;
    match (datum.value, &datum.statistic_values, datum.values.as_slice()) {
        (Some(value), None, []) => Ok(Samples::of(value, 1.0)),
        (None, Some(set), []) if set.sample_count > 0.0 && set.minimum <= set.maximum => {
            Ok(Samples::of_statistics(set.sum, set.sample_count, set.minimum, set.maximum))
        }
        (None, Some(_), []) => Err(invalid(format!("The statistics of the metric {name} contradict each other."))),
        (None, None, [first, rest @ ..]) if rest.len() < VALUES_MAX => {
            let has_counts = datum.counts.len() == rest.len() + 1 && datum.counts.iter().all(|count| *count > 0.0);
            if !datum.counts.is_empty() && !has_counts {
                return Err(invalid(format!("The metric {name} needs one positive count for each value.")));
            }
            let count = |at: usize| datum.counts.get(at).copied().unwrap_or(1.0);
            let mut samples = Samples::of(*first, count(0));
            for (at, value) in rest.iter().enumerate() {
                samples.add(&Samples::of(*value, count(at + 1)));
            }
            Ok(samples)
        }
        _ => Err(AwsError::new(
            "InvalidParameterCombination",
            format!("The metric {name} needs one of Value, StatisticValues, and at most {VALUES_MAX} Values."),
        )),
    }
}
