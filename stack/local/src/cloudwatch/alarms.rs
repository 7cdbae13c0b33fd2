//! The calls about alarms. An alarm is evaluated when somebody looks at it; its actions are kept and never taken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    page::page,
    service::{AwsError, Call, Reply},
};

use super::{
    CloudWatch,
    alarm::{Comparison, MissingData, Rule, State},
    input::{Dimension, MetricName, malformed},
    lock,
    query::{self, MetricStat, Query, Range},
    store::Store,
    tags::{Tag, by_key},
};

/// Default and maximum page of `DescribeAlarms` (API reference).
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// How many periods before the evaluated ones are looked at, because the newest are often not published yet.
const LATE_PERIODS: u64 = 3;

/// How long a state that somebody set stays before the alarm is evaluated again: alarms are evaluated each minute.
const SET_STATE_MS: u64 = 60_000;

/// What `PutMetricAlarm` sets and `DescribeAlarms` returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_description: Option<String>,
    #[serde(default = "enabled")]
    actions_enabled: bool,
    #[serde(default, rename = "OKActions")]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    evaluation_periods: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<usize>,
    threshold: f64,
    comparison_operator: Comparison,
    #[serde(skip_serializing_if = "Option::is_none")]
    treat_missing_data: Option<MissingData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Query>,
}

fn enabled() -> bool {
    true
}

/// An alarm and its state.
pub(super) struct Alarm {
    definition: Definition,
    pub(super) tags: BTreeMap<String, String>,
    state: State,
    reason: String,
    /// Milliseconds since the Unix epoch, as the two below.
    defined_ms: u64,
    updated_ms: u64,
    transitioned_ms: u64,
    /// The state was set by hand and stays until then.
    held_until_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAlarms {
    #[serde(default)]
    alarm_names: Vec<String>,
    #[serde(default)]
    alarm_name_prefix: String,
    #[serde(default)]
    alarm_types: Vec<String>,
    state_value: Option<State>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetAlarmState {
    alarm_name: String,
    state_value: State,
    state_reason: String,
}

impl Definition {
    fn check(&self) -> Result<(), AwsError> {
        if self.alarm_name.is_empty() || self.evaluation_periods == 0 {
            return Err(malformed("An alarm needs a name and at least one evaluation period"));
        }
        if self.datapoints_to_alarm.is_some_and(|count| count == 0 || count > self.evaluation_periods) {
            return Err(malformed("DatapointsToAlarm must be between 1 and EvaluationPeriods"));
        }
        if self.metrics.is_empty() && self.metric_stat().is_none() {
            return Err(malformed("An alarm needs Metrics, or MetricName, Namespace, Period and a statistic"));
        }
        Ok(())
    }

    fn metric_stat(&self) -> Option<MetricStat> {
        Some(MetricStat {
            metric: MetricName {
                namespace: self.namespace.clone()?,
                metric_name: self.metric_name.clone()?,
                dimensions: self.dimensions.clone(),
            },
            period: self.period?,
            stat: self.statistic.clone().or_else(|| self.extended_statistic.clone())?,
            unit: self.unit.clone(),
        })
    }

    fn queries(&self) -> Vec<Query> {
        let of_metric = |metric_stat| Query {
            id: "alarm".to_owned(),
            metric_stat: Some(metric_stat),
            expression: None,
            label: None,
            return_data: None,
            period: None,
        };
        match self.metric_stat() {
            Some(metric_stat) if self.metrics.is_empty() => vec![of_metric(metric_stat)],
            _ => self.metrics.clone(),
        }
    }

    fn longest_period_s(&self) -> u64 {
        let of_metric = |query: &Query| query.metric_stat.as_ref().map(|stat| stat.period).or(query.period);
        self.queries().iter().filter_map(of_metric).max().unwrap_or(60).max(1)
    }

    fn rule(&self) -> Rule {
        Rule {
            comparison: self.comparison_operator,
            threshold: self.threshold,
            periods: self.evaluation_periods,
            to_alarm: self.datapoints_to_alarm.unwrap_or(self.evaluation_periods),
            missing: self.treat_missing_data.unwrap_or_default(),
        }
    }

    /// The values of the evaluated periods, newest first.
    fn values(&self, store: &Store, now_ms: u64) -> Result<Vec<f64>, AwsError> {
        let period_s = self.longest_period_s();
        let until_s = now_ms / 1_000 / period_s * period_s;
        let periods = u64::try_from(self.evaluation_periods).unwrap_or(u64::MAX).saturating_add(LATE_PERIODS);
        let range = Range { from_s: until_s.saturating_sub(periods.saturating_mul(period_s)), until_s, now_ms };
        let answers = query::evaluate(store, &self.queries(), range)?;
        let series = answers.into_iter().next().ok_or_else(|| malformed("No query of the alarm returns data"))?.series;
        Ok(series.points.into_values().rev().collect())
    }
}

impl Alarm {
    fn become_state(&mut self, state: State, reason: String, now_ms: u64) {
        if self.state != state {
            self.transitioned_ms = now_ms;
        }
        (self.state, self.reason, self.updated_ms) = (state, reason, now_ms);
    }

    fn evaluate(&mut self, store: &Store, now_ms: u64) {
        if now_ms < self.held_until_ms {
            return;
        }
        let values = match self.definition.values(store, now_ms) {
            Ok(values) => values,
            Err(error) => return self.become_state(State::InsufficientData, error.to_string(), now_ms),
        };
        let Some(state) = self.definition.rule().judge(&values) else { return };
        if state != self.state {
            let considered: Vec<&f64> = values.iter().take(self.definition.evaluation_periods).collect();
            let reason = format!(
                "{:?} the threshold {}: {} of {} datapoints existed, newest first {considered:?}",
                self.definition.comparison_operator,
                self.definition.threshold,
                considered.len(),
                self.definition.evaluation_periods,
            );
            self.become_state(state, reason, now_ms);
        }
    }

    fn describe(&self, arn: &str) -> Value {
        let seconds = |ms: u64| json!(ms / 1_000);
        let mut described = match json!(self.definition) {
            Value::Object(described) => described,
            _ => Map::new(),
        };
        for (name, value) in [
            ("AlarmArn", json!(arn)),
            ("StateValue", json!(self.state)),
            ("StateReason", json!(self.reason)),
            ("StateUpdatedTimestamp", seconds(self.updated_ms)),
            ("StateTransitionedTimestamp", seconds(self.transitioned_ms)),
            ("AlarmConfigurationUpdatedTimestamp", seconds(self.defined_ms)),
        ] {
            described.insert(name.to_owned(), value);
        }
        described.into()
    }
}

impl CloudWatch {
    pub(super) fn alarm_arn(&self, name: &str) -> String {
        self.context.identity.arn("cloudwatch", &format!("alarm:{name}"))
    }

    pub(super) fn put_metric_alarm(&self, call: &Call) -> Result<Reply, AwsError> {
        // Read twice, because a flattened part would lose what type its members have.
        let (definition, Tags { tags }): (Definition, Tags) = (call.input()?, call.input()?);
        definition.check()?;
        let now_ms = self.now_ms();
        definition.values(&self.store(), now_ms)?;
        let mut alarms = lock(&self.alarms);
        let alarm = alarms.entry(definition.alarm_name.clone()).or_insert_with(|| Alarm {
            definition: definition.clone(),
            // As on AWS, an update leaves the tags as they are.
            tags: by_key(tags),
            state: State::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            defined_ms: now_ms,
            updated_ms: now_ms,
            transitioned_ms: now_ms,
            held_until_ms: 0,
        });
        (alarm.definition, alarm.defined_ms) = (definition, now_ms);
        Ok(Reply::empty())
    }

    pub(super) fn describe_alarms(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: DescribeAlarms = call.input()?;
        let now_ms = self.now_ms();
        let mut alarms = lock(&self.alarms);
        {
            let store = self.store();
            alarms.values_mut().for_each(|alarm| alarm.evaluate(&store, now_ms));
        }
        let wants_metric_alarms =
            input.alarm_types.is_empty() || input.alarm_types.iter().any(|kind| kind == "MetricAlarm");
        let wanted = alarms
            .iter()
            .filter(|(name, alarm)| {
                wants_metric_alarms
                    && (input.alarm_names.is_empty() || input.alarm_names.contains(name))
                    && name.starts_with(&input.alarm_name_prefix)
                    && input.state_value.is_none_or(|state| state == alarm.state)
            })
            .collect();
        let limit = input.max_records.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let (wanted, next) = page(wanted, |(name, _)| (*name).clone(), input.next_token.as_deref(), limit);
        let described: Vec<Value> =
            wanted.into_iter().map(|(name, alarm)| alarm.describe(&self.alarm_arn(name))).collect();
        Reply::json(&json!({ "MetricAlarms": described, "CompositeAlarms": [], "NextToken": next }))
    }

    pub(super) fn set_alarm_state(&self, call: &Call) -> Result<Reply, AwsError> {
        let SetAlarmState { alarm_name, state_value, state_reason } = call.input()?;
        let now_ms = self.now_ms();
        let mut alarms = lock(&self.alarms);
        let alarm = alarms.get_mut(&alarm_name).ok_or_else(|| no_alarm(&alarm_name))?;
        alarm.become_state(state_value, state_reason, now_ms);
        alarm.held_until_ms = now_ms + SET_STATE_MS;
        Ok(Reply::empty())
    }

    pub(super) fn delete_alarms(&self, call: &Call) -> Result<Reply, AwsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct DeleteAlarms {
            alarm_names: Vec<String>,
        }
        let input: DeleteAlarms = call.input()?;
        let mut alarms = lock(&self.alarms);
        if let Some(missing) = input.alarm_names.iter().find(|name| !alarms.contains_key(*name)) {
            return Err(no_alarm(missing));
        }
        alarms.retain(|name, _| !input.alarm_names.contains(name));
        Ok(Reply::empty())
    }
}

fn no_alarm(name: &str) -> AwsError {
    AwsError { status: 404, ..AwsError::new("ResourceNotFound", format!("Alarm {name} does not exist.")) }
}
