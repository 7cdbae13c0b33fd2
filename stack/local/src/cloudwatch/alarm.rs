//! When an alarm alarms. Pure.

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum State {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

/// What a period without data counts for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum MissingData {
    #[default]
    Missing,
    Breaching,
    NotBreaching,
    Ignore,
}

/// How the value of a period is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Comparison {
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    AtLeast,
    #[serde(rename = "GreaterThanThreshold")]
    Above,
    #[serde(rename = "LessThanThreshold")]
    Below,
    #[serde(rename = "LessThanOrEqualToThreshold")]
    AtMost,
}

impl Comparison {
    fn is_breach(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// When an alarm alarms: `to_alarm` of the last `periods` periods breach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) comparison: Comparison,
    pub(super) threshold: f64,
    pub(super) periods: usize,
    pub(super) to_alarm: usize,
    pub(super) missing: MissingData,
}

impl Rule {
    /// The state after the values of the last periods, newest first; `None` leaves the state as it is.
    ///
    /// As on AWS (user guide, how alarms treat missing data) the newest `periods` values that exist decide, and missing
    /// data counts only where there are fewer of them.
    pub(super) fn judge(&self, newest_first: &[f64]) -> Option<State> {
        let values = newest_first.get(..self.periods).unwrap_or(newest_first);
        let missing = self.periods - values.len();
        let breaches = values.iter().filter(|value| self.comparison.is_breach(**value, self.threshold)).count();
        let breaches = match self.missing {
            MissingData::Breaching => breaches + missing,
            MissingData::Ignore if missing > 0 && breaches < self.to_alarm => return None,
            MissingData::Missing if values.is_empty() => return Some(State::InsufficientData),
            _ => breaches,
        };
        Some(if breaches >= self.to_alarm { State::Alarm } else { State::Ok })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_counts_as_the_alarm_says() {
        let judge = |missing: MissingData, values: &[f64]| {
            let comparison = Comparison::Above;
            Rule { comparison, threshold: 10.0, periods: 3, to_alarm: 2, missing }.judge(values)
        };
        for missing in [MissingData::Missing, MissingData::Breaching, MissingData::NotBreaching, MissingData::Ignore] {
            assert_eq!(judge(missing, &[11.0, 1.0, 11.0, 11.0]), Some(State::Alarm), "{missing:?}");
            assert_eq!(judge(missing, &[10.0, 1.0, 11.0, 11.0]), Some(State::Ok), "{missing:?}");
        }
        assert_eq!(judge(MissingData::Missing, &[]), Some(State::InsufficientData));
        assert_eq!(judge(MissingData::Breaching, &[]), Some(State::Alarm));
        assert_eq!(judge(MissingData::NotBreaching, &[]), Some(State::Ok));
        assert_eq!(judge(MissingData::Ignore, &[]), None);
        assert_eq!(judge(MissingData::Breaching, &[11.0]), Some(State::Alarm));
        assert_eq!(judge(MissingData::Missing, &[11.0]), Some(State::Ok));
    }
}
