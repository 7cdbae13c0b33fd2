//! Where reading begins, in Kinesis' words. Pure.

use aws_sdk_kinesis::types::ShardIteratorType;

use crate::consumer::checkpoint::Checkpoint;

/// The kind of position and its sequence number, if that kind has one.
pub(super) fn start(position: &Checkpoint) -> (ShardIteratorType, Option<&str>) {
    match position {
        Checkpoint::Latest => (ShardIteratorType::Latest, None),
        // What was fetched to its end is followed; of what was processed, a part may be missing.
        Checkpoint::At(number, u64::MAX) => (ShardIteratorType::AfterSequenceNumber, Some(number.as_str())),
        Checkpoint::At(number, _) => (ShardIteratorType::AtSequenceNumber, Some(number.as_str())),
        // The time of AT_TIMESTAMP is not in the table: rather too much than too little.
        Checkpoint::TrimHorizon | Checkpoint::AtTimestamp | Checkpoint::ShardEnd => {
            (ShardIteratorType::TrimHorizon, None)
        }
    }
}
