//! The last decision, rule by rule.

use controlplane::decide::Decision;
use ratatui::{Frame, layout::Rect, text::Line, widgets::Paragraph};

use super::Palette;
use crate::{
    app::model::Model,
    output::text::clean,
    wording::{decision as words, figures},
};

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let last = model.status().and_then(|status| status.last_decision.as_ref()).or(model.decisions().first());
    let inner = palette.panel("").inner(area);
    let (title, lines) = last.map_or_else(
        || ("no decision yet".to_owned(), next_steps(model, palette)),
        |decision| {
            let age = figures::age(model.now.duration_since(decision.at));
            let title = format!("last decision, {age} ago: {}", words::headline(decision));
            (title, lines(decision, palette, inner))
        },
    );
    frame.render_widget(Paragraph::new(lines).block(palette.panel(&title)), area);
}

/// What a newcomer can do while nothing has happened yet.
fn next_steps(model: &Model, palette: Palette) -> Vec<Line<'static>> {
    let Some(url) = &model.deployment.ingest_url else { return Vec::new() };
    let commands = [
        format!("curl --json '{{\"data\":\"hello\"}}' {url}"),
        "ctl tail".into(),
        "ctl send --rate 2000 --for 60s".into(),
    ];
    let title = Line::styled("in another terminal, try:", palette.dim());
    std::iter::once(title)
        .chain(commands.into_iter().map(|command| Line::raw(format!("  {}", clean(&command)))))
        .collect()
}

/// Verdicts always; the numbers behind them where there is room for both.
fn lines(decision: &Decision, palette: Palette, Rect { width, height, .. }: Rect) -> Vec<Line<'static>> {
    let rules = words::rules(decision);
    let roomy = usize::from(height) > 2 * rules.len();
    let mut lines = Vec::new();
    for (name, rule) in &rules {
        lines.extend(palette.worded(&words::verdict(name, rule), width));
        if roomy {
            lines.extend(words::details(rule).flat_map(|line| palette.worded(&line, width)));
        }
    }
    lines.extend(words::outcomes(decision).flat_map(|line| palette.worded(&line, width)));
    lines
}
