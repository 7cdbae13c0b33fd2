//! Drawing: pure functions from the model to a frame, one file per region.

mod bar;
mod decision;
mod decisions;
mod header;
mod help;
mod palette;
mod services;
mod stream;
mod teardown;

#[cfg(test)]
mod tests;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    widgets::Paragraph,
};

pub(crate) use palette::Palette;

use super::model::{Model, Screen};

/// The smallest terminal on which the screens fit.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 20;

/// From this height on the overview shows earlier decisions below the last one, which then has this many lines.
const HEIGHT_ROOMY: u16 = 32;
const DECISION: u16 = 13;

/// Draws the whole screen.
pub(crate) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("ctl needs {WIDTH_MIN}x{HEIGHT_MIN}, this is {}x{} (q quits)", area.width, area.height);
        return frame.render_widget(Paragraph::new(text), area);
    }
    let rows = Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]);
    let [top, middle, bottom] = rows.areas(area);
    header::draw(model, palette, frame, top);
    match &model.screen {
        Screen::Overview => overview(model, palette, frame, middle),
        Screen::Decisions { selected, open } => decisions::draw(model, palette, *selected, *open, frame, middle),
        Screen::Teardown(screen) => teardown::draw(model, screen, palette, frame, middle),
    }
    bar::draw(model, palette, frame, bottom);
    if model.help {
        help::draw(model, palette, frame, middle);
    }
}

fn overview(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let (decision, earlier) = if area.height >= HEIGHT_ROOMY {
        (Constraint::Length(DECISION), Constraint::Fill(1))
    } else {
        (Constraint::Fill(1), Constraint::Length(0))
    };
    let rows = Layout::vertical([Constraint::Length(6), Constraint::Length(5), decision, earlier]);
    let [stream, services, decision, earlier] = rows.areas(area);
    stream::draw(model, palette, frame, stream);
    services::draw(model, palette, frame, services);
    decision::draw(model, palette, frame, decision);
    if earlier.height > 0 {
        decisions::list(model, palette, None, frame, earlier);
    }
}
