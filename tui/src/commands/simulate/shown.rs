//! The scores as a table for people.

use controlplane::simulate::{Outcome, score::Spread};

use super::document::Document;
use crate::output::Table;

const HEADER: [&str; 14] = [
    "policy",
    "throttled",
    "lost",
    "lag p50",
    "p99",
    "max",
    "shard-hours",
    "x best",
    "task-hours",
    "x best",
    "dollars",
    "calls",
    "in 24 h",
    "reversals",
];

/// What the first table has no room for: how far the seeds are apart, and SPEC's measures of elasticity.
const MORE: [&str; 12] = [
    "policy",
    "throttled, of all seeds",
    "shard-hours, of all seeds",
    "late",
    "refused",
    "no effect",
    "short by",
    "over by",
    "time short",
    "time over",
    "instability",
    "jitter/h",
];

pub(super) fn text(document: &Document) -> String {
    let (mut table, mut more) = (Table::new(&HEADER), Table::new(&MORE));
    for outcome in &document.policies {
        table.row(cells(outcome).each_ref().map(String::as_str));
        more.row(more_cells(outcome).each_ref().map(String::as_str));
    }
    format!("{}\n\n{table}\n{more}{}", heading(document), frontier(document))
}

/// How long the load is, in days, or in minutes where it is less than two hours.
pub(super) fn length(minutes: usize) -> String {
    if minutes < 120 { format!("{minutes} minutes") } else { format!("{:.1} days", minutes as f64 / 1440.0) }
}

/// How the first policy stands against simple ones that see what it sees.
fn frontier(document: &Document) -> String {
    let Some(Outcome { name, score, .. }) = document.policies.first().filter(|_| !document.frontier.is_empty()) else {
        return String::new();
    };
    // The cheapest come first, and the more they cost the less they throttle.
    let as_good = document.frontier.iter().find(|point| point.throttled_pct <= score.throttled_pct);
    let found = match as_good {
        Some(point) => format!(
            "the cheapest that throttles no more than {name} needs {:.0} shard-hours ({:.2} times as many)",
            point.shard_hours,
            point.shard_hours / score.shard_hours
        ),
        None => format!("none throttles as little as {name}"),
    };
    format!("\nOf simple policies that know no more of the load, {found}.\n")
}

fn heading(document: &Document) -> String {
    let length = length(document.minutes);
    let seeds =
        if document.seeds == 1 { "one seed".to_owned() } else { format!("medians of {} seeds", document.seeds) };
    let world: String = document.world().iter().map(|difference| format!("; {difference}")).collect();
    format!("{}: {length} from {}; {}; {seeds}{world}", document.load, document.start, document.scale)
}

fn cells(outcome: &Outcome) -> [String; 14] {
    let score = &outcome.score;
    let ratio = |value: f64, best: Option<f64>| best.map_or_else(String::new, |best| format!("{:.2}", value / best));
    [
        outcome.name.clone(),
        format!("{} %", short(score.throttled_pct)),
        format!("{} %", short(score.lost_pct)),
        format!("{:.1} s", score.lag_p50_s),
        format!("{:.1} s", score.lag_p99_s),
        format!("{:.0} s", score.lag_max_s),
        hours(score.shard_hours),
        ratio(score.shard_hours, outcome.optimum_shard_hours),
        hours(score.task_hours),
        ratio(score.task_hours, outcome.optimum_task_hours),
        format!("{:.2}", score.dollars),
        format!("{:.0}", score.calls),
        format!("{:.0}", score.calls_max_24h),
        format!("{:.0}", score.reversals),
    ]
}

fn more_cells(outcome: &Outcome) -> [String; 12] {
    let score = &outcome.score;
    let spread = |name, show: fn(f64) -> String| match outcome.spread.get(name) {
        Some(Spread { min, max }) => format!("{} to {}", show(*min), show(*max)),
        None => "alike".to_owned(),
    };
    let percent = |value: f64| format!("{} %", short(value));
    [
        outcome.name.clone(),
        spread("throttled_pct", short),
        spread("shard_hours", hours),
        format!("{:.0} min", score.lag_minutes),
        format!("{:.0}", score.refused_calls),
        format!("{:.0}", score.ineffective),
        percent(score.under_accuracy_pct),
        percent(score.over_accuracy_pct),
        percent(score.under_time_pct),
        percent(score.over_time_pct),
        percent(score.instability_pct),
        format!("{:.1}", score.jitter_per_hour),
    ]
}

/// Whole hours, with a tenth where there are few.
pub(in crate::commands) fn hours(hours: f64) -> String {
    if hours < 10.0 { format!("{hours:.1}") } else { format!("{hours:.0}") }
}

/// Two significant digits of small shares, so that 0.004 does not look like nothing.
pub(in crate::commands) fn short(percent: f64) -> String {
    match percent {
        0.0 => "0".to_owned(),
        small if small < 0.0005 => "<0.001".to_owned(),
        small if small < 0.1 => format!("{small:.3}"),
        percent => format!("{percent:.2}"),
    }
}
