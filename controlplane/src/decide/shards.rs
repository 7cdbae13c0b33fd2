//! The shard rule: as many shards as carry the demand at the target utilisation.

use jiff::Timestamp;

use super::{
    Action, Input, RuleReport, Ruled, Season, Tick, Verdict,
    demand::{Demand, is_throttled, throttled_share, whole},
    effect::Sight,
    floors::Floor,
    history::{History, Refusal, Track},
    holds, hot_shard, input,
    layout::{Cut, fullest_of_equal, is_uneven},
    steer::{Hold, Holds, Rails, Steering, Wish},
};
use crate::{
    limits::{DAILY_RESHARDS, SHARD_BYTES},
    observe::{ShardLoad, Source},
    policy::{Direction, GuardPolicy},
    units::{ByteCount, Fraction, Millis, ShardCount},
};

/// Going down must leave this much of the target free, or the next ripple would bring the shards back.
pub(super) const DOWN_MARGIN: f64 = 0.75;

/// How many times what the last 24 hours needed the calls that are left must lead to.
const SURPRISE: f64 = 2.0;

/// While full shards refuse writes, how much more there is to take is not known: a stream grows by this factor at least.
const BLIND_GROWTH: f64 = 1.5;

/// The fewest shards that such a step adds: where half is less, two steps would soon follow each other.
const BLIND_STEP_MIN: u32 = 2;

/// From this share of refused records on, growing by half is too slow where nobody says what is offered: it doubles.
const SEVERE_THROTTLING: f64 = 0.1;

/// Shards that accept less than this of their limits and refuse writes meet bursts, or an end of the overload that the
/// averages do not show yet.
const FULL: f64 = 0.9;

/// In what time what producers and clients hold should be stored, in seconds: half of the time for which clients commonly
/// repeat a request (OpenTelemetry Collector's exporters: five minutes), for the oldest of it has waited for some time.
const DRAIN_S: f64 = 150.0;

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
    let Tick { policy, seen, now, .. } = *tick;
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
    let demand = tick.demand;
    let lowest = floor.as_ref().map_or(policy.stream.min_shards.0, |floor| floor.count.max(policy.stream.min_shards.0));
    if demand.is_none() && (lowest..=policy.stream.max_shards.0).contains(&open.0) {
        return (Hold::new("what the shards take is not known: no report and no metric has it").verdict(), None);
    }
    let wish = demand
        .map_or_else(|| unknown(open), |demand| wish(tick, !hot.is_empty(), open, demand, &history.shards, inputs));
    let calls = format!("{} of {}", history.reshards.len(), policy.guard.daily_reshards);
    inputs.push(input("calls in 24 h", &calls));
    let active = holds::not_active(tick).is_none();
    if active {
        history.memory.shards.look(open.0, now);
    }
    let (wish, urgent) = history.memory.shards.answer(wish, &history.shards, inputs, now);
    let urgent = urgent || demand.is_some_and(|demand| is_overrun(demand, open.0));
    let (wish, stabilization) = foreseen(tick, wish, &history.memory.season);
    let wish = far_enough(tick, open.0, wish, &history.memory.season, &history.reshards);
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

/// Whether more is offered for the first time than the shards can take: that is no burst and no echo, and needs neither
/// confirmation nor reports of after the last change.
fn is_overrun(demand: Demand, open: u32) -> bool {
    let full = f64::from(open);
    demand.waiting.is_some() && demand.newest > full && demand.shards > full
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

fn wish(
    tick: &Tick<'_>,
    skewed: bool,
    open: ShardCount,
    demand: Demand,
    track: &Track,
    inputs: &mut Vec<Input>,
) -> Wish {
    let Tick { policy, seen, .. } = *tick;
    let target = policy.stream.target_utilization;
    let utilization = demand.utilization(open.0);
    inputs.extend([
        input("bytes", &demand.bytes),
        input("records", &demand.records),
        input("utilization", &utilization),
        input("target", &target),
    ]);
    let drain = demand.waiting.filter(|_| demand.is_draining() && !skewed);
    let enough = demand.shards_at(target.0).max(1);
    let down = demand.shards_at(target.0 * DOWN_MARGIN).max(1);
    if let Some(share) = throttled_share(&seen.load) {
        inputs.push(input("refused", &share));
        if let Some(waiting) = drain {
            let up = enough.max(whole(demand.shards + waiting / DRAIN_S));
            inputs.push(input("waiting", &ByteCount(waiting * SHARD_BYTES.0)));
            let why = format!("{} are new and {utilization} of {open}; with what waits that needs {up}", demand.bytes);
            return Wish { up, down: down.max(up), why };
        }
        if refuses(tick, track) && !skewed {
            let up = enough.max(grown(open.0, &demand, share));
            let why = format!("the shards refuse {share} of the records; {utilization} of {open} asks for {up}");
            return Wish { up, down: down.max(up), why };
        }
    }
    let flow = format!("{} and {}", demand.bytes, demand.records);
    let why = format!("{flow} use {utilization} of {open}; at {target} they need {enough}");
    Wish { up: enough, down: down.max(enough), why }
}

/// Whether the shards refuse writes as they are now: what was counted before the last change says nothing about what that
/// has brought.
fn refuses(tick: &Tick<'_>, track: &Track) -> bool {
    let counted = tick.seen.load.throttled_records;
    let since = counted.is_some_and(|counted| {
        counted.source == Source::TaskReports || track.last_change.is_none_or(|change| counted.at >= change)
    });
    since && is_throttled(&tick.seen.load) == Some(true)
}

/// How many shards a stream that refuses writes should have at least.
fn grown(open: u32, demand: &Demand, refused: Fraction) -> u32 {
    if demand.accepted < f64::from(open) * FULL || demand.waiting.is_some() {
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
    let up = [
        holds::foreign(tick, &tick.seen.stream.name),
        holds::frozen(tick, Direction::Up),
        holds::not_active(tick),
        history.memory.shards.hold(true),
        holds::budget(calls, guard.daily_reshards, "going up").filter(|_| !single),
        history.shards.effect.hold("one hash key may be the limit, or what refuses is not the shards"),
    ];
    let hot = hot.first().map(|shard| Hold::new(format!("{} is hot", shard.shard_id)));
    let mut down = holds::against_fewer_shards(tick, blind);
    down.extend(hot.or_else(|| gathers(tick, open, wish)));
    down.extend(history.memory.shards.hold(false));
    down.extend(against_calls(tick, open, wish, &history.memory.season, calls));
    Holds { up: up.into_iter().flatten().collect(), down }
}

/// Why a step down would cost a call that going up may need: those that are left must double the stream to its ceiling.
fn against_calls(tick: &Tick<'_>, open: u32, wish: &Wish, season: &Season, calls: &[Timestamp]) -> Option<Hold> {
    let GuardPolicy { daily_reshards, reserved_for_up, .. } = tick.policy.guard;
    let kept = doublings(step(open, wish.down), ceiling(tick, season)).clamp(1, reserved_for_up.max(1));
    holds::budget(calls, daily_reshards.saturating_sub(kept), "going down")
}

/// What the stream may soon need: so many times what the last 24 hours needed, but never more than there may be.
fn ceiling(tick: &Tick<'_>, season: &Season) -> u32 {
    let max_shards = tick.policy.stream.max_shards;
    let highest = season
        .highest_of_a_day(tick.now)
        .map(|highest| whole(highest * SURPRISE / tick.policy.stream.target_utilization.0));
    highest.map_or(max_shards.0, |highest| highest.min(max_shards.0))
}

/// How many steps up lead from a count to another.
fn doublings(from: u32, to: u32) -> u32 {
    (0..u32::BITS).find(|steps| u64::from(from.max(1)) << steps >= u64::from(to)).unwrap_or(u32::BITS)
}

/// Where the calls that are left would not lead to the ceiling after a smaller step, a step up doubles.
fn far_enough(tick: &Tick<'_>, open: u32, wish: Wish, season: &Season, calls: &[Timestamp]) -> Wish {
    let left = tick.policy.guard.daily_reshards.saturating_sub(calls.len() as u32);
    let enough = doublings(step(open, wish.up), ceiling(tick, season)) < left;
    if wish.up <= open || left == 0 || enough || wish.up >= open * 2 {
        return wish;
    }
    // What is asked for beyond the need is not remembered as one: it goes with the window of the need itself.
    let why = format!("{}; {left} calls are left of the day: a step doubles", wish.why);
    Wish { up: open.saturating_mul(2), down: wish.down, why }
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
