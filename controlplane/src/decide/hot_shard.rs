//! The hot-shard rule: a shard that is full while the stream is not. More shards for everybody would not help it.

use super::{Input, RuleReport, Verdict, demand::Demand, input};
use crate::{
    limits::{SHARD_BYTES, SHARD_RECORDS},
    observe::{Observation, ShardLoad},
    policy::StreamPolicy,
    units::Fraction,
};

/// A shard is an exception only where the stream as a whole is this far below its target.
const CALM: f64 = 1.5;

/// From this share of refused records on a shard counts as full, whatever it took.
const REFUSED_MAX: f64 = 0.01;

/// The hottest shard, when it is hot alone.
pub(super) fn find<'a>(policy: &StreamPolicy, seen: &'a Observation) -> Option<&'a ShardLoad> {
    let open = seen.stream.open_shards?.value.0;
    let calm = Demand::of(&seen.load)?.utilization(open).0 < policy.target_utilization.0 / CALM;
    let hot = |shard: &&ShardLoad| {
        let offered = shard.records.0 + shard.throttled.0;
        use_of(shard).0 >= policy.hot_shard_utilization.0 || shard.throttled.0 > offered * REFUSED_MAX
    };
    seen.load.busiest_shards.first().filter(|_| open > 1 && calm).filter(hot)
}

pub(super) fn rule(policy: &StreamPolicy, seen: &Observation) -> RuleReport {
    let mut inputs: Vec<Input> =
        seen.load.busiest_shards.iter().map(|shard| input(&shard.shard_id, &use_of(shard))).collect();
    inputs.push(input("hot from", &policy.hot_shard_utilization));
    let verdict = match find(policy, seen) {
        Some(shard) => Verdict::Held {
            reason: format!(
                "{} takes {} of its limit and refuses {} while the stream is below its target: only a split of this \
                 shard, or other partition keys, would help",
                shard.shard_id,
                use_of(shard),
                shard.throttled
            ),
            until: None,
        },
        None => Verdict::NotApplicable { reason: "no shard stands out".to_owned() },
    };
    RuleReport { verdict, inputs, counterfactual: None }
}

fn use_of(shard: &ShardLoad) -> Fraction {
    Fraction((shard.bytes.0 / SHARD_BYTES.0).max(shard.records.0 / SHARD_RECORDS.0))
}
