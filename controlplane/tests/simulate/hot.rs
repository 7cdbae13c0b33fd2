//! A hot range of keys, which a split helps, and a hot key, which nothing helps: what Weir does, whatever the seed.

use controlplane::{
    decide::{Action, Outcome, Verdict},
    observe::{Observation, ShardLoad},
    policy::Policy,
    simulate::{Contender, Fault, Faults, Metrics, Scene, Weir},
};
use jiff::Timestamp;

use crate::worlds::demand;

/// The first step up from two shards goes far: there is room for more.
const ROOM: &str = "version = 1\n[stream]\nmax_shards = 64\n";

const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// When keys turn hot, in seconds.
const FROM_S: i64 = 3_600;

/// The hot keys' share of the load, and their range, as the world has them.
const SHARE: f64 = 0.2;
const HOT: [f64; 2] = [0.401, 0.411];

/// Weir, and what it did about hot shards.
struct Witness {
    weir: Weir,
    splits: Vec<Split>,
    /// When it first said that a key is the cause.
    said: Option<i64>,
}

struct Split {
    at_s: i64,
    shard: ShardLoad,
    place: f64,
}

impl Contender for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn tick(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) -> Vec<Action> {
        let report = self.weir.conclude(seen, now).report.hot_shard.map(|rule| rule.verdict);
        if let Some(Verdict::Held { reason, .. }) = report
            && reason.contains("key")
        {
            self.said = self.said.or(Some(now.as_second()));
        }
        let actions = self.weir.tick(seen, metrics, now);
        for action in &actions {
            if let Action::SplitShard { shard_id, new_starting_hash_key, .. } = action {
                let shard = seen.load.shards.iter().find(|shard| shard.shard_id == *shard_id).expect("an open shard");
                let place = fraction(new_starting_hash_key.parse().expect("a hash key"));
                self.splits.push(Split { at_s: now.as_second(), shard: shard.clone(), place });
            }
        }
        actions
    }

    fn note(&mut self, outcome: &Outcome) {
        self.weir.note(outcome);
    }
}

fn fraction(hash_key: u128) -> f64 {
    hash_key as f64 / 2_f64.powi(128)
}

/// The share of the load between two places of the range, with a hot range in it.
fn load(low: f64, high: f64) -> f64 {
    let covered = (high.min(HOT[1]) - low.max(HOT[0])).max(0.0) / (HOT[1] - HOT[0]);
    covered * SHARE + (high - low) * (1.0 - SHARE)
}

/// Two hours, the second with a fault.
fn witness(shards: f64, fault: Fault, seed: u64) -> Witness {
    let scene = Scene { faults: Faults::new(&[fault]), ..Scene::new(demand(&[(shards, 120)])) };
    let policy = Policy::parse(ROOM).expect("a policy");
    let mut witness = Witness { weir: Weir::new(policy), splits: Vec::new(), said: None };
    let _timeline = scene.run(&mut witness, seed);
    witness
}

/// Full shards of load, each with every seed.
fn worlds(loads: &[f64]) -> impl Iterator<Item = (f64, u64)> {
    loads.iter().flat_map(|shards| SEEDS.map(move |seed| (*shards, seed)))
}

#[test]
fn a_hot_range_is_split_within_five_minutes_where_its_load_is_halved() {
    for (shards, seed) in worlds(&[3.0, 5.0, 7.0, 9.0]) {
        let found = witness(shards, Fault::HotShard, seed);
        let Split { at_s, shard, place } = found.splits.first().expect("a split");
        assert!((FROM_S..FROM_S + 300).contains(at_s), "{shards} shards, seed {seed}: at {at_s}");
        let range = [shard.starting_hash_key, shard.ending_hash_key].map(|key| fraction(key.expect("a range")));
        let lower = load(range[0], *place) / load(range[0], range[1]);
        assert!(load(range[0], range[1]) > SHARE, "{shards} shards, seed {seed}: it is not the hot one");
        assert!((0.4..=0.6).contains(&lower), "{shards} shards, seed {seed}: the lower part has {lower} of the load");
    }
}

#[test]
fn a_hot_key_is_reported_within_ten_minutes_and_its_shard_split_once_at_most() {
    // From 5 shards on, the key alone fills one.
    for (shards, seed) in worlds(&[5.0, 6.0, 9.0]) {
        let found = witness(shards, Fault::HotKey, seed);
        let said = found.said.expect("a report of the key");
        assert!((FROM_S..FROM_S + 600).contains(&said), "{shards} shards, seed {seed}: said at {said}");
        assert!(found.splits.len() <= 1, "{shards} shards, seed {seed}: {} splits", found.splits.len());
    }
}
