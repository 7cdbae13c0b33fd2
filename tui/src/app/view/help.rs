//! The help, made from the keymap.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use super::Palette;
use crate::app::{keymap, model::Model};

/// Wide enough for the longest line of the help.
const WIDTH: u16 = 44;

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    // The keys of the screen below, not of the help itself.
    let below = Model { help: false, ..model.clone() };
    let mut lines: Vec<_> = keymap::bindings(keymap::context(&below))
        .map(|binding| {
            let label = Span::styled(format!("{:>9}  ", binding.label), palette.key());
            Line::from(vec![label, Span::raw(binding.words)])
        })
        .collect();
    lines.push(Line::default());
    lines.push(Line::styled("? beside a figure: nobody could read it", palette.dim()));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let [_, row, _] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    let [_, popup, _] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(WIDTH), Constraint::Fill(1)]).areas(row);
    frame.render_widget(Clear, popup);
    frame.render_widget(Paragraph::new(lines).block(palette.panel("keys")), popup);
}
