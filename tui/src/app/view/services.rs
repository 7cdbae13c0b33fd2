//! The producers and the consumers, side by side.

use controlplane::observe::{LoadObservation, Reading, ServiceObservation};
use controlplane::units::TaskCount;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::Palette;
use crate::{app::model::Model, wording::figures};

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let observation = model.status().map(|status| &status.observation);
    let producer = observation.map(|seen| service(model, &seen.producer, producer_load(model, &seen.load), palette));
    let consumer = observation.map(|seen| service(model, &seen.consumer, consumer_load(model, &seen.load), palette));
    for (title, lines, area) in [("producers", producer, left), ("consumers", consumer, right)] {
        let lines = lines.unwrap_or_else(|| vec![Line::styled("? not observed yet", palette.dim())]);
        frame.render_widget(Paragraph::new(lines).block(palette.panel(title)), area);
    }
}

fn service(model: &Model, seen: &ServiceObservation, load: String, palette: Palette) -> Vec<Line<'static>> {
    let (desired, running, pending) = (seen.desired.as_ref(), seen.running.as_ref(), seen.pending.as_ref());
    let (glyph, style) = match (desired, running) {
        (Some(desired), Some(running)) if desired.value == running.value => ('●', palette.good()),
        (Some(_), Some(_)) => ('◐', palette.warning()),
        _ => ('?', palette.warning()),
    };
    let rest = match pending {
        Some(Reading { value: TaskCount(0), .. }) => String::new(),
        pending => format!(", {} pending", figures::count(pending)),
    };
    vec![
        Line::from(vec![
            Span::styled(format!("{glyph} "), style),
            Span::raw(format!("{} of {} running{rest}", figures::count(running), figures::count(desired))),
        ]),
        Line::raw(format!("CPU  {}", figures::reading(seen.cpu.as_ref(), model.now))),
        Line::raw(load),
    ]
}

fn producer_load(model: &Model, load: &LoadObservation) -> String {
    format!("sent {}", figures::reading(load.incoming_records.as_ref(), model.now))
}

fn consumer_load(model: &Model, load: &LoadObservation) -> String {
    format!("busy {}", figures::reading(load.consumer_busy.as_ref(), model.now))
}
