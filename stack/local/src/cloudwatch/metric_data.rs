//! `GetMetricData`.

use serde::{Deserialize, Serialize};

use crate::service::{AwsError, Call, Reply};

use super::{
    CloudWatch,
    input::{Timestamp, malformed},
    query::{self, Answer, Query, Range},
};

/// The default and the maximum of data points in one answer (API reference).
const DATAPOINTS_MAX: usize = 100_800;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData {
    metric_data_queries: Vec<Query>,
    start_time: Timestamp,
    end_time: Timestamp,
    next_token: Option<String>,
    #[serde(default)]
    scan_by: ScanBy,
    max_datapoints: Option<usize>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum ScanBy {
    #[default]
    TimestampDescending,
    TimestampAscending,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    metric_data_results: Vec<MetricDataResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    messages: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult {
    id: String,
    label: String,
    timestamps: Vec<u64>,
    values: Vec<f64>,
    status_code: &'static str,
}

impl CloudWatch {
    pub(super) fn get_metric_data(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: GetMetricData = call.input()?;
        if input.start_time >= input.end_time {
            return Err(malformed("The parameter EndTime must be greater than StartTime."));
        }
        let skip = match &input.next_token {
            None => 0,
            Some(token) => {
                token.parse().map_err(|_| AwsError::new("InvalidNextToken", "The token is not one of this endpoint"))?
            }
        };
        let limit = input.max_datapoints.unwrap_or(DATAPOINTS_MAX).clamp(1, DATAPOINTS_MAX);
        let range =
            Range { from_s: input.start_time.seconds(), until_s: input.end_time.seconds(), now_ms: self.now_ms() };
        let answers = query::evaluate(&self.store(), &input.metric_data_queries, range)?;
        Reply::json(&page(answers, input.scan_by, skip, limit))
    }
}

/// The points after the first `skip` ones, counted over all series in their order, and at most `limit` of them.
fn page(answers: Vec<Answer>, scan_by: ScanBy, skip: usize, limit: usize) -> Output {
    let total: usize = answers.iter().map(|answer| answer.series.points.len()).sum();
    let end = total.min(skip.saturating_add(limit));
    let mut seen = 0;
    let mut results = Vec::new();
    for Answer { id, series } in answers {
        let mut points: Vec<(u64, f64)> = series.points.into_iter().collect();
        if scan_by == ScanBy::TimestampDescending {
            points.reverse();
        }
        let (begins, ends) = (seen, seen + points.len());
        seen = ends;
        let shown = points.get(skip.clamp(begins, ends) - begins..end.clamp(begins, ends) - begins).unwrap_or_default();
        results.push(MetricDataResult {
            id,
            label: series.label,
            timestamps: shown.iter().map(|(at, _)| *at).collect(),
            values: shown.iter().map(|(_, value)| *value).collect(),
            status_code: if ends <= end { "Complete" } else { "PartialData" },
        });
    }
    let next_token = (end < total).then(|| end.to_string());
    Output { metric_data_results: results, next_token, messages: [] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::expression::TimeSeries;
    use proptest::prelude::*;

    fn answers(lengths: &[usize]) -> Vec<Answer> {
        let series = |length: usize| TimeSeries {
            label: String::new(),
            period_s: 60,
            points: (0..length as u64).map(|at| (at * 60, 1.0)).collect(),
        };
        lengths
            .iter()
            .enumerate()
            .map(|(number, length)| Answer { id: format!("m{number}"), series: series(*length) })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pages_join_to_everything(lengths in prop::collection::vec(0_usize..7, 1..5), limit in 1_usize..9) {
            let mut joined = vec![Vec::new(); lengths.len()];
            let mut skip = 0;
            loop {
                let page = page(answers(&lengths), ScanBy::TimestampAscending, skip, limit);
                let points = page.metric_data_results.iter().map(|result| result.values.len()).sum::<usize>();
                prop_assert!(points <= limit);
                for (all, result) in joined.iter_mut().zip(page.metric_data_results) {
                    all.extend(result.timestamps);
                }
                let Some(next) = page.next_token else { break };
                skip = next.parse().unwrap();
            }
            for (all, length) in joined.iter().zip(&lengths) {
                prop_assert_eq!(all, &(0..*length as u64).map(|at| at * 60).collect::<Vec<_>>());
            }
        }
    }
}
