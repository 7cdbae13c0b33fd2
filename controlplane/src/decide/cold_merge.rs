//! The cold-merge rule: neighbours that have little to do become one shard, where equal ranges would not do.
//!
//! UpdateShardCount makes all ranges equal. That undoes targeted splits, and it is counted; a merge does neither.

use super::{
    Action, Input, RuleReport, Ruled, Tick, Verdict,
    evidence::ColdPair,
    history::{History, after},
    holds, input,
    layout::{asked_of, in_order, is_uneven},
    shards::DOWN_MARGIN,
    steer::{Hold, cooldown, refusal},
};
use crate::{observe::ShardLoad, units::Fraction};

/// Neighbours that together take less than this share of one shard's limit become one: it is then as far from full as
/// from being worth a merge again.
const COLD: Fraction = Fraction(0.4);

/// How many pairs are watched at once, the coldest first. Merges come one after the other.
const WATCHED: usize = 16;

/// The rule. `resharding` says that this tick changes the stream already.
pub(super) fn rule(tick: &Tick<'_>, resharding: bool, floor: u32, history: &mut History) -> Ruled {
    let mut inputs = Vec::new();
    let (verdict, action) = conclude(tick, resharding, floor, history, &mut inputs);
    Ruled { report: RuleReport { verdict, inputs, counterfactual: None }, action }
}

fn conclude(
    tick: &Tick<'_>,
    resharding: bool,
    floor: u32,
    history: &mut History,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<Action>) {
    let not_applicable = |reason: &str| (Verdict::NotApplicable { reason: reason.to_owned() }, None);
    let seen = tick.seen;
    if seen.stream.on_demand {
        return not_applicable("the stream is on-demand: AWS owns its shards");
    }
    if !is_uneven(&seen.load) {
        history.cold.clear();
        return not_applicable("the shards' ranges are equal: the shard rule makes them fewer");
    }
    let open = seen.stream.open_shards.map_or(0, |open| open.value.0);
    let Some(placed) = in_order(&seen.load).filter(|placed| placed.len() == open as usize) else {
        history.cold.clear();
        return (Hold::new("never down on missing data: the load of each shard is not known").verdict(), None);
    };
    let pairs = cold_pairs(&placed);
    watch(&mut history.cold, &pairs, tick);
    let Some((pair, sum)) = coldest(&history.cold, &pairs) else {
        return not_applicable("no two neighbours are cold");
    };
    inputs.extend([input("together", &sum), input("cold below", &COLD), input("cold pairs", &pairs.len())]);
    let what = format!("{} and {} together take {sum} of one shard's limit", pair.lower, pair.upper);
    if let Some(Hold { reason, until }) = against(tick, resharding, open, floor, pair, history) {
        return (Verdict::Held { reason: format!("{what}; {reason}"), until }, None);
    }
    let action = Action::MergeShards {
        stream: seen.stream.name.clone(),
        shard_id: pair.lower.clone(),
        adjacent_shard_id: pair.upper.clone(),
    };
    let reason = format!("{what}, for {}", tick.policy.guard.shards_stabilization);
    (Verdict::Fired { from: open, to: open - 1, reason }, Some(action))
}

/// Neighbours whose load would leave one shard cold, the coldest first.
type Pairs<'a> = Vec<(&'a str, &'a str, Fraction)>;

fn cold_pairs<'a>(placed: &[(&'a ShardLoad, crate::observe::KeyRange)]) -> Pairs<'a> {
    let mut pairs: Vec<_> = placed
        .windows(2)
        .filter(|pair| pair[0].1.end.checked_add(1) == Some(pair[1].1.start))
        .map(|pair| {
            let sum = Fraction(asked_of(pair[0].0).0 + asked_of(pair[1].0).0);
            (pair[0].0.shard_id.as_str(), pair[1].0.shard_id.as_str(), sum)
        })
        .filter(|(_, _, sum)| sum.0 < COLD.0)
        .collect();
    pairs.sort_by(|one, other| one.2.0.total_cmp(&other.2.0).then_with(|| one.0.cmp(other.0)));
    pairs
}

/// Keeps the pairs that are still cold and adds the coldest of the others.
fn watch(cold: &mut Vec<ColdPair>, pairs: &Pairs<'_>, tick: &Tick<'_>) {
    let is = |watched: &ColdPair, pair: &(&str, &str, Fraction)| watched.lower == pair.0 && watched.upper == pair.1;
    cold.retain(|watched| pairs.iter().any(|pair| is(watched, pair)));
    let new: Vec<_> = pairs.iter().filter(|pair| !cold.iter().any(|watched| is(watched, pair))).collect();
    let room = WATCHED.saturating_sub(cold.len());
    cold.extend(new.into_iter().take(room).map(|(lower, upper, _)| ColdPair {
        lower: (*lower).to_owned(),
        upper: (*upper).to_owned(),
        since: tick.now,
    }));
}

/// The watched pair that is merged first: of those that are cold for longest, the coldest.
fn coldest<'a>(cold: &'a [ColdPair], pairs: &Pairs<'_>) -> Option<(&'a ColdPair, Fraction)> {
    let sum = |pair: &ColdPair| pairs.iter().find(|(lower, ..)| pair.lower == *lower).map(|(.., sum)| *sum);
    let oldest = cold.iter().map(|pair| pair.since).min()?;
    let ripest = cold.iter().filter(|pair| pair.since == oldest).filter_map(|pair| Some((pair, sum(pair)?)));
    ripest.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0))
}

fn against(
    tick: &Tick<'_>,
    resharding: bool,
    open: u32,
    floor: u32,
    pair: &ColdPair,
    history: &History,
) -> Option<Hold> {
    let guard = &tick.policy.guard;
    let demand = tick.demand;
    let needed = demand
        .as_ref()
        .map_or(u32::MAX, |demand| demand.shards_at(tick.policy.stream.target_utilization.0 * DOWN_MARGIN));
    let ripe_at = after(pair.since, guard.shards_stabilization);
    let unripe = (tick.now < ripe_at).then(|| Hold {
        reason: format!("merged if it stays so for {}", guard.shards_stabilization),
        until: Some(ripe_at),
    });
    (!guard.allow_scale_down)
        .then(|| Hold::new("the policy forbids going down"))
        .or_else(|| (open <= floor).then(|| Hold::new(format!("{floor} shards are asked for at least"))))
        .or_else(|| holds::against_fewer_shards(tick, demand.is_none()).into_iter().next())
        .or_else(|| (open <= needed).then(|| Hold::new(format!("the stream needs {needed} shards"))))
        .or_else(|| resharding.then(|| Hold::new("the stream is about to be resharded")))
        .or(unripe)
        .or_else(|| refusal(history.single_refused.clone(), tick.now))
        .or_else(|| cooldown(&history.shards, guard.shards_up_cooldown, tick.now))
}
