//! The command bar: the keys that are valid now.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::Palette;
use crate::app::{
    keymap::{self, Command},
    model::Model,
};

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for binding in keymap::bindings(keymap::context(model)).filter(|binding| !binding.quiet) {
        let words = words(model, binding.command, binding.words);
        spans.push(Span::styled(binding.label, palette.key()));
        spans.push(Span::raw(format!(" {words}   ")));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// Leaving `ctl up` stops what it started, and says so.
fn words(model: &Model, command: Command, words: &'static str) -> &'static str {
    if command == Command::Quit && model.deployment.owned { "quit and stop everything" } else { words }
}
