//! `ctl recommend`: a policy for a load and a preference, with the score to expect.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use controlplane::{
    policy::{Policy, PolicyFile},
    simulate::{Preference, Recommendation, Score, Search},
};
use serde::Serialize;

use super::simulate::{LoadArgs, Request, WorldArgs, hours, interruptible, policy, read_load, short};
use crate::{
    failure::{Exit, Failure},
    output::{FormatArgs, Progress, Writer},
    target::Global,
};

/// Search for the policy that suits a load and a preference, and print it with the score to expect
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl recommend --from-stream orders --since 14d
  ctl recommend --from-stream orders --prefer safety > policy.toml
  ctl recommend --trace requests.csv --throttled-price 5 --output json

The search sees the first two thirds of the load. The scores are of the last third, which it does not see. Nothing is
changed: see `ctl policy diff` and `ctl policy apply`.")]
pub(super) struct Args {
    #[command(flatten)]
    load: LoadArgs,
    /// What matters more: the cost of shards and tasks, or that nothing is throttled and late
    #[arg(long, value_enum, default_value = "balanced", value_name = "WHAT")]
    prefer: Prefer,
    /// What a million throttled records cost in dollars, instead of what the preference says
    #[arg(long, value_name = "DOLLARS")]
    throttled_price: Option<f64>,
    /// Where the search begins, and what bounds it keeps; the defaults without it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Less load than this does not tell one policy from another.
const MINUTES_MIN: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Prefer {
    Cost,
    Balanced,
    Safety,
}

#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    load: String,
    preference: Preference,
    tried: usize,
    /// Settings that differ from where the search began: `stream.target_utilization`, `"60 %"`.
    changes: Vec<(String, String)>,
    /// The policy as TOML.
    policy: String,
    expected: Score,
    before: Score,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let base = policy(args.policy.as_deref())?;
    let preference = preference(&args)?;
    let load = read_load(&args.load, global).await?;
    let minutes = load.minutes();
    if minutes < MINUTES_MIN {
        let short = format!("{} has {minutes} minutes of load, too few to search by", load.name);
        return Err(Failure::failed(short).hint("an hour is the least; days say much more").into());
    }
    let request = Request::new(&args.world, load, base.clone(), Vec::new())?;
    let name = request.load.clone();
    let found = interruptible(move |stopped| search(&request, base, preference, stopped)).await?;
    let Some((base, found)) = found else { return Ok(Exit::Interrupted) };
    let document = document(name, &base, preference, &found);
    Writer::from(args.format).document(&document, || text(&document))?;
    Ok(Exit::Done)
}

fn preference(args: &Args) -> Result<Preference> {
    let preference = match args.prefer {
        Prefer::Cost => Preference::COST,
        Prefer::Balanced => Preference::BALANCED,
        Prefer::Safety => Preference::SAFETY,
    };
    match args.throttled_price {
        None => Ok(preference),
        Some(price) if price.is_finite() && price >= 0.0 => Ok(Preference { throttled_million: price, ..preference }),
        Some(_) => Err(Failure::usage("--throttled-price is a number of dollars, zero or more").into()),
    }
}

fn search(
    request: &Request,
    base: Policy,
    preference: Preference,
    stopped: &AtomicBool,
) -> Option<(Policy, Recommendation)> {
    let progress = Progress::counting(Search::most() as u64, "policies");
    let search = Search {
        scene: &request.scene,
        terms: &request.terms,
        base: base.clone(),
        preference,
        seeds: request.seeds.into(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let found = search.run(&|tried| {
        progress.reached(tried as u64);
        !stopped.load(Ordering::Relaxed)
    })?;
    Some((base, found))
}

fn document(load: String, base: &Policy, preference: Preference, found: &Recommendation) -> Document {
    let settings = |policy: &Policy| PolicyFile { policy: policy.clone(), pipelines: Vec::new() }.settings();
    let (old, new, default) = (settings(base), settings(&found.policy), settings(&Policy::default()));
    let without = |known: &[(String, String)]| -> Vec<_> {
        new.iter().filter(|setting| !known.contains(setting)).cloned().collect()
    };
    Document {
        version: 1,
        load,
        preference,
        tried: found.tried,
        changes: without(&old),
        policy: toml(&without(&default)),
        expected: found.expected,
        before: found.before,
    }
}

/// Settings that are no defaults, as a policy.
fn toml(settings: &[(String, String)]) -> String {
    let mut text = String::from("version = 1\n");
    let mut table = "";
    for (key, value) in settings {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        if section != table {
            text.push_str(&format!("\n[{section}]\n"));
            table = section;
        }
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

fn text(document: &Document) -> String {
    let line = |name: &str, score: &Score| {
        let (throttled, lost) = (short(score.throttled_pct), short(score.lost_pct));
        format!(
            "#   {name:<12} {throttled:>7} % throttled, {lost:>6} % lost, lag {:>6.1} s (p99), {:>7} shard-hours, \
             {:>7} task-hours, ${:.2}",
            score.lag_p99_s,
            hours(score.shard_hours),
            hours(score.task_hours),
            score.dollars
        )
    };
    format!(
        "# For {} at ${} for a million throttled records; {} policies were tried.\n\
         # Expected on the last third of the load, which the search did not see:\n{}\n{}\n{}",
        document.load,
        document.preference.throttled_million,
        document.tried,
        line("this policy", &document.expected),
        line("before", &document.before),
        document.policy
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recommended_is_a_policy() {
        let settings = [("stream.target_utilization", "\"60 %\""), ("guard.confirm_up", "\"15s\"")];
        let text = toml(&settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let policy = Policy::parse(&text).expect("a policy");
        assert_eq!(policy.guard.confirm_up.0, 15_000);
        assert!((policy.stream.target_utilization.0 - 0.6).abs() < 1e-9);
    }
}
