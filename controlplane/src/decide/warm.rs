//! The warm-throughput rule: an on-demand stream is told what it will have to take, for by itself it grows only after it
//! has refused.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{
    Action, Input, RuleReport, Ruled, Tick, Verdict,
    demand::{is_throttled, whole},
    history::History,
    holds, input,
    steer::{Hold, Holds, Rails, Steering, Wish},
};
use crate::{
    policy::Direction,
    units::{BytesPerSecond, Fraction},
};

/// The demand of how many minutes counts, each by its highest tick.
const MINUTES: i64 = 60;

/// Which part of these minutes must be provided for: the rest is a burst, which the stream takes or its clients repeat.
const PERCENTILE: f64 = 0.95;

const MIB: f64 = 1024.0 * 1024.0;

/// The rule; nothing for a provisioned stream.
pub(super) fn rule(tick: &Tick<'_>, history: &mut History) -> Option<Ruled> {
    if !tick.seen.stream.on_demand {
        history.demanded.clear();
        return None;
    }
    let mut inputs = Vec::new();
    let (verdict, counterfactual) = conclude(tick, history, &mut inputs);
    let action = match verdict {
        Verdict::Fired { from, to, .. } => Some(Action::UpdateStreamWarmThroughput {
            stream: tick.seen.stream.name.clone(),
            from_mib: from,
            to_mib: to,
        }),
        Verdict::Held { .. } | Verdict::NotApplicable { .. } => None,
    };
    Some(Ruled { report: RuleReport { verdict, inputs, counterfactual }, action })
}

fn conclude(tick: &Tick<'_>, history: &mut History, inputs: &mut Vec<Input>) -> (Verdict, Option<String>) {
    let not_applicable = |reason: &str| (Verdict::NotApplicable { reason: reason.to_owned() }, None);
    let policy = &tick.policy.stream;
    let Some(max) = policy.max_warm_throughput else {
        return not_applicable("the policy leaves the warm throughput alone");
    };
    let Some(warm) = tick.seen.stream.warm_throughput_mib.map(|warm| warm.value) else {
        return not_applicable("the account has no warm throughput");
    };
    let Some(demand) = tick.demand else {
        return (Hold::new("what the stream takes is not known: no report and no metric has it").verdict(), None);
    };
    note(&mut history.demanded, demand.bytes, tick.now);
    let usual = usual(&history.demanded);
    let wanted = rounded(usual.0 / MIB / policy.target_utilization.0);
    inputs.extend([
        input("warm", &BytesPerSecond(f64::from(warm) * MIB)),
        input("demand", &demand.bytes),
        input("of 95 % of the last hour", &usual),
        input("target", &Fraction(policy.target_utilization.0)),
    ]);
    let why = format!("{usual} at {} need {wanted} MiB/s", policy.target_utilization);
    let mib = |rate: BytesPerSecond| whole(rate.0 / MIB);
    let rails = Rails {
        min: policy.min_warm_throughput.map_or(1, mib),
        floor: None,
        max: mib(max),
        max_by: None,
        confirm_up: tick.policy.guard.confirm_up,
        up_cooldown: tick.policy.guard.shards_up_cooldown,
        down_cooldown: tick.policy.guard.shards_down_cooldown,
        stabilization: tick.policy.guard.shards_stabilization,
        allow_down: tick.policy.guard.allow_scale_down,
    };
    let refused = history.warm.refused.clone();
    let wish = Wish { up: wanted, down: wanted, why };
    let (holds, track) = (holds(tick), &mut history.warm);
    Steering {
        current: warm,
        wish,
        rails,
        holds,
        step: |_, to| to,
        scarce: true,
        refused,
        urgent: false,
        track,
        now: tick.now,
    }
    .steer()
}

fn holds(tick: &Tick<'_>) -> Holds {
    let both = || [holds::foreign(tick, &tick.seen.stream.name), holds::not_active(tick)].into_iter().flatten();
    let refusing =
        (is_throttled(&tick.seen.load) != Some(false)).then(|| Hold::new("the stream refuses writes, or may"));
    Holds {
        up: holds::frozen(tick, Direction::Up).into_iter().chain(both()).collect(),
        down: holds::frozen(tick, Direction::Down).into_iter().chain(both()).chain(refusing).collect(),
    }
}

/// Keeps the highest demand of each minute.
fn note(demanded: &mut VecDeque<(i64, BytesPerSecond)>, bytes: BytesPerSecond, now: Timestamp) {
    let minute = now.as_second().div_euclid(60);
    match demanded.back_mut() {
        Some((last, most)) if *last == minute => most.0 = most.0.max(bytes.0),
        _ => demanded.push_back((minute, bytes)),
    }
    demanded.retain(|(past, _)| (0..MINUTES).contains(&(minute - past)));
}

/// What is enough for [`PERCENTILE`] of the minutes.
fn usual(demanded: &VecDeque<(i64, BytesPerSecond)>) -> BytesPerSecond {
    let mut rates: Vec<f64> = demanded.iter().map(|(_, rate)| rate.0).collect();
    rates.sort_by(f64::total_cmp);
    let index = (rates.len() as f64 * PERCENTILE).ceil() as usize;
    BytesPerSecond(rates.get(index.saturating_sub(1)).copied().unwrap_or_default())
}

/// The next number of MiB/s with one and a half digits: 7, 15, 150, 1500.
fn rounded(mib: f64) -> u32 {
    let digits = mib.max(1.0).log10().floor();
    let grain = (10_f64.powf(digits) / 2.0).max(1.0);
    whole((mib / grain - 1e-9).ceil().max(1.0) * grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_up_to_one_and_a_half_digits() {
        assert_eq!([0.2, 1.0, 6.1, 11.0, 15.0, 101.0, 1_501.0].map(rounded), [1, 1, 7, 15, 15, 150, 2_000]);
    }

    #[test]
    fn the_rare_minute_does_not_count() {
        let mut demanded: VecDeque<_> = (0..59).map(|minute| (minute, BytesPerSecond(1.0))).collect();
        demanded.push_back((59, BytesPerSecond(9.0)));
        assert_eq!(usual(&demanded).0, 1.0);
        assert_eq!(usual(&VecDeque::new()).0, 0.0);
    }
}
