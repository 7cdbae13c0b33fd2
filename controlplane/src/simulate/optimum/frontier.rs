//! What is possible without knowing the future: shard-hours against refused load, for a family of policies.
//!
//! Each policy of the family keeps some headroom above the highest demand of the last so many minutes, as far as it was
//! known then, under the same limits as the optimum. No constants are shared with `decide`, so the lower envelope of the
//! family says how near a policy is to what could be had with the same information. It proves nothing: a cleverer family
//! may find better points.

use std::collections::VecDeque;

use super::limits::Limits;
use crate::simulate::trace::{Bursts, Demand};

/// Minutes that a policy of the family looks back, from a quarter of an hour to two days.
const LOOKBACKS: [usize; 9] = [15, 30, 60, 120, 240, 480, 1_440, 2_160, 2_880];

/// Shards over the highest demand that it saw.
const HEADROOMS: [f64; 12] = [1.05, 1.15, 1.25, 1.35, 1.45, 1.6, 1.8, 2.0, 2.25, 2.5, 3.0, 4.0];

/// Calls that going down may use of the window's; the others are kept for going up.
const DOWN_CALLS: [u32; 3] = [2, 4, 6];

/// One policy of the family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub headroom: f64,
    pub lookback_minutes: usize,
    pub down_calls: u32,
    pub shard_hours: f64,
    /// Share of the load that comes in a second beyond what the shards take, in percent.
    pub refused_pct: f64,
}

/// The policies of the family that no other beats in both respects, the cheapest first. `delay` is how many minutes old
/// the newest known demand is.
#[must_use]
pub fn frontier(demand: &Demand, bursts: Bursts, delay: usize, limits: &Limits) -> Vec<Point> {
    let seconds: Vec<_> = demand.shards.iter().enumerate().map(|(minute, mean)| bursts.expand(minute, *mean)).collect();
    let mut points = Vec::new();
    for lookback in LOOKBACKS {
        let highest = trailing(&demand.shards, lookback, delay);
        for headroom in HEADROOMS {
            for down_calls in DOWN_CALLS {
                let counts = follow(&highest, headroom, down_calls, limits);
                let hours = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / 60.0;
                let refused_pct = refused(&demand.shards, &seconds, &counts);
                points.push(Point {
                    headroom,
                    lookback_minutes: lookback,
                    down_calls,
                    shard_hours: hours,
                    refused_pct,
                });
            }
        }
    }
    envelope(points)
}

/// The highest demand of the minutes that are known at each minute.
fn trailing(shards: &[f64], lookback: usize, delay: usize) -> Vec<f64> {
    let mut highest: VecDeque<usize> = VecDeque::new();
    (0..shards.len())
        .map(|minute| {
            if let Some(newest) = minute.checked_sub(delay + 1) {
                while highest.back().is_some_and(|index| shards[*index] <= shards[newest]) {
                    highest.pop_back();
                }
                highest.push_back(newest);
                while highest.front().is_some_and(|index| index + lookback <= newest) {
                    highest.pop_front();
                }
            }
            highest.front().map_or(0.0, |index| shards[*index])
        })
        .collect()
}

fn follow(highest: &[f64], headroom: f64, down_calls: u32, limits: &Limits) -> Vec<u32> {
    let (mut open, mut pending) = (limits.start, None);
    let mut calls: VecDeque<usize> = VecDeque::new();
    let mut counts = Vec::with_capacity(highest.len());
    for (minute, highest) in highest.iter().enumerate() {
        if let Some((_, to)) = pending.take_if(|(done, _)| *done <= minute) {
            open = to;
        }
        while calls.front().is_some_and(|call| call + limits.window <= minute) {
            calls.pop_front();
        }
        let wanted = ((highest * headroom).ceil() as u32).clamp(limits.min.max(1), limits.max);
        let to = wanted.clamp(open.div_ceil(2), open * 2);
        let allowed = if to > open { limits.calls } else { down_calls.min(limits.calls) };
        // Fewer by less than a quarter is not worth a call.
        let worth = to > open || to * 4 <= open * 3;
        if pending.is_none() && to != open && worth && calls.len() < allowed as usize {
            calls.push_back(minute);
            pending = Some((minute + limits.lead(open, to), to));
        }
        counts.push(open);
    }
    counts
}

/// In percent.
fn refused(shards: &[f64], seconds: &[[f64; 60]], counts: &[u32]) -> f64 {
    let (mut refused, mut total) = (0.0, 0.0);
    for ((demand, seconds), open) in shards.iter().zip(seconds).zip(counts) {
        total += demand;
        let open = f64::from(*open);
        if demand * Bursts::HIGHEST > open {
            refused += seconds.iter().map(|second| (second - open).max(0.0)).sum::<f64>() / seconds.len() as f64;
        }
    }
    if total > 0.0 { 100.0 * refused / total } else { 0.0 }
}

fn envelope(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|one, other| {
        (one.shard_hours, one.refused_pct)
            .partial_cmp(&(other.shard_hours, other.refused_pct))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut least = f64::INFINITY;
    points.retain(|point| {
        let better = point.refused_pct < least;
        least = least.min(point.refused_pct);
        better
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::trace::{Gaps, Shape};

    #[test]
    fn the_envelope_falls_from_cheap_to_safe() {
        let demand = Shape::FlashCrowd.trace(1_440, 1).demand("peak=12".parse().expect("a scale"), Gaps::Bridge);
        let points = frontier(&demand, Bursts::new(1), 1, &Limits::default());
        assert!(points.len() > 3, "{points:?}");
        assert!(
            points
                .windows(2)
                .all(|pair| { pair[0].shard_hours < pair[1].shard_hours && pair[0].refused_pct > pair[1].refused_pct })
        );
    }

    #[test]
    fn nothing_newer_than_the_delay_is_seen() {
        let highest = trailing(&[1.0, 5.0, 2.0, 1.0, 1.0, 1.0], 2, 1);
        assert_eq!(highest, [0.0, 0.0, 1.0, 5.0, 5.0, 2.0]);
    }

    #[test]
    fn a_policy_of_the_family_keeps_the_limits() {
        let highest: Vec<f64> = (0..2_000).map(|minute| f64::from(minute % 40)).collect();
        let limits = Limits { calls: 3, window: 100, ..Limits::default() };
        let counts = follow(&highest, 1.0, 3, &limits);
        let changes: Vec<usize> = (1..counts.len()).filter(|minute| counts[*minute] != counts[minute - 1]).collect();
        assert!(changes.windows(4).all(|four| four[3] - four[0] >= 96), "leads differ by up to three minutes");
        assert!(counts.windows(2).all(|pair| pair[1] <= 2 * pair[0] && pair[1] >= pair[0].div_ceil(2)));
    }
}
