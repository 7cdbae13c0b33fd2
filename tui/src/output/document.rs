//! Data on standard output, in the form that was asked for.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

/// The forms of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One document.
    Json,
    /// One object a line.
    Jsonl,
}

/// The option of every command that has data.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FormatArgs {
    /// How data is written to standard output
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// Writes documents to standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    format: Format,
}

impl From<FormatArgs> for Writer {
    fn from(args: FormatArgs) -> Self {
        Self { format: args.output }
    }
}

impl Writer {
    /// Writes one document. `text` is what people read instead.
    pub(crate) fn document<T: Serialize>(self, document: &T, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.format {
            Format::Table => write_text(&text()),
            Format::Json => write_line(&serde_json::to_string_pretty(document)?),
            Format::Jsonl => write_line(&serde_json::to_string(document)?),
        }
    }

    /// Writes a document that is a list: `jsonl` writes its items alone, one a line.
    pub(crate) fn list<T: Serialize, I: Serialize>(
        self,
        document: &T,
        items: &[I],
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.format != Format::Jsonl {
            return self.document(document, text);
        }
        let mut out = io::stdout().lock();
        for item in items {
            serde_json::to_writer(&mut out, item)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

/// Writes one line to standard output and flushes it, so that a pipe sees it now.
pub(crate) fn write_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

fn write_text(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}
