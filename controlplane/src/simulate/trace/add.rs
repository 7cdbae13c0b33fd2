//! Several traces at once.

use super::Trace;

const MINUTE_S: i64 = 60;

/// The sum of several traces, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    pub trace: Trace,
    /// The share of each trace in every minute. Where the sum is not known or zero, it is that of the minute before.
    pub shares: Vec<Vec<f64>>,
}

/// Adds traces minute by minute by their own clocks, over the time that all of them tell of; nothing where there is none.
/// A minute of the sum is known where all of them know it.
#[must_use]
pub fn add(traces: &[Trace]) -> Option<Added> {
    let latest = traces.iter().map(|trace| trace.start).max()?;
    let skipped = |trace: &Trace| {
        let seconds = latest.as_second() - trace.start.as_second();
        usize::try_from((seconds + MINUTE_S / 2) / MINUTE_S).unwrap_or(usize::MAX)
    };
    let common: Option<Vec<_>> =
        traces.iter().map(|trace| trace.records.get(skipped(trace)..).filter(|rest| !rest.is_empty())).collect();
    let common = common?;
    let minutes = common.iter().map(|records| records.len()).min()?;
    let mut records = Vec::with_capacity(minutes);
    let mut shares = Vec::with_capacity(minutes);
    let mut last = vec![1.0 / common.len() as f64; common.len()];
    for minute in 0..minutes {
        let each: Option<Vec<f64>> = common.iter().map(|records| records[minute]).collect();
        let sum = each.as_ref().map(|each| each.iter().sum::<f64>());
        if let Some((each, sum)) = each.zip(sum).filter(|(_, sum)| *sum > 0.0) {
            last = each.into_iter().map(|one| one / sum).collect();
        }
        shares.push(last.clone());
        records.push(sum);
    }
    Some(Added { trace: Trace { start: latest, records }, shares })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn trace(start_s: i64, records: &[Option<f64>]) -> Trace {
        Trace { start: Timestamp::from_second(start_s).expect("a time"), records: records.to_vec() }
    }

    #[test]
    fn traces_are_added_by_their_clocks_where_all_of_them_tell() {
        let one = trace(0, &[Some(9.0), Some(1.0), Some(3.0), Some(0.0), None]);
        let other = trace(61, &[Some(1.0), Some(1.0), Some(0.0), Some(5.0), Some(5.0)]);
        let added = add(&[one, other]).expect("a sum");
        assert_eq!(added.trace, trace(61, &[Some(2.0), Some(4.0), Some(0.0), None]));
        assert_eq!(added.shares, [[0.5, 0.5], [0.75, 0.25], [0.75, 0.25], [0.75, 0.25]]);
    }

    #[test]
    fn traces_of_different_times_have_no_sum() {
        let minute = [Some(1.0)];
        assert_eq!(add(&[trace(0, &minute), trace(3_600, &minute)]), None);
        assert_eq!(add(&[]), None);
    }
}
