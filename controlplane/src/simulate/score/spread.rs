//! Several runs in one: medians over seeds, and how far the seeds are apart.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Score;

/// The lowest and the highest of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub min: f64,
    pub max: f64,
}

/// The scores of several seeds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Each number's median over the seeds.
    pub median: Score,
    /// Where seeds differ, by how much.
    pub spread: BTreeMap<&'static str, Spread>,
    /// Which of the runs is nearest to the medians.
    pub typical: usize,
}

impl Summary {
    /// Sums up at least one score.
    #[must_use]
    pub fn of(scores: &[Score]) -> Self {
        let runs: Vec<Vec<f64>> = scores.iter().map(Score::values).collect();
        let mut medians = Vec::with_capacity(Score::NAMES.len());
        let mut spread = BTreeMap::new();
        for (index, name) in Score::NAMES.iter().enumerate() {
            let mut values: Vec<f64> = runs.iter().map(|run| run[index]).collect();
            values.sort_by(f64::total_cmp);
            medians.push(median(&values));
            if let (Some(min), Some(max)) = (values.first().copied(), values.last().copied())
                && min < max
            {
                spread.insert(*name, Spread { min, max });
            }
        }
        let distance = |run: &Vec<f64>| -> f64 {
            run.iter().zip(&medians).map(|(value, median)| (value - median).abs() / median.abs().max(1e-3)).sum()
        };
        let nearest = (0..runs.len()).min_by(|one, other| distance(&runs[*one]).total_cmp(&distance(&runs[*other])));
        Self { median: Score::from_values(&medians), spread, typical: nearest.unwrap_or_default() }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = (sorted.len() / 2).checked_sub(1).and_then(|index| sorted.get(index)).copied().unwrap_or(upper);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_own_median_and_one_run_is_the_nearest() {
        let score = |dollars, calls| Score { dollars, calls, ..Score::default() };
        let summary = Summary::of(&[score(1.0, 9.0), score(2.0, 3.0), score(9.0, 4.0)]);
        assert_eq!(summary.median, score(2.0, 4.0));
        assert_eq!(summary.spread["dollars"], Spread { min: 1.0, max: 9.0 });
        assert!(!summary.spread.contains_key("lost_pct"));
        assert_eq!(summary.typical, 1);
        assert_eq!(Summary::of(&[score(1.0, 2.0), score(3.0, 2.0)]).median, score(2.0, 2.0));
    }
}
