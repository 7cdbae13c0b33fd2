//! Which record a processor fails on. Pure.
//!
//! Records that were rejected are tried again as they were, a few times: most failures pass. Then they are delivered
//! in halves until one record is left, which gets as many tries of its own. Only that one is convicted.

use crate::consumer::{checkpoint::SequenceNumber, unpack::Record};

/// The place of a user record in its shard.
pub(super) type Position = (SequenceNumber, u64);

/// What is suspected, if anything is.
#[derive(Debug)]
pub(super) struct Suspicion {
    retries: u32,
    suspects: Option<Suspects>,
}

#[derive(Debug)]
struct Suspects {
    first: Position,
    last: Position,
    /// The most that are delivered together.
    limit: usize,
    /// How often they were rejected as they are.
    rejections: u32,
}

/// What to do after records were rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    TryAgain,
    /// This is the record.
    Guilty,
}

impl Suspicion {
    /// Suspects nothing. Records are tried again `retries` times.
    pub(super) fn new(retries: u32) -> Self {
        Self { retries, suspects: None }
    }

    /// Takes note that `count` records from `first` to `last` were rejected together.
    pub(super) fn reject(&mut self, first: Position, last: Position, count: usize) -> Verdict {
        let known = self.suspects.take();
        let narrowing = known.as_ref().is_some_and(|known| known.limit < usize::MAX);
        let among = known.as_ref().is_some_and(|known| known.first <= first && last <= known.last);
        let rejections = match &known {
            Some(known) if known.first == first && known.last == last => known.rejections + 1,
            _ => 1,
        };
        if rejections > self.retries && count == 1 {
            return Verdict::Guilty;
        }
        // One that is alone is given its own tries, even among those that had theirs.
        let halve = count > 1 && (rejections > self.retries || (narrowing && among));
        let limit = match (halve, &known) {
            (true, _) => count.div_ceil(2),
            (false, Some(known)) if among => known.limit,
            (false, _) => usize::MAX,
        };
        self.suspects = Some(Suspects { first, last, limit, rejections });
        Verdict::TryAgain
    }

    /// Takes note that everything up to `last` is processed.
    pub(super) fn acquit(&mut self, last: &Position) {
        if self.suspects.as_ref().is_some_and(|suspects| suspects.last <= *last) {
            self.suspects = None;
        }
    }

    pub(super) fn suspects_any(&self) -> bool {
        self.suspects.is_some()
    }

    /// Whether some records are not delivered with others.
    pub(super) fn is_narrowing(&self) -> bool {
        self.suspects.as_ref().is_some_and(|suspects| suspects.limit < usize::MAX)
    }

    /// How many of these records are delivered together: suspects not with others.
    pub(super) fn deliverable(&self, positions: &[Position]) -> usize {
        let Some(suspects) = self.suspects.as_ref().filter(|suspects| suspects.limit < usize::MAX) else {
            return positions.len();
        };
        let before = positions.partition_point(|position| *position < suspects.first);
        if before > 0 {
            return before;
        }
        let among = positions.partition_point(|position| *position <= suspects.last);
        if among == 0 { positions.len() } else { among.min(suspects.limit) }
    }
}

/// Where a record is, unless its number is none.
pub(super) fn position(record: &Record) -> Option<Position> {
    Some((record.sequence_number.parse().ok()?, record.sub_sequence_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: usize) -> Position {
        (number.to_string().parse().expect("a number"), 0)
    }

    /// Delivers records `0..count` until all but the guilty are processed. Returns the convicted and how often
    /// something was delivered.
    fn trial(count: usize, guilty: impl Fn(usize) -> bool, retries: u32) -> (Vec<usize>, usize) {
        let (mut suspicion, mut convicted, mut deliveries) = (Suspicion::new(retries), Vec::new(), 0);
        let mut next = 0;
        while next < count {
            let rest: Vec<_> = (next..count).filter(|number| !convicted.contains(number)).collect();
            let positions: Vec<_> = rest.iter().map(|number| at(*number)).collect();
            let Some(together) = rest.get(..suspicion.deliverable(&positions)).filter(|some| !some.is_empty()) else {
                break;
            };
            deliveries += 1;
            let (first, last) = (together[0], together[together.len() - 1]);
            if together.iter().any(|number| guilty(*number)) {
                if suspicion.reject(at(first), at(last), together.len()) == Verdict::Guilty {
                    convicted.push(first);
                }
            } else {
                suspicion.acquit(&at(last));
                next = last + 1;
            }
        }
        (convicted, deliveries)
    }

    #[test]
    fn the_one_record_that_fails_is_found_in_few_deliveries() {
        for guilty in [0, 1, 777, 1998, 1999] {
            let (convicted, deliveries) = trial(2000, |number| number == guilty, 3);
            assert_eq!(convicted, [guilty]);
            assert!(deliveries <= 40, "{deliveries} deliveries for record {guilty}");
        }
    }

    #[test]
    fn every_record_that_fails_is_found_and_no_other() {
        let guilty = [3, 4, 50, 99];
        assert_eq!(trial(100, |number| guilty.contains(&number), 2).0, guilty);
        assert_eq!(trial(3, |_| true, 1).0, [0, 1, 2]);
    }

    #[test]
    fn a_failure_that_passes_convicts_nobody() {
        let mut suspicion = Suspicion::new(3);
        for _ in 0..3 {
            assert_eq!(suspicion.reject(at(0), at(9), 10), Verdict::TryAgain);
        }
        suspicion.acquit(&at(9));
        assert_eq!(suspicion.deliverable(&[at(10), at(11)]), 2);
        assert_eq!(suspicion.reject(at(10), at(10), 1), Verdict::TryAgain);
    }

    #[test]
    fn a_single_record_has_its_own_tries() {
        let mut suspicion = Suspicion::new(2);
        let verdicts: Vec<_> = (0..3).map(|_| suspicion.reject(at(7), at(7), 1)).collect();
        assert_eq!(verdicts, [Verdict::TryAgain, Verdict::TryAgain, Verdict::Guilty]);
    }
}
