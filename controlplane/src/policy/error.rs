//! Where a policy is wrong, and what would be right.

use std::{fmt, ops::Range};

/// An error in a policy: its place in the text, what is wrong, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What may stand there instead.
    pub allowed: Option<String>,
    source_line: String,
    caret_width: usize,
}

impl PolicyError {
    pub(super) fn new(text: &str, span: Range<usize>, message: String, allowed: Option<String>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = floor_char_boundary(text, span.end).clamp(start, line_end);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message,
            allowed,
            source_line: text[line_start..line_end].trim_end().to_owned(),
            caret_width: text[start..end].chars().count().max(1),
        }
    }
}

/// The one of `known` that `name` is probably meant to be.
pub(super) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |one: &&str| strsim::damerau_levenshtein(name, one);
    // A third of the letters may be wrong: fewer would miss a word that was left out, more would guess.
    known.iter().copied().min_by_key(distance).filter(|one| distance(one) * 3 <= one.len().max(name.len()))
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or_default()
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, allowed, source_line, caret_width } = self;
        let gutter = line.to_string().len();
        writeln!(f, "line {line}, column {column}: {message}")?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {source_line}")?;
        write!(f, "{:gutter$} | {:indent$}{:^<caret_width$}", "", "", "^", indent = column - 1)?;
        match allowed {
            Some(allowed) => write!(f, "\n{:gutter$} = allowed: {allowed}", ""),
            None => Ok(()),
        }
    }
}
