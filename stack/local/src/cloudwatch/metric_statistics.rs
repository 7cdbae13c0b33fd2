//! `GetMetricStatistics`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::service::{AwsError, Call, Reply};

use super::{
    CloudWatch,
    input::{MetricName, Timestamp, check_period, invalid},
    samples::{Samples, Statistic},
};

/// The most data points of one answer (API reference).
const DATAPOINTS_MAX: usize = 1_440;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricStatistics {
    #[serde(flatten)]
    metric: MetricName,
    start_time: Timestamp,
    end_time: Timestamp,
    period: u64,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
    unit: Option<String>,
}

impl CloudWatch {
    pub(super) fn get_metric_statistics(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: GetMetricStatistics = call.input()?;
        let period_s = check_period(input.period)?;
        if input.start_time >= input.end_time {
            return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
        }
        if input.statistics.is_empty() && input.extended_statistics.is_empty() {
            return Err(AwsError::new(
                "MissingParameter",
                "At least one of Statistics and ExtendedStatistics is needed.",
            ));
        }
        let parse = |texts: Vec<String>| -> Result<Vec<(String, Statistic)>, AwsError> {
            texts.into_iter().map(|text| Statistic::parse(&text).map(|statistic| (text, statistic))).collect()
        };
        let (statistics, extended) = (parse(input.statistics)?, parse(input.extended_statistics)?);
        let store = self.store();
        let metric = store.get(&input.metric.id());
        let Some(metric) = metric.filter(|metric| input.unit.as_ref().is_none_or(|unit| *unit == metric.unit)) else {
            return Reply::json(&json!({ "Label": input.metric.metric_name, "Datapoints": [] }));
        };
        let from_s = input.start_time.seconds() / period_s * period_s;
        let periods = metric.periods(period_s, from_s, input.end_time.seconds(), self.now_ms());
        if periods.len() > DATAPOINTS_MAX {
            let message = format!(
                "You have requested up to {} datapoints, which exceeds the limit of {DATAPOINTS_MAX}.",
                periods.len()
            );
            return Err(AwsError::new("InvalidParameterCombination", message));
        }
        let datapoint = |(at, samples): (&u64, &Samples)| {
            let mut datapoint = values(samples, &statistics);
            datapoint.insert("Timestamp".to_owned(), (*at).into());
            datapoint.insert("Unit".to_owned(), metric.unit.as_str().into());
            if !extended.is_empty() {
                datapoint.insert("ExtendedStatistics".to_owned(), values(samples, &extended).into());
            }
            Value::Object(datapoint)
        };
        let datapoints: Vec<Value> = periods.iter().map(datapoint).collect();
        Reply::json(&json!({ "Label": input.metric.metric_name, "Datapoints": datapoints }))
    }
}

fn values(samples: &Samples, statistics: &[(String, Statistic)]) -> Map<String, Value> {
    let value = |(name, statistic): &(String, Statistic)| Some((name.clone(), samples.statistic(*statistic)?.into()));
    statistics.iter().filter_map(value).collect()
}
