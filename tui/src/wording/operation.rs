//! A step of a deployment or a teardown in words.

use stack::{
    inventory::Resource,
    progress::{Event, Phase},
    teardown::Report,
};

use super::{Line, Tone};

/// One step in one line: a glyph, a word, what it is about.
pub(crate) fn line(event: &Event) -> Line {
    match event {
        Event::Phase { phase } => Line::new(Tone::Title, phase_words(*phase)),
        Event::Stack { logical_id, kind, status, reason } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let (tone, glyph) = stack_tone(status);
            Line::new(tone, format!("{glyph} {status:<20} {logical_id} ({kind}){reason}"))
        }
        Event::ImagePushed { role, digest, uploaded } => {
            let short = digest.trim_start_matches("sha256:").get(..12).unwrap_or(digest);
            Line::new(Tone::Done, format!("✓ pushed image of the {role}: {short}, {uploaded} bytes uploaded"))
        }
        Event::Service { service, desired, running, rollout } => {
            let tone = if desired == running { Tone::Done } else { Tone::Held };
            let glyph = if desired == running { '✓' } else { '◐' };
            let rollout = if rollout.is_empty() { String::new() } else { format!(", {rollout}") };
            Line::new(tone, format!("{glyph} {service}: {running} of {desired} tasks run{rollout}"))
        }
        Event::TaskStopped { service, task, reason } => {
            Line::new(Tone::Bad, format!("✗ a task of {service} stopped: {reason} ({task})"))
        }
        Event::Deleted { resource } => Line::new(Tone::Done, format!("✓ deleted {}", resource_words(resource))),
        Event::Kept { resource, reason } => {
            Line::new(Tone::Held, format!("■ kept    {}: {reason}", resource_words(resource)))
        }
        Event::Retrying { what, reason } => Line::new(Tone::Held, format!("◐ again: {what}: {reason}")),
    }
}

/// What an event is about. A newer event about the same thing replaces the older one.
pub(crate) fn subject(event: &Event) -> Option<&str> {
    match event {
        Event::Stack { logical_id, .. } => Some(logical_id),
        Event::Service { service, .. } => Some(service),
        Event::Deleted { resource } | Event::Kept { resource, .. } => Some(&resource.id),
        Event::Retrying { what, .. } => Some(what),
        Event::Phase { .. } | Event::ImagePushed { .. } | Event::TaskStopped { .. } => None,
    }
}

/// How a teardown ended.
pub(crate) fn result(report: &Report) -> Vec<Line> {
    let removed = report.deleted.len();
    if report.leftovers.is_empty() {
        return vec![Line::new(Tone::Done, format!("✓ {removed} resources removed, nothing is left"))];
    }
    let left = report.leftovers.len();
    let title = Line::new(Tone::Bad, format!("✗ {removed} resources removed, {left} left over:"));
    let resources = report.leftovers.iter().map(|left| Line::new(Tone::Held, format!("  {}", resource_words(left))));
    std::iter::once(title).chain(resources).collect()
}

/// A resource as people recognise it.
pub(crate) fn resource_words(resource: &Resource) -> String {
    format!("{:<34} {}", resource.kind, resource.id)
}

fn stack_tone(status: &str) -> (Tone, char) {
    if status.ends_with("FAILED") || status.contains("ROLLBACK") {
        (Tone::Bad, '✗')
    } else if status.ends_with("COMPLETE") {
        (Tone::Done, '✓')
    } else {
        (Tone::Held, '◐')
    }
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::CreatingStack => "creating the stack",
        Phase::UpdatingStack => "updating the stack",
        Phase::PushingImages => "pushing the images",
        Phase::WaitingForServices => "waiting for the services",
        Phase::TakingInventory => "taking the inventory",
        Phase::StoppingServices => "stopping the services",
        Phase::Emptying => "emptying what is not empty",
        Phase::DeletingStack => "deleting the stack",
        Phase::SweepingLeftovers => "sweeping up what is left",
        Phase::Verifying => "verifying that nothing is left",
    }
}
