//! A policy as TOML with every key, and as a flat list of settings.

use super::{Freeze, Policy, PolicyFile, Schedule, VERSION, section::Section};

pub(super) fn to_toml(file: &PolicyFile) -> String {
    let mut parts = vec![format!("version = {VERSION}\n")];
    parts.extend(policy(&file.policy, ""));
    for pipeline in &file.pipelines {
        let none = if pipeline.policy.schedules.is_empty() { "schedule = []\n" } else { "" };
        parts.push(table(&pipeline.names(), "[[pipeline]]") + none);
        parts.extend(policy(&pipeline.policy, "pipeline."));
    }
    parts.join("\n")
}

fn policy(policy: &Policy, prefix: &str) -> Vec<String> {
    let Policy { stream, producer, consumer, guard, freezes, schedules } = policy;
    let none = if freezes.is_empty() && !prefix.is_empty() { "freeze = []\n" } else { "" };
    let mut parts = vec![
        table(stream, &format!("[{prefix}stream]")),
        table(producer, &format!("[{prefix}producer]")),
        table(consumer, &format!("[{prefix}consumer]")),
        table(guard, &format!("[{prefix}guard]")) + none,
    ];
    parts.extend(freezes.iter().map(|freeze| table(freeze, &format!("[[{prefix}guard.freeze]]"))));
    parts.extend(schedules.iter().map(|schedule| table(schedule, &format!("[[{prefix}schedule]]"))));
    if prefix.is_empty() && freezes.is_empty() {
        parts.push(example::<Freeze>());
    }
    if prefix.is_empty() && schedules.is_empty() {
        parts.push(example::<Schedule>());
    }
    parts
}

/// A table with every key under its description.
fn table<S: Section>(section: &S, header: &str) -> String {
    let lines = S::keys().into_iter().filter_map(|key| {
        let value = section.get(key.name)?;
        Some(format!("# {}\n{} = {value}\n", key.about, key.name))
    });
    format!("{header}\n{}", lines.collect::<String>())
}

/// What a list that has no entry could hold, as comments.
fn example<S: Section>() -> String {
    let keys = S::keys().into_iter().map(|key| format!("# {}\n#{} = {}\n", key.about, key.name, key.default));
    format!("#[[{}]]\n{}", S::TABLE, keys.collect::<String>())
}

pub(super) fn settings(file: &PolicyFile) -> Vec<(String, String)> {
    let mut settings = of_policy(&file.policy, "");
    for pipeline in &file.pipelines {
        let prefix = format!("pipeline.{}.", pipeline.name);
        settings.extend(of(&pipeline.names(), prefix.trim_end_matches('.')));
        settings.extend(of_policy(&pipeline.policy, &prefix));
    }
    settings
}

fn of_policy(policy: &Policy, prefix: &str) -> Vec<(String, String)> {
    let Policy { stream, producer, consumer, guard, freezes, schedules } = policy;
    let mut settings = of(stream, &format!("{prefix}stream"));
    settings.extend(of(producer, &format!("{prefix}producer")));
    settings.extend(of(consumer, &format!("{prefix}consumer")));
    settings.extend(of(guard, &format!("{prefix}guard")));
    settings.extend(freezes.iter().flat_map(|freeze| of(freeze, &format!("{prefix}guard.freeze.{}", freeze.name))));
    settings.extend(schedules.iter().flat_map(|schedule| of(schedule, &format!("{prefix}schedule.{}", schedule.name))));
    settings
}

fn of<S: Section>(section: &S, path: &str) -> Vec<(String, String)> {
    let keys = S::keys().into_iter();
    keys.filter_map(|key| Some((format!("{path}.{}", key.name), section.get(key.name)?))).collect()
}
