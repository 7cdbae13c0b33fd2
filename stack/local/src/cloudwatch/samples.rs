//! The samples of one period of a metric, and the statistics that can be asked of them.

use crate::service::AwsError;

/// How many distinct values one period remembers for percentiles; with more it knows only its statistics.
const VALUES_MAX: usize = 5_000;

/// Samples as CloudWatch keeps them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Samples {
    sum: f64,
    count: f64,
    minimum: f64,
    maximum: f64,
    /// Values with their counts, in ascending order; `None` once only statistics of some samples are known.
    values: Option<Vec<(f64, f64)>>,
}

impl Samples {
    /// `count` samples of one value.
    pub(super) fn of(value: f64, count: f64) -> Self {
        let values = Some(vec![(value, count)]);
        Self { sum: value * count, count, minimum: value, maximum: value, values }
    }

    /// Samples of which only the statistics are known.
    pub(super) fn of_statistics(sum: f64, count: f64, minimum: f64, maximum: f64) -> Self {
        // Equal ends say what every value was.
        let is_constant = minimum.total_cmp(&maximum).is_eq();
        Self { sum, count, minimum, maximum, values: is_constant.then(|| vec![(minimum, count)]) }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        self.values = match (self.values.take(), &other.values) {
            (Some(mut values), Some(others)) => {
                others.iter().for_each(|(value, count)| insert(&mut values, *value, *count));
                Some(values).filter(|values| values.len() <= VALUES_MAX)
            }
            _ => None,
        };
    }

    /// The value of a statistic; `None` for a percentile of samples of which only the statistics are known.
    pub(super) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Sum => Some(self.sum),
            Statistic::SampleCount => Some(self.count),
            Statistic::Average => Some(self.sum / self.count).filter(|average| average.is_finite()),
            Statistic::Minimum => Some(self.minimum),
            Statistic::Maximum => Some(self.maximum),
            Statistic::Percentile(percent) => self.percentile(percent),
        }
    }

    /// The lowest value that at least `percent` of the samples do not exceed.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let values = self.values.as_ref()?;
        let rank = self.count * percent / 100.0;
        let mut below = 0.0;
        let reached = values.iter().find(|(_, count)| {
            below += count;
            below >= rank
        });
        reached.or(values.last()).map(|(value, _)| *value)
    }
}

fn insert(values: &mut Vec<(f64, f64)>, value: f64, count: f64) {
    match values.binary_search_by(|(other, _)| other.total_cmp(&value)) {
        Ok(at) => {
            if let Some((_, counted)) = values.get_mut(at) {
                *counted += count;
            }
        }
        Err(at) => values.insert(at, (value, count)),
    }
}

/// What is asked of the samples of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    Sum,
    SampleCount,
    Average,
    Minimum,
    Maximum,
    /// 0 to 100.
    Percentile(f64),
}

impl Statistic {
    /// Reads `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or `pNN`.
    pub(super) fn parse(text: &str) -> Result<Self, AwsError> {
        let percent = || text.strip_prefix('p')?.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
        Ok(match text {
            "Sum" => Self::Sum,
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            _ => Self::Percentile(percent().ok_or_else(|| {
                AwsError::new(
                    "InvalidParameterValue",
                    format!("localcloud knows no statistic {text:?}, only Sum, Average, Minimum, Maximum, SampleCount and pNN"),
                )
            })?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentile_needs_the_values() {
        let mut samples = Samples::of(1.0, 9.0);
        samples.add(&Samples::of(100.0, 1.0));
        assert_eq!(samples.statistic(Statistic::Percentile(90.0)), Some(1.0));
        assert_eq!(samples.statistic(Statistic::Percentile(99.0)), Some(100.0));
        samples.add(&Samples::of_statistics(3.0, 2.0, 1.0, 2.0));
        assert_eq!(samples.statistic(Statistic::Percentile(50.0)), None);
        assert_eq!(samples.statistic(Statistic::SampleCount), Some(12.0));
    }

    #[test]
    fn unknown_statistics_are_refused_by_name() {
        for text in ["tm99", "p101", "sum", "p"] {
            assert!(Statistic::parse(text).unwrap_err().message.contains(text), "{text}");
        }
        assert_eq!(Statistic::parse("p99.9").unwrap(), Statistic::Percentile(99.9));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn statistics_agree_with_a_plain_list(values in prop::collection::vec(-100_i32..100, 1..60), percent in 1_u32..=100) {
            let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut samples = Samples::of(values[0], 1.0);
            values[1..].iter().for_each(|value| samples.add(&Samples::of(*value, 1.0)));
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(samples.statistic(Statistic::Sum), Some(values.iter().sum::<f64>()));
            prop_assert_eq!(samples.statistic(Statistic::Minimum), values.first().copied());
            prop_assert_eq!(samples.statistic(Statistic::Maximum), values.last().copied());
            let rank = (values.len() * percent as usize).div_ceil(100);
            prop_assert_eq!(samples.statistic(Statistic::Percentile(f64::from(percent))), Some(values[rank - 1]));
        }
    }
}
