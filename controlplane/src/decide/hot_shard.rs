//! The hot-shard rule: a shard that is full while the stream is not is divided where its load has its middle. More shards
//! for everybody would not help it, and where one hash key is the cause nothing but other partition keys does.

use super::{
    Action, Input, RuleReport, Ruled, Tick, Verdict,
    evidence::{self, Hot, MINUTES_NEEDED},
    history::History,
    holds, input,
    layout::{Cut, asked_of, best_cut, range_of, use_of},
    memory::Split,
    steer::{Hold, cooldown, refusal},
};
use crate::{observe::ShardLoad, policy::Direction, units::Fraction};

/// A shard is an exception only where so many times what a shard of the stream is asked on average is asked of it.
const ABOVE_MEAN: f64 = 1.5;

/// From this share of refused records on a shard counts as full, whatever it took.
const REFUSED_MAX: f64 = 0.01;

/// A child with this much of its parent's share of the load shows that the split did not help.
const UNHELPED: f64 = 0.9;

/// How many hot shards are watched: with more, heat is no exception.
const WATCHED: usize = 16;

/// The shards that are hot alone in this tick, the hottest first.
pub(super) fn find<'a>(tick: &Tick<'a>) -> Vec<&'a ShardLoad> {
    let (policy, seen) = (&tick.policy.stream, tick.seen);
    let Some(open) = seen.stream.open_shards.map(|open| open.value.0).filter(|open| *open > 1) else {
        return Vec::new();
    };
    let Some(demand) = tick.demand.filter(|_| !seen.stream.on_demand) else { return Vec::new() };
    let mean = demand.accepted / f64::from(open);
    if mean >= policy.target_utilization.0 {
        return Vec::new();
    }
    let known = if seen.load.shards.is_empty() { &seen.load.busiest_shards } else { &seen.load.shards };
    let full = |shard: &ShardLoad| use_of(shard).0 >= policy.hot_shard_utilization.0 || refuses(shard);
    let hot = |shard: &&ShardLoad| full(shard) && asked_of(shard).0 >= mean * ABOVE_MEAN;
    let mut found: Vec<_> = known.iter().filter(hot).collect();
    found.sort_by(|one, other| hotter(one, other));
    found.truncate(WATCHED);
    found
}

/// The order of shards by what is asked of them, the most first; of equals, by name.
pub(super) fn hotter(one: &ShardLoad, other: &ShardLoad) -> std::cmp::Ordering {
    asked_of(other).0.total_cmp(&asked_of(one).0).then_with(|| one.shard_id.cmp(&other.shard_id))
}

fn refuses(shard: &ShardLoad) -> bool {
    shard.throttled.0 > (shard.records.0 + shard.throttled.0) * REFUSED_MAX
}

/// The rule. `resharding` says that this tick changes the stream already.
pub(super) fn rule(tick: &Tick<'_>, resharding: bool, hot: &[&ShardLoad], history: &mut History) -> Ruled {
    let seen: Vec<_> = hot.iter().map(|shard| Hot { shard_id: &shard.shard_id, refuses: refuses(shard) }).collect();
    evidence::heat(&mut history.hot, &seen, tick.now);
    learn(tick, hot, history);
    let mut inputs: Vec<Input> =
        tick.seen.load.busiest_shards.iter().map(|shard| input(&shard.shard_id, &use_of(shard))).collect();
    inputs.push(input("hot from", &tick.policy.stream.hot_shard_utilization));
    let (verdict, action) = conclude(tick, resharding, hot, history, &mut inputs);
    Ruled { report: RuleReport { verdict, inputs, counterfactual: None }, action }
}

/// Finds children that are as hot as the shard was before it was divided.
fn learn(tick: &Tick<'_>, hot: &[&ShardLoad], history: &mut History) {
    for shard in hot {
        let Some(range) = range_of(shard) else { continue };
        let share = share_of(tick, shard).0;
        for split in &mut history.memory.splits {
            let child = split.range.contains(&range) && split.range != range;
            if child && share >= split.share.0 * UNHELPED {
                split.hot_child = Some(range);
            }
        }
    }
}

/// The share of what is asked of the whole stream that is asked of one shard.
fn share_of(tick: &Tick<'_>, shard: &ShardLoad) -> Fraction {
    let all: f64 = tick.seen.load.shards.iter().map(|shard| asked_of(shard).0).sum();
    Fraction(if all > 0.0 { asked_of(shard).0 / all } else { 1.0 })
}

fn conclude(
    tick: &Tick<'_>,
    resharding: bool,
    hot: &[&ShardLoad],
    history: &mut History,
    inputs: &mut Vec<Input>,
) -> (Verdict, Option<Action>) {
    let Some(hottest) = hot.first() else {
        let reason = if tick.seen.stream.on_demand {
            "the stream is on-demand: AWS owns its shards"
        } else {
            "no shard stands out"
        };
        return (Verdict::NotApplicable { reason: reason.to_owned() }, None);
    };
    let confirm = tick.policy.guard.confirm_up;
    let proven = |shard: &ShardLoad| evidence::is_proven(&history.hot, &shard.shard_id, confirm, tick.now);
    if !hot.iter().any(|shard| proven(shard)) {
        let reason = format!("{}: split if it stays so for {MINUTES_NEEDED} of 5 minutes", heat_of(hottest));
        return (Verdict::Held { reason, until: None }, None);
    }
    let mut causes = hot.iter().filter(|shard| proven(shard)).map(|shard| (*shard, split_of(tick, shard, history)));
    let found = causes.find_map(|(shard, split)| Some((shard, split.ok()?)));
    let Some((shard, cut)) = found else {
        let reason = match split_of(tick, hottest, history) {
            Err(reason) => format!("{}: {reason}", heat_of(hottest)),
            Ok(_) => heat_of(hottest),
        };
        return (Verdict::Held { reason, until: None }, None);
    };
    inputs.push(input("fuller half", &cut.larger));
    if let Some(Hold { reason, until }) = against(tick, resharding, history) {
        return (Verdict::Held { reason: format!("{}; {reason}", heat_of(shard)), until }, None);
    }
    let open = tick.seen.stream.open_shards.map_or(0, |open| open.value.0);
    let reason = format!("{}: split so that its fuller half has {} of its load", heat_of(shard), cut.larger);
    (Verdict::Fired { from: open, to: open + 1, reason }, Some(split(tick, shard, cut, history)))
}

fn heat_of(shard: &ShardLoad) -> String {
    let ShardLoad { shard_id, throttled, .. } = shard;
    format!(
        "{shard_id} takes {} of its limit and refuses {throttled} while the stream is below its target",
        use_of(shard)
    )
}

/// Where a shard is divided, or why it is not.
pub(super) fn split_of(tick: &Tick<'_>, shard: &ShardLoad, history: &History) -> Result<Cut, String> {
    let Some(range) = range_of(shard) else { return Err("its range of hash keys is not known".to_owned()) };
    let one_key = "one hash key is the cause, which no split divides: only other partition keys would help";
    if let Some(heaviest) = shard
        .heaviest
        .filter(|heaviest| heaviest.share * asked_of(shard).0 >= tick.policy.stream.hot_shard_utilization.0)
    {
        return Err(format!("{one_key} ({} has {})", heaviest.hash_key, Fraction(heaviest.share)));
    }
    let unhelped = |split: &&Split| split.hot_child.is_some_and(|child| child.contains(&range));
    if let Some(split) = history.memory.splits.iter().find(unhelped) {
        return Err(format!("the split of {} at {:.0} did not help; {one_key}", split.shard_id, split.at));
    }
    best_cut(shard).ok_or_else(|| "its range is a single hash key".to_owned())
}

/// The call, and what is remembered of it.
pub(super) fn split(tick: &Tick<'_>, shard: &ShardLoad, cut: Cut, history: &mut History) -> Action {
    history.memory.asked_split = range_of(shard).map(|range| Split {
        at: tick.now,
        shard_id: shard.shard_id.clone(),
        range,
        key: cut.key.to_string(),
        share: share_of(tick, shard),
        hot_child: None,
    });
    Action::SplitShard {
        stream: tick.seen.stream.name.clone(),
        shard_id: shard.shard_id.clone(),
        new_starting_hash_key: cut.key.to_string(),
    }
}

fn against(tick: &Tick<'_>, resharding: bool, history: &History) -> Option<Hold> {
    let open = tick.seen.stream.open_shards?.value.0;
    let (most, by) = holds::most_shards(tick, open);
    let full =
        (open >= most).then(|| Hold::new(by.unwrap_or_else(|| format!("the policy allows at most {most} shards"))));
    holds::foreign(tick, &tick.seen.stream.name)
        .or_else(|| holds::frozen(tick, Direction::Up))
        .or_else(|| holds::not_active(tick))
        .or_else(|| resharding.then(|| Hold::new("the stream is about to be resharded")))
        .or(full)
        .or_else(|| refusal(history.single_refused.clone(), tick.now))
        .or_else(|| cooldown(&history.shards, tick.policy.guard.shards_up_cooldown, tick.now))
}
