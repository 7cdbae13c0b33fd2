//! Where the values of keys stand in the text of a policy.

use std::{collections::BTreeMap, ops::Range};

use super::{PolicyError, error::closest};

/// Which tables are meant: the file's own, or those of one of its pipelines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    File,
    Pipeline(usize),
}

impl Scope {
    /// How a table of this scope is written.
    pub(super) fn written(self, table: &str) -> String {
        match self {
            Self::File => table.to_owned(),
            Self::Pipeline(_) => format!("pipeline.{table}"),
        }
    }

    fn path(self, key: &str) -> String {
        match self {
            Self::File => key.to_owned(),
            Self::Pipeline(index) => format!("pipeline.{index}.{key}"),
        }
    }
}

/// The text, and where in it the value of each key was read.
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    spans: BTreeMap<String, Range<usize>>,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, spans: BTreeMap::new() }
    }

    pub(super) fn note(&mut self, scope: Scope, key: &str, span: Range<usize>) {
        self.spans.insert(scope.path(key), span);
    }

    /// Where a key was written. A pipeline without it has it from the file's own tables.
    pub(super) fn find(&self, scope: Scope, key: &str) -> Option<Range<usize>> {
        self.spans.get(&scope.path(key)).or_else(|| self.spans.get(key)).cloned()
    }

    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>, allowed: Option<String>) -> PolicyError {
        PolicyError::new(self.text, span, message.into(), allowed)
    }

    /// A key that is none of the `known`, with the one that was probably meant.
    pub(super) fn unknown(&self, span: Range<usize>, name: &str, table: Option<&str>, known: &[&str]) -> PolicyError {
        let table = table.map(|table| format!(" in [{table}]")).unwrap_or_default();
        let meant = closest(name, known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        self.error(span, format!("unknown key `{name}`{table}{meant}"), Some(known.join(", ")))
    }
}
