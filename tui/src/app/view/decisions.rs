//! The list of decisions, and one of them whole.

use ratatui::{Frame, layout::Rect, style::Stylize, text::Line, widgets::Paragraph};

use super::Palette;
use crate::{
    app::model::Model,
    output::text::clean,
    wording::{decision as words, figures},
};

pub(super) fn draw(
    model: &Model,
    palette: Palette,
    selected: usize,
    open: Option<usize>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    match (open, model.decisions().get(selected)) {
        (Some(scroll), Some(decision)) => {
            let block = palette.panel(&format!("decision {}", decision.id));
            let width = block.inner(area).width;
            let lines = words::lines(decision);
            let shown: Vec<_> = lines.iter().skip(scroll).flat_map(|line| palette.worded(line, width)).collect();
            frame.render_widget(Paragraph::new(shown).block(block), area);
        }
        _ => list(model, palette, Some(selected), frame, area),
    }
}

/// The newest decisions, or those around the selected one.
pub(super) fn list(model: &Model, palette: Palette, selected: Option<usize>, frame: &mut Frame<'_>, area: Rect) {
    let decisions = model.decisions();
    let block = palette.panel(&format!("decisions, newest first ({})", decisions.len()));
    if decisions.is_empty() {
        let text = Paragraph::new("? none yet").style(palette.dim()).block(block);
        return frame.render_widget(text, area);
    }
    let visible = usize::from(block.inner(area).height);
    let first = selected.map_or(0, |selected| (selected + 1).saturating_sub(visible));
    let lines: Vec<_> = decisions
        .iter()
        .enumerate()
        .skip(first)
        .take(visible)
        .map(|(index, decision)| {
            let age = figures::age(model.now.duration_since(decision.at));
            let line = Line::raw(format!("{age:>6} ago  {}", clean(&words::headline(decision))));
            if Some(index) == selected { line.reversed() } else { line }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
