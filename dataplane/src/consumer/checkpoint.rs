//! How far a shard is processed. Pure.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A sequence number of Kinesis: a decimal number of up to 128 digits, compared as such.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SequenceNumber(String);

impl SequenceNumber {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SequenceNumber {
    type Err = UnknownPosition;

    fn from_str(text: &str) -> Result<Self, UnknownPosition> {
        let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        number.then(|| Self(text.to_owned())).ok_or_else(|| UnknownPosition(text.to_owned()))
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (this, other) = (self.0.trim_start_matches('0'), other.0.trim_start_matches('0'));
        this.len().cmp(&other.len()).then_with(|| this.cmp(other))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A checkpoint: everything up to it is processed. Written as the KCL writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    TrimHorizon,
    Latest,
    /// The KCL keeps the time itself in its configuration, so it is not known here.
    AtTimestamp,
    /// The last processed user record.
    At(SequenceNumber, u64),
    ShardEnd,
}

/// A checkpoint that no KCL writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a sequence number nor a position like TRIM_HORIZON or SHARD_END")]
pub(crate) struct UnknownPosition(String);

impl Checkpoint {
    pub(crate) fn read(position: &str, sub_sequence_number: u64) -> Result<Self, UnknownPosition> {
        Ok(match position {
            "TRIM_HORIZON" => Self::TrimHorizon,
            "LATEST" => Self::Latest,
            "AT_TIMESTAMP" => Self::AtTimestamp,
            "SHARD_END" => Self::ShardEnd,
            number => Self::At(number.parse()?, sub_sequence_number),
        })
    }

    /// Zero for positions that have none.
    pub(crate) fn sub_sequence_number(&self) -> u64 {
        if let Self::At(_, sub) = self { *sub } else { 0 }
    }

    /// Whether a record was processed before this checkpoint was written.
    pub(crate) fn covers(&self, sequence_number: &SequenceNumber, sub_sequence_number: u64) -> bool {
        match self {
            Self::TrimHorizon | Self::Latest | Self::AtTimestamp => false,
            Self::At(number, sub) => (sequence_number, sub_sequence_number) <= (number, *sub),
            Self::ShardEnd => true,
        }
    }
}

/// The position, without the sub-sequence number.
impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TrimHorizon => "TRIM_HORIZON",
            Self::Latest => "LATEST",
            Self::AtTimestamp => "AT_TIMESTAMP",
            Self::At(number, _) => number.as_str(),
            Self::ShardEnd => "SHARD_END",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().expect("a sequence number")
    }

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        assert!(number("9") < number("10"));
        assert!(number("00010") > number("9"));
        let long = "49590338271490256608559692538361571095921575989136588898";
        assert!(number(long) > number("49590338271490256608559692538361571095921575989136588897"));
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        for text in ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END", "495"] {
            assert_eq!(Checkpoint::read(text, 3).expect("a position").to_string(), text);
        }
        assert!(Checkpoint::read("NOWHERE", 0).is_err());
        assert!(Checkpoint::read("", 0).is_err());
    }

    #[test]
    fn a_checkpoint_covers_its_own_record_and_those_before() {
        let checkpoint = Checkpoint::At(number("100"), 2);
        assert!(checkpoint.covers(&number("99"), 9));
        assert!(checkpoint.covers(&number("100"), 2));
        assert!(!checkpoint.covers(&number("100"), 3));
        assert!(!checkpoint.covers(&number("101"), 0));
        assert!(!Checkpoint::TrimHorizon.covers(&number("1"), 0));
    }
}
