//! What is possible without knowing the future: shard-hours against throttled load, for a family of policies.
//!
//! Each policy of the family keeps some headroom above the highest demand of the last so many minutes, as far as it was
//! known then, under the same limits as the optimum. No constants are shared with `decide`, so the lower envelope of the
//! family says how near a policy is to what could be had with the same information. It proves nothing: a cleverer family
//! may find better points.

use std::collections::VecDeque;

use serde::Serialize;

use super::limits::Limits;
use crate::simulate::trace::{Bursts, Demand};

/// Minutes that a policy of the family looks back, from a quarter of an hour to two days.
const LOOKBACKS: [usize; 9] = [15, 30, 60, 120, 240, 480, 1_440, 2_160, 2_880];

/// Shards over the highest demand that it saw.
const HEADROOMS: [f64; 12] = [1.05, 1.15, 1.25, 1.35, 1.45, 1.6, 1.8, 2.0, 2.25, 2.5, 3.0, 4.0];

/// Calls that going down may use of the window's; the others are kept for going up.
const DOWN_CALLS: [u32; 3] = [2, 4, 6];

/// One policy of the family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    pub shard_hours: f64,
    /// Share of the load that finds no room in the second in which it comes, in percent.
    pub throttled_pct: f64,
    pub headroom: f64,
    pub lookback_minutes: usize,
    pub down_calls: u32,
}

/// The policies of the family that no other beats in both respects, the cheapest first. Every policy sees the minute that
/// has just ended. `seconds` are those of each minute; a shard takes `burst_s` seconds of its quota at once.
#[must_use]
pub fn frontier(demand: &Demand, seconds: &[[f64; 60]], burst_s: f64, limits: &Limits) -> Vec<Point> {
    let mut points = Vec::new();
    for lookback_minutes in LOOKBACKS {
        let highest = trailing(&demand.shards, lookback_minutes);
        for headroom in HEADROOMS {
            for down_calls in DOWN_CALLS {
                let counts = follow(&highest, headroom, down_calls, limits);
                let shard_hours = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / 60.0;
                let throttled_pct = throttled(&demand.shards, seconds, &counts, burst_s);
                points.push(Point { shard_hours, throttled_pct, headroom, lookback_minutes, down_calls });
            }
        }
    }
    envelope(points)
}

/// The highest demand of the minutes that are known at each minute.
fn trailing(shards: &[f64], lookback: usize) -> Vec<f64> {
    let mut highest: VecDeque<usize> = VecDeque::new();
    (0..shards.len())
        .map(|minute| {
            if let Some(newest) = minute.checked_sub(1) {
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

/// In percent. What is refused comes again in seconds with room, and takes none from what is new.
fn throttled(shards: &[f64], seconds: &[[f64; 60]], counts: &[u32], burst_s: f64) -> f64 {
    let (mut throttled, mut total, mut spare) = (0.0, 0.0, f64::INFINITY);
    for ((demand, seconds), open) in shards.iter().zip(seconds).zip(counts) {
        total += demand;
        let open = f64::from(*open);
        if demand * Bursts::HIGHEST <= open {
            spare = f64::INFINITY;
            continue;
        }
        for load in seconds {
            let room = open + f64::min(spare, open * burst_s);
            throttled += (load - room).max(0.0) / seconds.len() as f64;
            spare = (room - load).max(0.0);
        }
    }
    if total > 0.0 { 100.0 * throttled / total } else { 0.0 }
}

fn envelope(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|one, other| {
        (one.shard_hours, one.throttled_pct)
            .partial_cmp(&(other.shard_hours, other.throttled_pct))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut least = f64::INFINITY;
    points.retain(|point| {
        let better = point.throttled_pct < least;
        least = least.min(point.throttled_pct);
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
        let bursts = Bursts::new(1);
        let seconds: Vec<_> = (0..).zip(&demand.shards).map(|(minute, mean)| bursts.expand(minute, *mean)).collect();
        let points = frontier(&demand, &seconds, 1.0, &Limits::default());
        assert!(points.len() > 3, "{points:?}");
        assert!(points.windows(2).all(|pair| {
            pair[0].shard_hours < pair[1].shard_hours && pair[0].throttled_pct > pair[1].throttled_pct
        }));
    }

    #[test]
    fn the_minute_under_way_is_not_seen() {
        let highest = trailing(&[1.0, 5.0, 2.0, 1.0, 1.0, 1.0], 2);
        assert_eq!(highest, [0.0, 1.0, 5.0, 5.0, 2.0, 1.0]);
    }

    #[test]
    fn a_burst_that_the_bucket_holds_is_not_throttled() {
        let mut seconds = [1.0; 60];
        (seconds[0], seconds[1], seconds[2]) = (0.0, 2.0, 2.0);
        let throttled = |burst_s| throttled(&[1.0], &[seconds], &[1], burst_s) * 60.0 / 100.0;
        assert!(
            (throttled(0.0) - 2.0).abs() < 1e-9 && (throttled(1.0) - 1.0).abs() < 1e-9,
            "{} {}",
            throttled(0.0),
            throttled(1.0)
        );
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
