//! Records that wait in order, as amounts of the second in which they came.

use std::collections::VecDeque;

/// Less than this is nothing: what rounding leaves.
const NOTHING: f64 = 1e-9;

/// A queue of full-shard seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    seconds: VecDeque<(u32, f64)>,
    total: f64,
}

impl Queue {
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// The second in which the oldest came.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.seconds.front().map(|(second, _)| *second)
    }

    pub(super) fn push(&mut self, second: u32, amount: f64) {
        if amount <= NOTHING {
            return;
        }
        self.total += amount;
        match self.seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum += amount,
            _ => self.seconds.push_back((second, amount)),
        }
    }

    /// Takes up to `amount`, the oldest first, and tells how much that was.
    pub(super) fn take(&mut self, amount: f64) -> f64 {
        let mut left = amount;
        while let Some((_, first)) = self.seconds.front_mut() {
            if *first > left + NOTHING {
                *first -= left;
                left = 0.0;
                break;
            }
            left -= *first;
            self.seconds.pop_front();
        }
        let taken = amount - left.max(0.0);
        self.total = if self.seconds.is_empty() { 0.0 } else { self.total - taken };
        taken
    }

    /// Drops what came before `second` and tells how much that was.
    pub(super) fn expire(&mut self, second: u32) -> f64 {
        let mut dropped = 0.0;
        while let Some((_, amount)) = self.seconds.front().filter(|(came, _)| *came < second) {
            dropped += amount;
            self.seconds.pop_front();
        }
        self.total = if self.seconds.is_empty() { 0.0 } else { self.total - dropped };
        dropped
    }

    /// Adds all that waits elsewhere, each amount times `factor`, in order.
    pub(super) fn merge(&mut self, other: &Self, factor: f64) {
        let mut merged = VecDeque::with_capacity(self.seconds.len() + other.seconds.len());
        let mut theirs = other.seconds.iter().map(|(second, amount)| (*second, amount * factor)).peekable();
        for (second, mut amount) in self.seconds.drain(..) {
            while let Some(earlier) = theirs.next_if(|(came, _)| *came < second) {
                merged.push_back(earlier);
            }
            if let Some((_, more)) = theirs.next_if(|(came, _)| *came == second) {
                amount += more;
            }
            merged.push_back((second, amount));
        }
        merged.extend(theirs);
        self.total = merged.iter().map(|(_, amount)| amount).sum();
        self.seconds = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_nothing_is_lost_on_the_way() {
        let mut queue = Queue::default();
        queue.push(1, 2.0);
        queue.push(2, 3.0);
        assert_eq!((queue.take(2.5), queue.oldest(), queue.total()), (2.5, Some(2), 2.5));
        let mut both = Queue::default();
        both.push(1, 1.0);
        both.merge(&queue, 2.0);
        assert_eq!((both.total(), both.oldest()), (6.0, Some(1)));
        assert_eq!((both.expire(2), both.total(), both.take(9.0)), (1.0, 5.0, 5.0));
        assert!(both.is_empty());
    }
}
