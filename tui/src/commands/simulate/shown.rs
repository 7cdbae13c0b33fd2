//! The scores as a table for people.

use controlplane::simulate::Outcome;

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

pub(super) fn text(document: &Document) -> String {
    let mut table = Table::new(&HEADER);
    for outcome in &document.policies {
        table.row(cells(outcome).each_ref().map(String::as_str));
    }
    format!("{}\n\n{table}{}", heading(document), frontier(document))
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
    let days = document.minutes as f64 / 1440.0;
    let seeds =
        if document.seeds == 1 { "one seed".to_owned() } else { format!("medians of {} seeds", document.seeds) };
    let faults = if document.faults.is_empty() { String::new() } else { format!("; {}", document.faults.join(", ")) };
    format!("{}: {days:.1} days from {}; {}; {seeds}{faults}", document.load, document.start, document.scale)
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
        format!("{:.0}", score.shard_hours),
        ratio(score.shard_hours, outcome.optimum_shard_hours),
        format!("{:.0}", score.task_hours),
        ratio(score.task_hours, outcome.optimum_task_hours),
        format!("{:.2}", score.dollars),
        format!("{:.0}", score.calls),
        format!("{:.0}", score.calls_max_24h),
        format!("{:.0}", score.reversals),
    ]
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
