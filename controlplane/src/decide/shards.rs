//! The shard rule: as many shards as carry the demand at the target utilisation.

use super::{
    Action, Input, RuleReport, Ruled, Season, Tick, Verdict,
    demand::{Demand, is_throttled, throttled_share, whole},
    effect::Sight,
    floors::Floor,
    history::{History, Refusal},
    holds, hot_shard, input,
    layout::{Cut, fullest_of_equal, is_uneven},
    steer::{Hold, Holds, Rails, Steering, Wish},
};
use crate::{
    limits::DAILY_RESHARDS,
    observe::ShardLoad,
    policy::{Direction, GuardPolicy},
    units::{Fraction, Millis, ShardCount},
};

/// Going down must leave this much of the target free, or the next ripple would bring the shards back.
pub(super) const DOWN_MARGIN: f64 = 0.85;

/// While full shards refuse writes, how much more there is to take is not known: a stream grows by this factor at least.
const BLIND_GROWTH: f64 = 1.5;

/// The fewest shards that such a step adds: where half is less, two steps would soon follow each other.
const BLIND_STEP_MIN: u32 = 2;

/// From this share of refused records on, growing by half is too slow where nobody says what is offered: it doubles.
const SEVERE_THROTTLING: f64 = 0.1;

/// Shards that accept less than this of their limits and refuse writes meet bursts, or an end of the overload that the
/// averages do not show yet.
const FULL: f64 = 0.9;

/// Where targeted splits have made ranges unequal, so many more shards are split off one by one: UpdateShardCount would
/// make all ranges equal again.
const SPLITS_INSTEAD: u32 = 2;

/// The rule. `hot` are the shards that are hot while the stream is not.
pub(super) fn rule(tick: &Tick<'_>, hot: &[&ShardLoad], floor: Option<Floor>, history: &mut History) -> Ruled {
    let mut inputs = Vec::new();
    let mut action = None;
    let (verdict, counterfactual) = conclude(tick, hot, floor, history, &mut inputs, &mut action);
    Ruled { report: RuleReport { verdict, inputs, counterfactual }, action }
}

fn conclude(
    tick: &Tick<'_>,
    hot: &[&ShardLoad],
    floor: Option<Floor>,
    history: &mut History,
    inputs: &mut Vec<Input>,
    action: &mut Option<Action>,
) -> (Verdict, Option<String>) {
    let Tick { policy, seen, now } = *tick;
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
    let lowest = floor.as_ref().map_or(policy.stream.min_shards.0, |floor| floor.count.max(policy.stream.min_shards.0));
    if demand.is_none() && (lowest..=policy.stream.max_shards.0).contains(&open.0) {
        return (Hold::new("what the shards take is not known: no report and no metric has it").verdict(), None);
    }
    let wish = demand.map_or_else(|| unknown(open), |demand| wish(tick, !hot.is_empty(), open, demand, inputs));
    let calls = format!("{} of {}", history.reshards.len(), policy.guard.daily_reshards);
    inputs.push(input("calls in 24 h", &calls));
    let active = holds::not_active(tick).is_none();
    if active {
        history.memory.shards.look(open.0, now);
    }
    let (wish, urgent) = history.memory.shards.answer(wish, &history.shards, inputs, now);
    let (wish, stabilization) = foreseen(tick, wish, &history.memory.season);
    let (rate, short) = (demand.map_or(0.0, |demand| demand.accepted), is_throttled(&seen.load) == Some(true));
    let sight = Sight { count: open.0, rate, short: short && demand.is_some(), settled: active };
    history.shards.effect.look(sight, now);
    let single = single(tick, open.0, &wish, history);
    let (verdict, counterfactual) = Steering {
        current: open.0,
        holds: holds(tick, hot, &wish, open.0, demand.is_none(), single.is_some(), history),
        rails: Rails { stabilization, ..rails(tick, open.0, floor) },
        wish,
        step: if single.is_some() { one_more } else { step },
        scarce: true,
        refused: if single.is_some() { history.single_refused.clone() } else { history.shards.refused.clone() },
        urgent,
        track: &mut history.shards,
        now,
    }
    .steer();
    let Verdict::Fired { from, to, reason } = verdict else { return (verdict, counterfactual) };
    history.shards.effect.begin(from, to, sight, now);
    let stream = seen.stream.name.clone();
    let (to, reason) = match single.filter(|_| to > from) {
        Some((shard, cut, why)) => {
            *action = Some(hot_shard::split(tick, shard, cut, history));
            (to, format!("{reason}; {why}: {} is split", shard.shard_id))
        }
        None => {
            *action = Some(Action::UpdateShardCount { stream, from: ShardCount(from), to: ShardCount(to) });
            (to, reason)
        }
    };
    (Verdict::Fired { from, to, reason }, counterfactual)
}

/// What a step down leaves and waits for, as the time of day says.
fn foreseen(tick: &Tick<'_>, wish: Wish, season: &Season) -> (Wish, Millis) {
    let window = tick.policy.guard.shards_stabilization;
    if !tick.policy.stream.follow_time_of_day {
        return (wish, window);
    }
    let (down, window) = season.down(wish.down, tick.policy.stream.target_utilization.0, window, tick.now);
    (Wish { down, ..wish }, window)
}

/// The shard that is split instead of a change of the count, and why: where the day's calls are used up while writes are
/// refused, and where few more are needed on ranges that targeted splits have made.
fn single<'a>(
    tick: &Tick<'a>,
    open: u32,
    wish: &Wish,
    history: &History,
) -> Option<(&'a ShardLoad, Cut, &'static str)> {
    let refused = history.shards.refused.as_ref().is_some_and(|it| it.code == Refusal::LIMIT && tick.now < it.until);
    let used_up = refused || holds::budget(&history.reshards, DAILY_RESHARDS, "").is_some();
    let few = wish.up > open && wish.up - open <= SPLITS_INSTEAD && is_uneven(&tick.seen.load);
    let why = if used_up && is_throttled(&tick.seen.load) == Some(true) {
        "the day's calls are used up"
    } else if few {
        "equal ranges would undo earlier splits"
    } else {
        return None;
    };
    let fullest = tick.seen.load.shards.iter().min_by(|one, other| hot_shard::hotter(one, other))?;
    let cut = hot_shard::split_of(tick, fullest, history).ok()?;
    Some((fullest, cut, why))
}

/// One more at a time; down as ever.
fn one_more(current: u32, wanted: u32) -> u32 {
    if wanted > current { current.saturating_add(1) } else { step(current, wanted) }
}

/// The wish of a stream outside its bounds whose load is not known: it only goes back into them.
fn unknown(open: ShardCount) -> Wish {
    Wish { up: open.0, down: open.0, why: "what the shards take is not known".to_owned() }
}

fn wish(tick: &Tick<'_>, skewed: bool, open: ShardCount, demand: Demand, inputs: &mut Vec<Input>) -> Wish {
    let Tick { policy, seen, .. } = *tick;
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

fn rails(tick: &Tick<'_>, open: u32, floor: Option<Floor>) -> Rails {
    let guard = &tick.policy.guard;
    let (max, max_by) = holds::most_shards(tick, open);
    Rails {
        min: tick.policy.stream.min_shards.0,
        floor,
        max,
        max_by,
        confirm_up: guard.confirm_up,
        up_cooldown: guard.shards_up_cooldown,
        down_cooldown: guard.shards_down_cooldown,
        stabilization: guard.shards_stabilization,
        allow_down: guard.allow_scale_down,
    }
}

fn holds(
    tick: &Tick<'_>,
    hot: &[&ShardLoad],
    wish: &Wish,
    open: u32,
    blind: bool,
    single: bool,
    history: &History,
) -> Holds {
    let (guard, calls) = (&tick.policy.guard, &history.reshards);
    let up_budget = if is_throttled(&tick.seen.load) == Some(true) { DAILY_RESHARDS } else { guard.daily_reshards };
    let up = [
        holds::foreign(tick, &tick.seen.stream.name),
        holds::frozen(tick, Direction::Up),
        holds::not_active(tick),
        history.memory.shards.hold(true),
        holds::budget(calls, up_budget, "going up").filter(|_| !single),
        history.shards.effect.hold("one hash key may be the limit, or what refuses is not the shards"),
    ];
    let hot = hot.first().map(|shard| Hold::new(format!("{} is hot", shard.shard_id)));
    let mut down = holds::against_fewer_shards(tick, blind);
    down.extend(hot.or_else(|| gathers(tick, open, wish)));
    down.extend(history.memory.shards.hold(false));
    let allowed = down_budget(tick, open, wish, &history.memory.season);
    down.extend(holds::budget(calls, allowed, "going down"));
    Holds { up: up.into_iter().flatten().collect(), down }
}

/// Calls of which going down may use the first ones: the others are kept for going up, but no more than it takes to come
/// back to what the last 24 hours needed, and one.
fn down_budget(tick: &Tick<'_>, open: u32, wish: &Wish, season: &Season) -> u32 {
    let GuardPolicy { daily_reshards, reserved_for_up, .. } = tick.policy.guard;
    let back = |highest: f64| {
        let needed = highest / tick.policy.stream.target_utilization.0;
        let doublings = (needed / f64::from(step(open, wish.down).max(1))).log2().max(0.0);
        whole(doublings) + 1
    };
    let kept = season.highest_of_a_day(tick.now).map_or(reserved_for_up, back);
    daily_reshards.saturating_sub(kept.min(reserved_for_up))
}

/// Equal ranges that would gather what earlier splits divided: then cold neighbours are merged instead.
fn gathers(tick: &Tick<'_>, open: u32, wish: &Wish) -> Option<Hold> {
    let to = step(open, wish.down);
    if to >= open || !is_uneven(&tick.seen.load) {
        return None;
    }
    let fullest = fullest_of_equal(&tick.seen.load, to)?;
    let limit = tick.policy.stream.hot_shard_utilization;
    (fullest >= limit).then(|| {
        Hold::new(format!(
            "{to} equal ranges would undo earlier splits and fill one shard to {fullest}: cold ones are merged"
        ))
    })
}

/// One call goes to between half and double. AWS is quick with quarters of the current count only: upwards that counts,
/// downwards a call that leaves no more than is needed is worth a slower one.
fn step(current: u32, wanted: u32) -> u32 {
    let quarters = |quarters: u32| (u64::from(current) * u64::from(quarters)).div_ceil(4) as u32;
    if wanted > current {
        (5..=8).map(quarters).find(|count| *count >= wanted).unwrap_or(current.saturating_mul(2))
    } else {
        wanted.max(current.div_ceil(2))
    }
}
