//! Policy files.

use std::{io::Read, path::Path};

use anyhow::{Context, Result};
use controlplane::policy::Policy;

use crate::failure::Failure;

/// A policy file that was read and checked.
#[derive(Debug, Clone)]
pub(in crate::commands) struct PolicyFile {
    pub(super) text: String,
    pub(super) policy: Policy,
}

/// Reads a policy. The error of a wrong one shows its line and a caret.
pub(in crate::commands) fn read(file: &Path) -> Result<PolicyFile> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?
    };
    match Policy::parse(&text) {
        Ok(policy) => Ok(PolicyFile { text, policy }),
        Err(error) => Err(Failure::usage(format!("{}: {error}", file.display()))
            .hint("nothing was changed; `ctl policy show` prints every key with its meaning")
            .into()),
    }
}
