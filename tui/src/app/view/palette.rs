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

    /// A line of words, broken where it is wider than `width`; what follows is indented.
    pub(super) fn worded(self, line: &wording::Line, width: u16) -> Vec<Line<'static>> {
        let style = match line.tone {
            Tone::Title => self.title(),
            Tone::Change => self.change(),
            Tone::Held => self.warning(),
            Tone::Quiet => self.dim(),
            Tone::Done => self.good(),
            Tone::Bad => self.bad(),
        };
        break_line(&clean(&line.text), width.into()).into_iter().map(|text| Line::styled(text, style)).collect()
    }
}

/// How far the rest of a broken line is indented.
const INDENT: usize = 4;

/// Breaks a line at spaces, or within a word that fits nowhere.
fn break_line(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split_inclusive(' ') {
        let length = Span::raw(word.trim_end()).width();
        if used + length > width && !line.trim().is_empty() {
            lines.push(line.trim_end().to_owned());
            (line, used) = (" ".repeat(INDENT), INDENT);
        }
        line.push_str(word);
        used += Span::raw(word).width();
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::break_line;

    #[test]
    fn a_broken_line_goes_on_indented() {
        assert_eq!(break_line("one two three", 20), ["one two three"]);
        assert_eq!(break_line("one two three", 8), ["one two", "    three"]);
        assert_eq!(break_line("    one two", 9), ["    one", "    two"]);
        assert_eq!(break_line("unbreakable", 4), ["unbreakable"]);
    }
}
