//! Policy files.

use std::{io::Read, path::Path};

use anyhow::{Context, Result};
use controlplane::policy::PolicyFile;

use crate::failure::Failure;

/// A policy as somebody wrote it, checked.
#[derive(Debug, Clone)]
pub(in crate::commands) struct WrittenPolicy {
    pub(super) text: String,
    pub(in crate::commands) file: PolicyFile,
}

/// Reads a policy. The error of a wrong one shows its line and a caret.
pub(in crate::commands) fn read(file: &Path) -> Result<WrittenPolicy> {
    let text = text_of(file)?;
    match PolicyFile::parse(&text) {
        Ok(file) => Ok(WrittenPolicy { text, file }),
        Err(error) => Err(Failure::usage(format!("{}: {error}", file.display()))
            .hint("nothing was changed; `ctl policy show` prints every key with its meaning")
            .into()),
    }
}

/// The text of a file, or of standard input for `-`.
pub(super) fn text_of(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    let text = std::fs::read_to_string(file);
    Ok(text.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?)
}
