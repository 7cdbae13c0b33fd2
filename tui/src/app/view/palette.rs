//! Colours by meaning: the terminal's own sixteen, so that light and dark themes both work.

use ratatui::{
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Padding},
};

use crate::{
    output::text::clean,
    wording::{self, Tone},
};

/// How much colour there is. Every meaning is also in a word or a glyph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    pub(crate) colour: bool,
}

impl Palette {
    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    pub(super) fn change(self) -> Style {
        self.fg(Color::Cyan).bold()
    }

    pub(super) fn warning(self) -> Style {
        self.fg(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.fg(Color::Red).bold()
    }

    pub(super) fn key(self) -> Style {
        self.fg(Color::Cyan).bold()
    }

    pub(super) fn dim(self) -> Style {
        Style::new().dim()
    }

    pub(super) fn title(self) -> Style {
        Style::new().bold().not_dim()
    }

    /// A bordered panel whose title is text of ours or of AWS.
    pub(super) fn panel(self, title: &str) -> Block<'static> {
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.dim())
            .padding(Padding::horizontal(1))
            .title(Span::styled(format!(" {} ", clean(title)), self.title()))
    }

    /// A line of words.
    pub(super) fn worded(self, line: &wording::Line) -> Line<'static> {
        let style = match line.tone {
            Tone::Title => self.title(),
            Tone::Change => self.change(),
            Tone::Held => self.warning(),
            Tone::Quiet => self.dim(),
            Tone::Done => self.good(),
            Tone::Bad => self.bad(),
        };
        Line::styled(clean(&line.text).into_owned(), style)
    }
}
