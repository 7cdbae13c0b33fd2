//! What a program may checkpoint, and when. Pure.

use super::message::{CheckpointRequest, Refusal};
use crate::consumer::checkpoint::{Checkpoint, SequenceNumber};

/// What a program is doing: the message that it has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Initialize,
    ProcessRecords,
    LeaseLost,
    ShardEnded,
    ShutdownRequested,
}

impl Phase {
    /// The message's `action`, which the answer repeats.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::ProcessRecords => "processRecords",
            Self::LeaseLost => "leaseLost",
            Self::ShardEnded => "shardEnded",
            Self::ShutdownRequested => "shutdownRequested",
        }
    }
}

/// The first and the last record that a program was given.
#[derive(Debug, Default)]
pub(super) struct Delivered(Option<(Position, Position)>);

pub(super) type Position = (SequenceNumber, u64);

impl Delivered {
    pub(super) fn extend(&mut self, first: Position, last: Position) {
        let first = self.0.take().map_or(first, |(first, _)| first);
        self.0 = Some((first, last));
    }

    /// The checkpoint that a program asks for in `phase`, when `current` is the one that it has.
    /// [`Checkpoint::ShardEnd`] means that it is done with the shard, and with all that it was given.
    pub(super) fn judge(
        &self,
        phase: Phase,
        current: &Checkpoint,
        request: &CheckpointRequest,
    ) -> Result<Checkpoint, Refusal> {
        let ending = match phase {
            Phase::Initialize | Phase::LeaseLost => return Err(Refusal::InvalidState),
            Phase::ShardEnded => true,
            Phase::ProcessRecords | Phase::ShutdownRequested => false,
        };
        let number = match request.sequence_number.as_deref() {
            None | Some("SHARD_END") if ending => return Ok(Checkpoint::ShardEnd),
            None => return Ok(self.all(current)),
            Some(number) => number.parse().map_err(|_| Refusal::IllegalArgument)?,
        };
        let asked = (number, request.sub_sequence_number.unwrap_or(0));
        if self.range(current).is_some_and(|(first, last)| first <= asked && asked <= last) {
            Ok(Checkpoint::At(asked.0, asked.1))
        } else {
            Err(Refusal::IllegalArgument)
        }
    }

    /// Behind everything that was given.
    pub(super) fn all(&self, current: &Checkpoint) -> Checkpoint {
        self.0.as_ref().map_or_else(|| current.clone(), |(_, (number, sub))| Checkpoint::At(number.clone(), *sub))
    }

    fn range(&self, current: &Checkpoint) -> Option<(Position, Position)> {
        let current = match current {
            Checkpoint::At(number, sub) => Some((number.clone(), *sub)),
            _ => None,
        };
        match (current, &self.0) {
            (Some(current), Some((_, last))) => Some((current, last.clone())),
            (None, Some(given)) => Some(given.clone()),
            (Some(current), None) => Some((current.clone(), current)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(number: &str, sub: u64) -> Position {
        (number.parse().expect("a number"), sub)
    }

    fn at(number: &str, sub: u64) -> Checkpoint {
        let (number, sub) = position(number, sub);
        Checkpoint::At(number, sub)
    }

    fn ask(number: &str, sub: Option<u64>) -> CheckpointRequest {
        CheckpointRequest { sequence_number: Some(number.to_owned()), sub_sequence_number: sub }
    }

    fn delivered() -> Delivered {
        let mut delivered = Delivered::default();
        delivered.extend(position("100", 0), position("100", 4));
        delivered.extend(position("101", 0), position("200", 2));
        delivered
    }

    #[test]
    fn without_a_number_everything_that_was_given_is_meant() {
        let all = CheckpointRequest::default();
        let judge = |delivered: &Delivered, phase| delivered.judge(phase, &at("50", 0), &all);
        assert_eq!(judge(&delivered(), Phase::ProcessRecords), Ok(at("200", 2)));
        assert_eq!(judge(&delivered(), Phase::ShutdownRequested), Ok(at("200", 2)));
        assert_eq!(judge(&Delivered::default(), Phase::ShutdownRequested), Ok(at("50", 0)));
        assert_eq!(judge(&delivered(), Phase::ShardEnded), Ok(Checkpoint::ShardEnd));
    }

    #[test]
    fn a_number_lies_between_the_last_checkpoint_and_the_last_record() {
        let judge = |current: &Checkpoint, request| delivered().judge(Phase::ProcessRecords, current, &request);
        assert_eq!(judge(&Checkpoint::TrimHorizon, ask("150", None)), Ok(at("150", 0)));
        assert_eq!(judge(&Checkpoint::TrimHorizon, ask("200", Some(2))), Ok(at("200", 2)));
        assert_eq!(judge(&at("150", 0), ask("150", Some(0))), Ok(at("150", 0)));
        for (current, request) in [
            (Checkpoint::TrimHorizon, ask("200", Some(3))),
            (Checkpoint::TrimHorizon, ask("201", None)),
            (Checkpoint::TrimHorizon, ask("99", Some(9))),
            (Checkpoint::TrimHorizon, ask("TRIM_HORIZON", None)),
            (Checkpoint::TrimHorizon, ask("SHARD_END", None)),
            (at("150", 0), ask("149", None)),
        ] {
            assert_eq!(judge(&current, request), Err(Refusal::IllegalArgument));
        }
        let nothing_given = Delivered::default().judge(Phase::ShutdownRequested, &Checkpoint::Latest, &ask("1", None));
        assert_eq!(nothing_given, Err(Refusal::IllegalArgument));
    }

    #[test]
    fn a_number_at_the_end_of_a_shard_is_not_its_end() {
        let judge = |request| delivered().judge(Phase::ShardEnded, &Checkpoint::TrimHorizon, &request);
        assert_eq!(judge(ask("200", Some(2))), Ok(at("200", 2)));
        assert_eq!(judge(ask("SHARD_END", None)), Ok(Checkpoint::ShardEnd));
    }

    #[test]
    fn there_is_a_time_for_checkpoints() {
        for phase in [Phase::Initialize, Phase::LeaseLost] {
            let refused = delivered().judge(phase, &Checkpoint::TrimHorizon, &CheckpointRequest::default());
            assert_eq!(refused, Err(Refusal::InvalidState), "{phase:?}");
        }
    }
}
