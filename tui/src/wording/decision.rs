//! A decision in words.

use controlplane::decide::{Action, ActionResult, Decision, Outcome, RuleReport, Service, Verdict};
use jiff::Timestamp;

use super::{Line, Tone};

/// A decision, whole: its rules with their inputs, and what became of its actions.
pub(crate) fn lines(decision: &Decision) -> Vec<Line> {
    let mut lines = vec![Line::new(
        Tone::Title,
        format!("{:.0}  {}  policy {}", decision.at, headline(decision), decision.policy_generation),
    )];
    for (name, rule) in rules(decision) {
        lines.push(verdict(name, rule));
        lines.extend(details(rule));
    }
    lines.extend(outcomes(decision));
    lines.extend(
        decision.observation.blind_spots.iter().map(|spot| Line::new(Tone::Bad, format!("? cannot see: {spot}"))),
    );
    lines
}

/// The rules of a decision with their names, in their fixed order.
pub(crate) fn rules(decision: &Decision) -> Vec<(&'static str, &RuleReport)> {
    decision.report.rules()
}

/// A decision in a few words: what it changes, or that it holds.
pub(crate) fn headline(decision: &Decision) -> String {
    if decision.plan.actions.is_empty() {
        // A schedule or a freeze in force holds for hours what nobody may want to change.
        let counts = rules(decision).into_iter().filter(|(name, _)| !["schedule", "freeze"].contains(name));
        let held = counts.into_iter().any(|(_, rule)| matches!(rule.verdict, Verdict::Held { .. }));
        return if held { "held" } else { "no change" }.to_owned();
    }
    decision.plan.actions.iter().map(change).collect::<Vec<_>>().join(", ")
}

/// One rule's verdict in one line: a glyph, the rule, a word, the reason.
pub(crate) fn verdict(name: &str, rule: &RuleReport) -> Line {
    match &rule.verdict {
        Verdict::Fired { from, to, reason } => {
            let glyph = if to > from { '▲' } else { '▼' };
            Line::new(Tone::Change, format!("{glyph} {name:<10} {from} -> {to}: {reason}"))
        }
        Verdict::Held { reason, until } => {
            let until = until.map(|until| format!(" until {}", clock_time(until))).unwrap_or_default();
            Line::new(Tone::Held, format!("■ {name:<10} held{until}: {reason}"))
        }
        Verdict::NotApplicable { reason } => Line::new(Tone::Quiet, format!("· {name:<10} {reason}")),
    }
}

/// The numbers that a rule used, and what it would have done without its limit.
pub(crate) fn details(rule: &RuleReport) -> impl Iterator<Item = Line> {
    let inputs = (!rule.inputs.is_empty()).then(|| {
        let inputs = rule.inputs.iter().map(|input| format!("{} {}", input.name, input.value)).collect::<Vec<_>>();
        Line::new(Tone::Quiet, format!("    {}", inputs.join(" · ")))
    });
    let instead = rule.counterfactual.as_ref().map(|text| Line::new(Tone::Quiet, format!("    {text}")));
    inputs.into_iter().chain(instead)
}

/// What became of the actions.
pub(crate) fn outcomes(decision: &Decision) -> impl Iterator<Item = Line> {
    decision.outcomes.iter().map(outcome)
}

fn outcome(outcome: &Outcome) -> Line {
    let what = change(&outcome.action);
    match &outcome.result {
        ActionResult::Done => Line::new(Tone::Done, format!("✓ {what}: done")),
        ActionResult::Refused { code, message } => {
            Line::new(Tone::Bad, format!("✗ {what}: refused, {code}: {message}"))
        }
        ActionResult::Unknown { message } => Line::new(Tone::Bad, format!("? {what}: no answer, {message}")),
        ActionResult::Skipped { reason } => Line::new(Tone::Held, format!("■ {what}: not called, {reason}")),
    }
}

fn change(action: &Action) -> String {
    match action {
        Action::UpdateShardCount { from, to, .. } => format!("shards {} -> {}", from.0, to.0),
        Action::UpdateService { service, from, to, .. } => {
            let service = match service {
                Service::Producer => "producers",
                Service::Consumer => "consumers",
            };
            format!("{service} {} -> {}", from.0, to.0)
        }
        Action::SplitShard { shard_id, .. } => format!("split {shard_id}"),
        Action::MergeShards { shard_id, adjacent_shard_id, .. } => format!("merge {shard_id} and {adjacent_shard_id}"),
        Action::UpdateStreamWarmThroughput { from_mib, to_mib, .. } => {
            format!("warm throughput {from_mib} -> {to_mib} MiB/s")
        }
    }
}

/// The time of day, in UTC as everything that is stored.
fn clock_time(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
