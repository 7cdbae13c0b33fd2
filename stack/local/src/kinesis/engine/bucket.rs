//! A rate quota: a bucket that holds one second's worth and refills continuously.

use crate::kinesis::moment::Moment;

/// What is left of a quota. The rate is an argument, so that it can be a setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    left: f64,
    refilled: Moment,
}

impl Default for Bucket {
    /// Full at any rate.
    fn default() -> Self {
        Self { left: f64::INFINITY, refilled: Moment::default() }
    }
}

impl Bucket {
    /// Whether `amount` may be taken now. An amount above one second's worth may be taken from a full bucket.
    pub(crate) fn allows(&mut self, amount: u64, per_second: u64, now: Moment) -> bool {
        let capacity = exact(per_second);
        let refill = now.since(self.refilled).as_secs_f64() * capacity;
        self.left = (self.left + refill).min(capacity);
        self.refilled = self.refilled.max(now);
        self.left >= exact(amount).min(capacity)
    }

    /// Takes `amount`, into debt if there is less: the debt delays what comes after.
    pub(crate) fn take(&mut self, amount: u64) {
        self.left -= exact(amount);
    }
}

fn exact(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_second_of_quota_is_spent_at_once_and_comes_back_over_a_second() {
        let mut bucket = Bucket::default();
        for _ in 0..1000 {
            assert!(bucket.allows(1, 1000, at(0)));
            bucket.take(1);
        }
        assert!(!bucket.allows(1, 1000, at(0)));
        assert!(bucket.allows(500, 1000, at(500)));
        assert!(!bucket.allows(501, 1000, at(500)));
        assert!(bucket.allows(1000, 1000, at(60_000)));
    }

    #[test]
    fn ten_seconds_worth_taken_at_once_blocks_for_ten_seconds() {
        let mut bucket = Bucket::default();
        assert!(bucket.allows(10_000, 1000, at(0)));
        bucket.take(10_000);
        assert!(!bucket.allows(1, 1000, at(8_900)));
        assert!(bucket.allows(1, 1000, at(9_100)));
    }
}
