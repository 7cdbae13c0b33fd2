//! Everything that `ctl` writes: data on standard output, all else on standard error.

mod document;
mod progress;
mod table;
pub(crate) mod text;

use std::{fmt::Display, io};

use anyhow::Error;
use owo_colors::{OwoColorize, Style};

pub(crate) use document::{Format, FormatArgs, Writer, write_line};
pub(crate) use progress::Progress;
pub(crate) use table::Table;

use crate::{
    failure::{Exit, Failure},
    wording::{Line, Tone},
};

/// Tells a person something that is not data.
pub(crate) fn note(text: impl Display) {
    // Nobody listens on a closed standard error.
    let _ = io::Write::write_fmt(&mut anstream::stderr(), format_args!("{text}\n"));
}

/// Asks on standard error and reads one line of standard input.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut stderr = anstream::stderr();
    io::Write::write_all(&mut stderr, question.as_bytes())?;
    io::Write::flush(&mut stderr)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// Lines of words, styled by their tone. Control characters of data are made visible.
pub(crate) fn words(lines: &[Line]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| text::clean(&line.text).style(style(line.tone)).to_string()).collect();
    lines.join("\n")
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Title => Style::new().bold(),
        Tone::Change => Style::new().cyan().bold(),
        Tone::Held => Style::new().yellow(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Done => Style::new().green(),
        Tone::Bad => Style::new().red().bold(),
    }
}

/// An error with its causes, outermost first, in one line. Errors of AWS repeat their cause: it is said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.dedup();
    causes.join(": ")
}

/// Reports a failure in one line, with its hint, and returns the exit code.
///
/// A reader that went away (`ctl tail | head`) is not a failure.
pub(crate) fn failed(error: &Error) -> Exit {
    if error.chain().any(is_broken_pipe) {
        return Exit::Done;
    }
    note(format_args!("{} {}", "error:".red().bold(), chain(error.as_ref()).trim_end()));
    let failure = error.downcast_ref::<Failure>();
    if let Some(hint) = failure.and_then(|failure| failure.hint.as_deref()) {
        note(format_args!("{} {hint}", "hint:".cyan().bold()));
    }
    failure.map_or(Exit::Failed, |failure| failure.exit)
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
