//! What is going on, on standard error: a spinner on a terminal, a line per step otherwise.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{note, text::clean};
use crate::wording::{Line, Tone};

/// How often the spinner turns.
const SPINNER_PERIOD: Duration = Duration::from_millis(100);

/// Progress of something that takes a while.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts to show progress.
    pub(crate) fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(SPINNER_PERIOD);
        Self(Some(bar))
    }

    /// Starts to show how many of so many things are done: on a terminal only.
    pub(crate) fn counting(total: u64, things: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:40.cyan} {pos} of {len} {msg}, {eta} left") {
            bar.set_style(style);
        }
        bar.set_message(things);
        Self(Some(bar))
    }

    /// So many are done.
    pub(crate) fn reached(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Says what is done now.
    pub(crate) fn step(&self, text: impl Into<Cow<'static, str>>) {
        let text = text.into();
        match &self.0 {
            Some(bar) => bar.set_message(text),
            None => note(text),
        }
    }

    /// Reports one step of a long operation: failures and the beginnings of phases stay on the screen.
    pub(crate) fn event(&self, line: &Line) {
        let text = clean(&line.text).into_owned();
        match (&self.0, line.tone) {
            (Some(bar), Tone::Bad | Tone::Title) => bar.println(text),
            (Some(bar), _) => bar.set_message(text),
            (None, _) => note(text),
        }
    }

    /// Updates a figure that changes often: shown on a terminal only.
    pub(crate) fn figure(&self, text: impl Into<Cow<'static, str>>) {
        if let Some(bar) = &self.0 {
            bar.set_message(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
