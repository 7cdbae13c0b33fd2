//! The result as one page: the charts' data inside, nothing from elsewhere.

use std::collections::BTreeMap;

use anyhow::Result;
use controlplane::simulate::{Call, CallKind, Minute, Outcome, Score, score::Spread};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{document::Document, shown::length};

/// The page, with a place for the data.
const PAGE: &str = include_str!("page.html");
const PLACE: &str = "\"the data\"";

/// Points of a chart: more than a screen has columns, few enough for a small page.
const POINTS: usize = 1_600;

#[derive(Serialize)]
struct Data<'a> {
    load: &'a str,
    scale: &'a str,
    start: String,
    start_ms: i64,
    minutes: usize,
    length: String,
    /// Minutes of one point.
    each: usize,
    seeds: u32,
    /// What differs from the usual world, for people.
    world: Vec<String>,
    lag_objective_s: f64,
    demand: Vec<f64>,
    policies: Vec<Policy<'a>>,
    /// Shard-hours and the throttled share of simple policies.
    frontier: Vec<(f64, f64)>,
    /// The physics and the prices, by their names.
    constants: Map<String, Value>,
}

#[derive(Serialize)]
struct Policy<'a> {
    name: &'a str,
    score: &'a Score,
    optimum_shard_hours: Option<f64>,
    optimum_task_hours: Option<f64>,
    spread: &'a BTreeMap<&'static str, Spread>,
    shards: Vec<f64>,
    /// Share of the records that found no room, in percent.
    throttled: Vec<f64>,
    lag: Vec<f64>,
    tasks: Vec<f64>,
    /// Minutes of the changes of the shard count, and from where to where they went.
    calls: Vec<(u32, u32, u32)>,
}

pub(super) fn html(document: &Document) -> Result<String> {
    let each = document.minutes.div_ceil(POINTS).max(1);
    let first = document.policies.first().map_or(&[][..], |outcome| &outcome.run.minutes[..]);
    let data = Data {
        load: &document.load,
        scale: &document.scale,
        start: document.start.to_string(),
        start_ms: document.start.as_millisecond(),
        minutes: document.minutes,
        length: length(document.minutes),
        each,
        seeds: document.seeds,
        world: document.world(),
        lag_objective_s: document.lag_objective_s,
        demand: points(first, each, highest(|minute| minute.demand_shards)),
        policies: document.policies.iter().map(|outcome| policy(outcome, each)).collect(),
        frontier: document.frontier.iter().map(|point| (point.shard_hours, point.throttled_pct)).collect(),
        constants: constants(document)?,
    };
    // A name may hold anything; in a script only the end of the script would matter.
    let json = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(PAGE.replace(PLACE, &json))
}

fn constants(document: &Document) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    for constants in [serde_json::to_value(&document.physics)?, serde_json::to_value(&document.prices)?] {
        if let Value::Object(constants) = constants {
            all.extend(constants);
        }
    }
    Ok(all)
}

fn policy(outcome: &Outcome, each: usize) -> Policy<'_> {
    let timeline = &outcome.run.minutes;
    let refused = |minutes: &[Minute]| {
        let sum = |of: fn(&Minute) -> f64| minutes.iter().map(of).sum::<f64>();
        100.0 * sum(|minute| minute.throttled_records) / sum(|minute| minute.records).max(1.0)
    };
    let mean = |minutes: &[Minute]| minutes.iter().map(|minute| minute.tasks).sum::<f64>() / minutes.len() as f64;
    let calls = timeline.iter().flat_map(|minute| minute.actions.iter().map(move |call| (minute, call)));
    let calls = calls.filter(|(_, call)| call.call.reshards() && call.error.is_none());
    let call = |minute: &Minute, call: &Call| match call.call {
        CallKind::UpdateShardCount => (call.at_s / 60, call.from, call.to),
        // Of a split and of a merge only the difference is known.
        _ => (call.at_s / 60, minute.shards as u32, minute.shards as u32 + call.to - call.from),
    };
    Policy {
        name: &outcome.name,
        score: &outcome.score,
        optimum_shard_hours: outcome.optimum_shard_hours,
        optimum_task_hours: outcome.optimum_task_hours,
        spread: &outcome.spread,
        shards: points(timeline, each, highest(|minute| minute.shards)),
        throttled: points(timeline, each, refused),
        lag: points(timeline, each, highest(|minute| minute.lag_s)),
        tasks: points(timeline, each, mean),
        calls: calls.map(|(minute, made)| call(minute, made)).collect(),
    }
}

fn highest(of: fn(&Minute) -> f64) -> impl Fn(&[Minute]) -> f64 {
    move |minutes| minutes.iter().map(of).fold(0.0, f64::max)
}

/// One number for each so many minutes, with three digits.
fn points(timeline: &[Minute], each: usize, of: impl Fn(&[Minute]) -> f64) -> Vec<f64> {
    timeline.chunks(each).map(|minutes| (of(minutes) * 1e3).round() / 1e3).collect()
}
