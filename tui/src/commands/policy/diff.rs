//! `ctl policy diff`: what applying a file would change.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::policy::PolicyFile;
use serde::Serialize;
use similar::TextDiff;

use super::{keys::changes, read};
use crate::{
    commands::simulate::{Effect, effect},
    failure::Exit,
    output::{self, FormatArgs, Writer},
    target::{Global, Target},
    wording::{Line, Tone},
};

/// Show what applying a file would change, line by line, without changing anything
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy diff policy.toml
  ctl policy diff policy.toml --output json | jq -r '.changes[]'

What the change would have meant for the stream's last day is simulated and shown below, where CloudWatch has that day.
The exit code is 0 whether there is a difference or not, and 2 if the file has an error.")]
pub(super) struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    /// Do not simulate what the change would have meant for the stream's last day
    #[arg(long)]
    no_simulation: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    /// The one in force, 0 for the defaults.
    generation: u64,
    /// The keys whose values would change; comments and order do not count.
    changes: Vec<String>,
    /// A unified diff of the texts; where none was applied, of both policies with every key.
    diff: String,
    /// What the change would have meant for the stream's last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulated: Option<Effect>,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let wanted = read(&args.file)?;
    let target = Target::resolve(global).await?;
    let stored = target.control_table().policy(target.name.as_str()).await?;
    let generation = stored.as_ref().map_or(0, |stored| stored.generation);
    let old = stored.as_ref().and_then(|stored| PolicyFile::parse(&stored.text).ok()).unwrap_or_default();
    let (before, after) = match stored {
        Some(stored) => (stored.text, wanted.text),
        // Nobody wrote the defaults down: what differs is seen only where the file, too, is written out.
        None => (old.to_toml(), wanted.file.to_toml()),
    };
    let simulate = !args.no_simulation && old.policy != wanted.file.policy;
    let simulated = if simulate { simulated(global, &target, &old, &wanted.file).await } else { None };
    let document = Document {
        version: 1,
        generation,
        changes: changes(&old, &wanted.file),
        simulated,
        diff: unified(&before, &after, generation, &args.file.display().to_string()),
    };
    Writer::from(args.format).document(&document, || shown(&document))?;
    Ok(Exit::Done)
}

fn unified(old: &str, new: &str, generation: u64, file: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().header(&format!("in force (generation {generation})"), file).to_string()
}

/// The effect on the deployment's own stream. A past that cannot be read is no reason to show no difference.
async fn simulated(global: &Global, target: &Target, old: &PolicyFile, new: &PolicyFile) -> Option<Effect> {
    match effect(global, target.name.as_str(), old.policy.clone(), new.policy.clone()).await {
        Ok(effect) => effect,
        Err(error) => {
            output::note(format_args!("not simulated: {error}"));
            None
        }
    }
}

fn shown(document: &Document) -> String {
    if document.diff.is_empty() {
        return "no difference".to_owned();
    }
    let diff = output::words(&document.diff.lines().map(|line| Line::new(tone(line), line)).collect::<Vec<_>>());
    let effect = document.simulated.as_ref().map(|effect| format!("\n\n{}", effect.text()));
    diff + &effect.unwrap_or_default()
}

fn tone(line: &str) -> Tone {
    match line.as_bytes().first() {
        Some(b'+') => Tone::Done,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Change,
        _ => Tone::Quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_the_changed_lines_and_nothing_when_the_texts_are_equal() {
        let old = "version = 1\n[stream]\nmax_shards = 4\n";
        let new = "version = 1\n[stream]\nmax_shards = 8\n";
        let diff = unified(old, new, 3, "new.toml");
        assert!(diff.starts_with("--- in force (generation 3)\n+++ new.toml\n"), "{diff}");
        assert!(diff.contains("\n-max_shards = 4\n+max_shards = 8\n"), "{diff}");
        assert_eq!(unified(old, old, 3, "new.toml"), "");
    }
}
