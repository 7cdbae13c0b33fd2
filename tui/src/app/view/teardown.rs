//! The teardown: inventory, typed confirmation, progress, result.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use stack::{inventory::Resource, teardown::Report};

use super::Palette;
use crate::{
    app::{
        model::Model,
        teardown::{Confirmation, Steps, Teardown},
    },
    output::text::clean,
    wording::{
        self, Tone,
        operation::{self, resource_words},
    },
};

pub(super) fn draw(model: &Model, screen: &Teardown, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let title = format!("teardown of {}", model.deployment.name);
    match screen {
        Teardown::Loading => {
            let text = Paragraph::new("reading what would be removed ...");
            frame.render_widget(text.block(palette.panel(&title)), area);
        }
        Teardown::Confirm(confirmation) => confirm(model, confirmation, palette, frame, area),
        Teardown::Running(steps) => progress(&title, steps, None, palette, frame, area),
        Teardown::Ended { steps, result } => progress(&title, steps, Some(result), palette, frame, area),
    }
}

fn confirm(model: &Model, confirmation: &Confirmation, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let [list, question] = Layout::vertical([Constraint::Fill(1), Constraint::Length(5)]).areas(area);
    let name = &model.deployment.name;
    let resources = confirmation.resources();
    let block = palette.panel(&format!("teardown of {name}: {} resources", resources.len()));
    let visible = usize::from(block.inner(list).height);
    let shown = resources.iter().skip(confirmation.scroll).take(visible);
    let lines: Vec<_> = shown.map(|resource| Line::raw(short(resource))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), list);
    let text = if resources.is_empty() {
        vec![Line::raw("Nothing of this deployment exists: there is nothing to remove.")]
    } else {
        let place = confirmation.place();
        let place = format!("account {}, {}", clean(&place.account), clean(&place.region));
        vec![
            Line::styled(format!("Removes it all with its data for good: {place}"), palette.bad()),
            if confirmation.is_refused() {
                Line::styled(format!("That is not {}: nothing was removed.", clean(name)), palette.bad())
            } else {
                Line::raw(format!("Type {} and press Enter; Esc cancels.", clean(name)))
            },
            Line::from(vec![Span::styled("> ", palette.key()), Span::raw(format!("{}▏", confirmation.typed()))]),
        ]
    };
    frame.render_widget(Paragraph::new(text).block(palette.panel("confirm")), question);
}

/// A resource on one line. Of an ARN, whose account and region stand below the list, what comes after these.
fn short(resource: &Resource) -> String {
    let id = match resource.id.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').last()) {
        Some(own) => own.to_owned(),
        None => resource.id.clone(),
    };
    clean(&resource_words(&Resource { id, ..resource.clone() })).into_owned()
}

/// What happened, and at the end its result: the newest lines that fit.
fn progress(
    title: &str,
    steps: &Steps,
    result: Option<&Result<Report, String>>,
    palette: Palette,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let block = palette.panel(title);
    let inner = block.inner(area);
    let mut words: Vec<_> = steps.events().iter().map(operation::line).collect();
    match result {
        Some(Ok(report)) => words.extend(operation::result(report)),
        Some(Err(problem)) => words.push(wording::Line::new(Tone::Bad, format!("✗ {problem}"))),
        None => {}
    }
    let mut lines: Vec<_> = words.iter().flat_map(|line| palette.worded(line, inner.width)).collect();
    let hidden = lines.len().saturating_sub(inner.height.into());
    frame.render_widget(Paragraph::new(lines.split_off(hidden)).block(block), area);
}
