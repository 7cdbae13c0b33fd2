//! `ctl policy edit`: the policy in force in an editor, and what became of it put in force.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use controlplane::policy::PolicyFile;

use super::{WrittenPolicy, apply::replace};
use crate::{
    failure::{Exit, Failure},
    output::{FormatArgs, Writer, note},
    target::{Global, Target},
};

/// Lines that an error is shown in. They are taken out again.
const ERROR: &str = "#! ";

/// Change the policy in force with an editor, unless somebody else changes it meanwhile
///
/// $VISUAL, else $EDITOR, else vi is opened. A text with an error is opened again with the error above it; leave it as it
/// is to give up. Without a change nothing is applied.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl policy edit
  EDITOR='code --wait' ctl policy edit

Exit codes: 2 the text still has an error, 4 somebody else changed the policy meanwhile. Nothing is changed then, and the
text is kept in a file that the message names.")]
pub(super) struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let stored = target.control_table().policy(target.name.as_str()).await?;
    let before = stored.as_ref().map_or_else(|| PolicyFile::default().to_toml(), |stored| stored.text.clone());
    let file = tempfile::Builder::new().prefix("policy-").suffix(".toml").tempfile().context("cannot make a file")?;
    let (_, path) = file.keep().context("cannot keep the file")?;
    let applied = async {
        let Some(wanted) = edited(&editor(), &path, &before)? else { return Ok(None) };
        replace(&target, stored, &wanted).await.map(Some)
    };
    let applied = applied.await.inspect_err(|_| note(format_args!("your text is in {}", path.display())))?;
    // Whether it can be removed changes nothing: it is a temporary file.
    let _ = fs::remove_file(&path);
    match applied {
        Some(applied) => Writer::from(args.format).document(&applied, || applied.text())?,
        None => note("no change, so nothing was applied"),
    }
    Ok(Exit::Done)
}

fn editor() -> String {
    let set = |name| std::env::var(name).ok().filter(|editor: &String| !editor.trim().is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned())
}

/// What the editor makes of a text, or nothing when that is the same text. It opens again as long as there is an error and
/// something changes.
fn edited(editor: &str, path: &Path, before: &str) -> Result<Option<WrittenPolicy>> {
    let mut last = before.to_owned();
    fs::write(path, &last).with_context(|| format!("cannot write {}", path.display()))?;
    loop {
        open(editor, path)?;
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text: String = text.split_inclusive('\n').skip_while(|line| line.starts_with(ERROR)).collect();
        if text == before {
            return Ok(None);
        }
        match PolicyFile::parse(&text) {
            Ok(file) => return Ok(Some(WrittenPolicy { text, file })),
            Err(error) if text == last => {
                return Err(Failure::usage(format!("the text still has an error: {error}")).into());
            }
            Err(error) => {
                let mut shown = String::new();
                for line in error.to_string().lines() {
                    writeln!(shown, "{ERROR}{line}")?;
                }
                fs::write(path, shown + &text).with_context(|| format!("cannot write {}", path.display()))?;
                last = text;
            }
        }
    }
}

/// Runs the editor, which may have arguments, as git does.
fn open(editor: &str, path: &Path) -> Result<()> {
    let mut shell = Command::new("sh");
    let ended = shell.arg("-c").arg(format!("{editor} \"$1\"")).arg(editor).arg(path).status();
    let ended = ended.with_context(|| format!("cannot start {editor}"))?;
    if ended.success() { Ok(()) } else { Err(Failure::failed(format!("the editor ended with {ended}")).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(editor: &str) -> Result<Option<WrittenPolicy>> {
        let folder = tempfile::tempdir().expect("a folder");
        edited(editor, &folder.path().join("policy.toml"), "version = 1\n")
    }

    #[test]
    fn a_text_with_an_error_is_opened_again_with_the_error_above_it() {
        let editor = "fix() { if grep -q '^#! .*version 1' \"$1\"; then printf 'version = 1\\n[stream]\\n' > \"$1\"; \
                      else printf 'version = 2\\n' > \"$1\"; fi; }; fix";
        assert_eq!(with(editor).unwrap().unwrap().text, "version = 1\n[stream]\n");
    }

    #[test]
    fn a_text_that_stays_as_it_was_is_not_applied() {
        assert!(with("true").unwrap().is_none());
    }

    #[test]
    fn who_leaves_the_error_as_it_is_gives_up() {
        let error = with("spoil() { grep -q '^#!' \"$1\" || printf 'version = 2\\n' > \"$1\"; }; spoil").unwrap_err();
        assert!(error.to_string().contains("version 1"), "{error}");
    }

    #[test]
    fn an_editor_that_fails_changes_nothing() {
        assert!(with("false").is_err());
    }
}
