//! What is sent: the lines of a file, or generated data.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// From this size on a batch takes no further record: a producer reads at most 8 MiB at once.
const BATCH_BYTES: usize = 1 << 20;

/// Where records come from.
pub(crate) enum Records {
    /// Every line is one record, without the `\n` or `\r\n` that ends it.
    Lines(Box<dyn BufRead + Send>),
    /// Numbered records of one size, without an end.
    Generated { bytes: usize, next: u64 },
}

impl Records {
    /// The lines of a file, or of standard input where it is `-`.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        Ok(Self::Lines(if path == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            Box::new(BufReader::new(File::open(path)?))
        }))
    }

    pub(crate) fn generated(bytes: usize) -> Self {
        Self::Generated { bytes, next: 0 }
    }

    /// The next `count` records, fewer at the end and when they are large.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is not UTF-8, which JSON cannot carry.
    pub(crate) fn take(&mut self, count: usize) -> io::Result<Vec<String>> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < count && bytes < BATCH_BYTES {
            let Some(record) = self.next()? else { break };
            bytes += record.len();
            taken.push(record);
        }
        Ok(taken)
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        match self {
            Self::Generated { bytes, next } => {
                let record = generated(*next, *bytes);
                *next += 1;
                Ok(Some(record))
            }
            Self::Lines(lines) => {
                let mut line = String::new();
                if lines.read_line(&mut line)? == 0 {
                    return Ok(None);
                }
                let end = line.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).len());
                line.truncate(end.unwrap_or(line.len()));
                Ok(Some(line))
            }
        }
    }
}

/// A record of exactly `bytes` bytes whose number stands at its beginning, as far as it fits.
fn generated(number: u64, bytes: usize) -> String {
    const FILLER: &[u8] = b" the quick brown fox jumps over the lazy dog;";
    let mut text = format!("{number:012}");
    text.extend(FILLER.iter().cycle().map(|byte| char::from(*byte)).take(bytes.saturating_sub(text.len())));
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str) -> Vec<String> {
        Records::Lines(Box::new(text.as_bytes())).take(100).expect("readable")
    }

    #[test]
    fn every_line_is_kept_without_what_ends_it() {
        assert_eq!(lines("a\r\n\nb\nb\n\"q\" [x]"), ["a", "", "b", "b", "\"q\" [x]"]);
        assert_eq!(
            lines("a\rb\r\r\nlast\r"),
            ["a\rb\r", "last\r"],
            "only one carriage return, before a newline, ends a line"
        );
        assert_eq!(lines("only\n"), ["only"]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn generated_records_differ_and_have_the_size_that_was_asked_for() {
        let records = Records::generated(500).take(3).expect("generated");
        assert!(records.iter().all(|record| record.len() == 500));
        assert_ne!(records[0], records[1]);
        assert_eq!(Records::generated(3).take(1).expect("generated"), ["000"]);
    }
}
