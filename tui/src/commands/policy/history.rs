//! `ctl policy history`: who put what in force, and when.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::{policy::PolicyFile, record::StoredPolicy};
use jiff::Timestamp;
use serde::Serialize;

use super::keys::changes;
use crate::{
    failure::Exit,
    output::{FormatArgs, Table, Writer},
    target::{Global, Target},
};

/// Show who put which policy in force, when, and which keys that changed; the newest last
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy history
  ctl policy history --output json | jq -r '.policies[-2].text'")]
pub(super) struct Args {
    /// How many generations, counted from the newest
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    last: u16,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    /// The newest last, as it happened.
    policies: &'a [Entry],
}

#[derive(Debug, Serialize)]
struct Entry {
    generation: u64,
    applied_at: Timestamp,
    applied_by: String,
    /// Against the generation before; the first is compared with the defaults.
    changes: Vec<String>,
    text: String,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let last = usize::from(args.last);
    // One more than is shown, to compare the oldest with.
    let mut stored = target.control_table().policy_history(target.name.as_str(), last + 1).await?;
    stored.reverse();
    let mut entries = entries(stored);
    let entries = entries.split_off(entries.len().saturating_sub(last));
    let document = Document { version: 1, policies: &entries };
    Writer::from(args.format).list(&document, &entries, || text(&entries))?;
    Ok(Exit::Done)
}

/// Pairs each policy with the one before it. A text that this version cannot read counts as the defaults.
fn entries(stored: Vec<StoredPolicy>) -> Vec<Entry> {
    let mut before = PolicyFile::default();
    let entry = |StoredPolicy { text, generation, applied_at, applied_by }| {
        let policy = PolicyFile::parse(&text).unwrap_or_default();
        let changes = changes(&before, &policy);
        before = policy;
        Entry { generation, applied_at, applied_by, changes, text }
    };
    stored.into_iter().map(entry).collect()
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no policy was applied: the defaults are in force".to_owned();
    }
    let mut table = Table::new(&["generation", "applied", "by", "changes"]);
    for entry in entries {
        let changes = if entry.changes.is_empty() { "none".to_owned() } else { entry.changes.join(", ") };
        table.row([&entry.generation.to_string(), &format!("{:.0}", entry.applied_at), &entry.applied_by, &changes]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(generation: u64, text: &str) -> StoredPolicy {
        let (applied_at, applied_by) = (Timestamp::UNIX_EPOCH, "ann@desk".to_owned());
        StoredPolicy { text: text.to_owned(), generation, applied_at, applied_by }
    }

    #[test]
    fn every_generation_is_compared_with_the_one_before() {
        let policies = ["version = 1\n[consumer]\nmin_tasks = 2\n", "version = 1\n[consumer]\nmin_tasks = 3\n"];
        let entries = entries(vec![stored(1, policies[0]), stored(2, policies[1])]);
        let changes: Vec<_> = entries.iter().map(|entry| entry.changes.join(", ")).collect();
        assert_eq!(changes, ["consumer.min_tasks: 1 -> 2", "consumer.min_tasks: 2 -> 3"]);
    }
}
