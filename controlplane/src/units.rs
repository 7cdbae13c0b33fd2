//! Numbers with units: what a bare `u32` or `f64` would let a caller mix up.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $one:literal, $many:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.0, if self.0 == 1 { $one } else { $many })
            }
        }
    };
}

count!(
    /// A number of open shards.
    ShardCount, "shard", "shards"
);
count!(
    /// A number of tasks of one service.
    TaskCount, "task", "tasks"
);

/// A span of time in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// Bytes per second. A shard takes 1 MiB/s of writes and gives 2 MiB/s of shared reads.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BytesPerSecond(pub f64);

/// Records per second. A shard takes 1,000 writes per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RecordsPerSecond(pub f64);

/// A number of records, estimated.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RecordCount(pub f64);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ByteCount(pub f64);

/// A share of a whole: 1.0 is all of it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fraction(pub f64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ ..1_000 => write!(f, "{ms} ms"),
            ms @ ..60_000 if ms % 1_000 == 0 => write!(f, "{} s", ms / 1_000),
            ms @ ..60_000 => write!(f, "{:.1} s", ms as f64 / 1e3),
            ms @ ..3_600_000 => two_parts(f, (ms / 60_000, "min"), (ms % 60_000 / 1_000, "s")),
            ms => two_parts(f, (ms / 3_600_000, "h"), (ms % 3_600_000 / 60_000, "min")),
        }
    }
}

/// The second part only where there is one.
fn two_parts(f: &mut fmt::Formatter<'_>, large: (u64, &str), small: (u64, &str)) -> fmt::Result {
    write!(f, "{} {}", large.0, large.1)?;
    if small.0 == 0 { Ok(()) } else { write!(f, " {} {}", small.0, small.1) }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate < 1024.0 => write!(f, "{rate:.0} B/s"),
            rate if rate < 1024.0 * 1024.0 => write!(f, "{:.1} KiB/s", rate / 1024.0),
            rate => write!(f, "{:.2} MiB/s", rate / 1024.0 / 1024.0),
        }
    }
}

impl fmt::Display for RecordsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An empty sum is -0.0.
        write!(f, "{:.0} records/s", self.0 + 0.0)
    }
}

impl fmt::Display for RecordCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} records", self.0)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 / 1024.0 / 1024.0)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.0 * 100.0)
    }
}
