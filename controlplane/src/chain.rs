//! An error with its causes on one line.

use std::{error::Error, fmt::Write as _};

/// `error` and its sources, each once, joined by colons: for logs, blind spots and outcomes, which are read by people.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        source = cause.source();
    }
    text
}
