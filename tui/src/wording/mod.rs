//! What happened, in words: the one rendering that the command line and the terminal UI share.

pub(crate) mod decision;
pub(crate) mod figures;
pub(crate) mod operation;
pub(crate) mod pause;

/// What a line is about, for those who colour it. The text alone says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Title,
    /// Something changes.
    Change,
    /// Something waits, or is stopped by a rule.
    Held,
    /// Nothing to do.
    Quiet,
    Done,
    Bad,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

impl Line {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}
