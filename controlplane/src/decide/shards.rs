//! The shard rule: as many shards as carry the demand at the target utilisation.

use jiff::Timestamp;

use super::{
    Input, RuleReport, Verdict,
    demand::{Demand, is_throttled, throttled_share, whole},
    history::{History, after},
    input,
    steer::{Hold, Holds, Rails, Steering, Wish},
};
use crate::{
    limits::{DAILY_RESHARDS, RESHARD_WINDOW},
    observe::Observation,
    policy::{GuardPolicy, Policy},
    units::{Fraction, ShardCount},
};

/// Going down must leave this much of the target free, or the next ripple would bring the shards back.
const DOWN_MARGIN: f64 = 0.85;

/// While full shards refuse writes, how much more there is to take is not known: a stream grows by this factor at least.
const BLIND_GROWTH: f64 = 1.5;

/// The fewest shards that such a step adds: where half is less, two steps would soon follow each other.
const BLIND_STEP_MIN: u32 = 2;

/// From this share of refused records on, growing by half is too slow where nobody says what is offered: it doubles.
const SEVERE_THROTTLING: f64 = 0.1;

/// Shards that accept less than this of their limits and refuse writes meet bursts, or an end of the overload that the
/// averages do not show yet.
const FULL: f64 = 0.9;

pub(super) fn rule(
    policy: &Policy,
    seen: &Observation,
    skewed: bool,
    history: &mut History,
    now: Timestamp,
) -> RuleReport {
    let mut inputs = Vec::new();
    let (verdict, counterfactual) = conclude(policy, seen, skewed, history, now, &mut inputs);
    RuleReport { verdict, inputs, counterfactual }
}

fn conclude(
    policy: &Policy,
    seen: &Observation,
    skewed: bool,
    history: &mut History,
    now: Timestamp,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<String>) {
    if seen.stream.on_demand {
        let reason = "the stream is on-demand: AWS owns its shards".to_owned();
        return (Verdict::NotApplicable { reason }, None);
    }
    let Some(open) = seen.stream.open_shards.map(|open| open.value) else {
        return (Hold::new("the number of open shards is not known").verdict(), None);
    };
    inputs.push(input("open shards", &open));
    if seen.stream.status.as_ref().is_some_and(|status| status.value == "UPDATING") {
        // A change lasts until the stream is active again: only from then on do reports tell what came of it.
        history.shards.last_change = Some(now);
    }
    let demand = Demand::of(&seen.load);
    if demand.is_none() && (policy.stream.min_shards..=policy.stream.max_shards).contains(&open) {
        return (Hold::new("what the shards take is not known: no report and no metric has it").verdict(), None);
    }
    let calls = history.reshards_before(now);
    let wish = demand.map_or_else(|| unknown(open), |demand| wish(policy, seen, skewed, open, demand, inputs));
    inputs.push(input("calls in 24 h", &format!("{} of {}", calls.len(), policy.guard.daily_reshards)));
    Steering {
        current: open.0,
        wish,
        rails: rails(policy),
        holds: holds(policy, seen, demand.is_none(), &calls),
        step,
        scarce: true,
        track: &mut history.shards,
        now,
    }
    .steer()
}

/// The wish of a stream outside its bounds whose load is not known: it only goes back into them.
fn unknown(open: ShardCount) -> Wish {
    Wish { up: open.0, down: open.0, why: "what the shards take is not known".to_owned() }
}

fn wish(
    policy: &Policy,
    seen: &Observation,
    skewed: bool,
    open: ShardCount,
    demand: Demand,
    inputs: &mut Vec<Input>,
) -> Wish {
    let target = policy.stream.target_utilization;
    let utilization = demand.utilization(open.0);
    inputs.extend([
        input("bytes", &demand.bytes),
        input("records", &demand.records),
        input("utilization", &utilization),
        input("target", &target),
    ]);
    let enough = demand.shards_at(target.0).max(1);
    let down = demand.shards_at(target.0 * DOWN_MARGIN).max(1);
    let throttled = is_throttled(&seen.load) == Some(true);
    if let Some(share) = throttled_share(&seen.load) {
        inputs.push(input("refused", &share));
        if throttled && !skewed {
            let up = enough.max(grown(open.0, &demand, share));
            let why = format!("the shards refuse {share} of the records; {utilization} of {open} asks for {up}");
            return Wish { up, down: down.max(up), why };
        }
    }
    let flow = format!("{} and {}", demand.bytes, demand.records);
    let why = format!("{flow} use {utilization} of {open}; at {target} they need {enough}");
    Wish { up: enough, down: down.max(enough), why }
}

/// How many shards a stream that refuses writes should have at least.
fn grown(open: u32, demand: &Demand, refused: Fraction) -> u32 {
    if demand.accepted < f64::from(open) * FULL {
        open.saturating_add(1)
    } else if demand.accepted_only && refused.0 >= SEVERE_THROTTLING {
        open.saturating_mul(2)
    } else {
        whole(f64::from(open) * BLIND_GROWTH).max(open.saturating_add(BLIND_STEP_MIN))
    }
}

fn rails(policy: &Policy) -> Rails {
    let GuardPolicy { confirm_up, shards_up_cooldown, shards_down_cooldown, shards_stabilization, .. } = policy.guard;
    Rails {
        min: policy.stream.min_shards.0,
        max: policy.stream.max_shards.0,
        confirm_up,
        up_cooldown: shards_up_cooldown,
        down_cooldown: shards_down_cooldown,
        stabilization: shards_stabilization,
        allow_down: policy.guard.allow_scale_down,
    }
}

fn holds(policy: &Policy, seen: &Observation, blind: bool, calls: &[Timestamp]) -> Holds {
    let throttled = is_throttled(&seen.load);
    let guard = &policy.guard;
    let busy = match seen.stream.status.as_ref().map(|status| status.value.as_str()) {
        Some("ACTIVE") => None,
        Some(status) => Some(Hold::new(format!("the stream is {status}"))),
        None => Some(Hold::new("the stream's status is not known")),
    };
    let up_budget = if throttled == Some(true) { DAILY_RESHARDS } else { guard.daily_reshards };
    let down_budget = guard.daily_reshards.saturating_sub(guard.reserved_for_up);
    let undrained = match seen.stream.undrained_parents.map(|parents| parents.value.0) {
        Some(0) => None,
        Some(parents) => Some(Hold::new(format!("{parents} closed shards are not read to their end"))),
        None => Some(Hold::new("whether closed shards are read to their end is not known")),
    };
    let down = [
        busy.clone(),
        blind.then(|| Hold::new("never down on missing data: what the shards take is not known")),
        match throttled {
            Some(false) => None,
            Some(true) => Some(Hold::new("the shards refuse writes")),
            None => Some(Hold::new("never down on missing data: whether the shards refuse writes is not known")),
        },
        super::behind(policy, seen),
        undrained,
        budget(calls, down_budget, "going down"),
    ];
    let up = [busy, budget(calls, up_budget, "going up")];
    Holds { up: up.into_iter().flatten().collect(), down: down.into_iter().flatten().collect() }
}

/// Until the oldest call that stands in the way is a day old.
fn budget(calls: &[Timestamp], allowed: u32, direction: &str) -> Option<Hold> {
    let excess = calls.len().checked_sub(allowed as usize)?;
    Some(Hold {
        reason: format!("{} changes in 24 hours leave none for {direction}: {allowed} are allowed", calls.len()),
        until: calls.get(excess).map(|oldest| after(*oldest, RESHARD_WINDOW)),
    })
}

/// One call goes to between half and double, and AWS is quick with quarters of the current count only.
fn step(current: u32, wanted: u32) -> u32 {
    let quarters = |quarters: u32| (u64::from(current) * u64::from(quarters)).div_ceil(4) as u32;
    let reaches = |count: &u32| *count >= wanted;
    if wanted > current {
        (5..=8).map(quarters).find(reaches).unwrap_or(current.saturating_mul(2))
    } else {
        (2..=3).map(quarters).find(reaches).unwrap_or(current)
    }
}
