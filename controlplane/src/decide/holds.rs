//! What stops a change, whatever the count.

use super::{
    RuleReport, Tick, Verdict,
    demand::{is_throttled, late},
    history::after,
    input,
    steer::Hold,
};
use crate::{limits::RESHARD_WINDOW, observe::Reading, policy::Direction};

/// Somebody else who scales this: two who steer undo each other's work.
pub(super) fn foreign(tick: &Tick<'_>, name: &str) -> Option<Hold> {
    let other = tick.seen.foreign.iter().find(|other| other.target == name)?;
    Some(Hold::new(format!("somebody else scales {name}: {}", other.kind)))
}

/// A freeze of the policy.
pub(super) fn frozen(tick: &Tick<'_>, direction: Direction) -> Option<Hold> {
    let in_force = tick.policy.freezes.iter().filter(|freeze| freeze.forbids(direction));
    let (until, freeze) =
        in_force.filter_map(|freeze| Some((freeze.current(tick.now)?, freeze))).max_by_key(|it| it.0)?;
    Some(Hold { reason: format!("`{}` forbids changes", freeze.name), until: Some(until) })
}

/// What the freezes say, where the policy has any.
pub(super) fn freeze_rule(tick: &Tick<'_>) -> Option<RuleReport> {
    if tick.policy.freezes.is_empty() {
        return None;
    }
    let directions = [(Direction::Up, "up"), (Direction::Down, "down")];
    let held: Vec<_> = directions
        .into_iter()
        .filter_map(|(way, word)| Some((frozen(tick, way)?, input("forbids going", &word))))
        .collect();
    let inputs = held.iter().map(|(_, input)| input.clone()).collect();
    let nothing = || Verdict::NotApplicable { reason: "no freeze is in force".to_owned() };
    let verdict = held.into_iter().max_by_key(|(hold, _)| hold.until).map_or_else(nothing, |(hold, _)| hold.verdict());
    Some(RuleReport { verdict, inputs, counterfactual: None })
}

/// What the stream's own state says against any change of it.
pub(super) fn not_active(tick: &Tick<'_>) -> Option<Hold> {
    match tick.seen.stream.status.as_ref().map(|status| status.value.as_str()) {
        Some("ACTIVE") => None,
        Some(status) => Some(Hold::new(format!("the stream is {status}"))),
        None => Some(Hold::new("the stream's status is not known")),
    }
}

/// What the lag says against going down.
pub(super) fn behind(tick: &Tick<'_>) -> Option<Hold> {
    let objective = tick.policy.consumer.lag_objective;
    match tick.seen.load.lag.map(|lag| lag.value) {
        Some(lag) if lag > objective => Some(Hold::new(format!("consumers are {lag} behind, over {objective}"))),
        Some(_) => too_old("how far consumers are behind", tick.seen.load.lag, tick.now),
        None => Some(Hold::new("never down on missing data: how far consumers are behind is not known")),
    }
}

/// What an old reading says against going down.
pub(super) fn too_old<T>(what: &str, reading: Option<Reading<T>>, now: jiff::Timestamp) -> Option<Hold> {
    late(reading, now).map(|age| Hold::new(format!("never down on old data: {what} was known {age} ago")))
}

/// Whether fewer shards are safe as far as writes and readers go.
pub(super) fn against_fewer_shards(tick: &Tick<'_>, blind: bool) -> Vec<Hold> {
    let undrained = match tick.seen.stream.undrained_parents.map(|parents| parents.value.0) {
        Some(0) => None,
        Some(parents) => Some(Hold::new(format!("{parents} closed shards are not read to their end"))),
        None => Some(Hold::new("whether closed shards are read to their end is not known")),
    };
    let refusing = match is_throttled(&tick.seen.load) {
        Some(false) => too_old("whether the shards refuse writes", tick.seen.load.throttled_records, tick.now),
        Some(true) => Some(Hold::new("the shards refuse writes")),
        None => Some(Hold::new("never down on missing data: whether the shards refuse writes is not known")),
    };
    let holds = [
        foreign(tick, &tick.seen.stream.name),
        frozen(tick, Direction::Down),
        not_active(tick),
        blind.then(|| Hold::new("never down on missing data: what the shards take is not known")),
        too_old("what the shards take", tick.seen.load.incoming_bytes, tick.now),
        refusing,
        behind(tick),
        undrained,
    ];
    holds.into_iter().flatten().collect()
}

/// Until the oldest call that stands in the way is a day old.
pub(super) fn budget(calls: &[jiff::Timestamp], allowed: u32, direction: &str) -> Option<Hold> {
    let excess = calls.len().checked_sub(allowed as usize)?;
    Some(Hold {
        reason: format!("{} changes in 24 hours leave none for {direction}: {allowed} are allowed", calls.len()),
        until: calls.get(excess).map(|oldest| after(*oldest, RESHARD_WINDOW)),
    })
}

/// The most shards that there may be, and what says so where it is not the policy.
pub(super) fn most_shards(tick: &Tick<'_>, open: u32) -> (u32, Option<String>) {
    let cap = tick.policy.stream.max_shards.0;
    let left = tick.seen.stream.account_shards_left.map(|left| left.value);
    match left.map(|left| (left, open.saturating_add(left))) {
        Some((left, most)) if open < cap && most < cap => {
            (most, Some(format!("the account's limit, which leaves {left} more")))
        }
        _ => (cap, None),
    }
}
