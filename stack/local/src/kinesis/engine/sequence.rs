//! Sequence numbers: 56 decimal digits that begin with 49, as AWS's do.
//!
//! The number is 188 bits wide, from the top: the digit 2, the second the shard was opened (36 bits), the low four
//! bits of the shard's number, the record's index in its shard (64), eight zero bits, the second of arrival (36), the
//! shard's number (32), the digit 2. So numbers of one shard grow with the index, and those of a shard opened later
//! than its parents are above all of theirs. (The layout is what kinesalite found in AWS's numbers.)

use std::fmt;

const TEN_TO_19: u64 = 10_u64.pow(19);
const TEN_TO_38: u128 = 10_u128.pow(38);
const DIGITS: usize = 56;
const SECONDS_MASK: u64 = (1 << 36) - 1;

/// The index that ends a closed shard: above that of any record.
pub(crate) const END_INDEX: u64 = i64::MAX as u64;

/// The place of one record in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceNumber {
    /// Second in which the shard was opened, and later than that of its parents.
    pub(crate) epoch: u64,
    pub(crate) shard: u32,
    /// 1 for the first record of a shard.
    pub(crate) index: u64,
    /// Second of arrival.
    pub(crate) second: u64,
}

impl SequenceNumber {
    /// The 188 bits, as the upper 60 and the lower 128.
    fn bits(self) -> (u64, u128) {
        let high = 2 << 56 | (self.epoch & SECONDS_MASK) << 20 | u64::from(self.shard & 0xf) << 16 | self.index >> 48;
        let low = u128::from(self.index) << 80
            | u128::from(self.second & SECONDS_MASK) << 36
            | u128::from(self.shard) << 4
            | 2;
        (high, low)
    }

    /// Reads a number that [`fmt::Display`] wrote. None for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (top, rest) = text.split_at(DIGITS - 38);
        let (top, rest): (u64, u128) = (top.parse().ok()?, rest.parse().ok()?);
        let (high, low) = widen(top, rest)?;
        let number = Self {
            epoch: high >> 20 & SECONDS_MASK,
            shard: (low >> 4) as u32,
            index: high << 48 | (low >> 80) as u64,
            second: (low >> 36) as u64 & SECONDS_MASK,
        };
        (number.bits() == (high, low)).then_some(number)
    }
}

/// `top * 10^38 + rest`, as the upper 64 and the lower 128 bits.
fn widen(top: u64, rest: u128) -> Option<(u64, u128)> {
    let low_product = u128::from(top) * u128::from(TEN_TO_38 as u64);
    let high_product = u128::from(top) * (TEN_TO_38 >> 64);
    let (low, carry_shift) = low_product.overflowing_add(high_product << 64);
    let (low, carry_rest) = low.overflowing_add(rest);
    let high = (high_product >> 64) + u128::from(carry_shift) + u128::from(carry_rest);
    Some((u64::try_from(high).ok()?, low))
}

/// Divides a number of three 64-bit words, most significant first, in place and returns the remainder.
fn divide(words: &mut [u64; 3], divisor: u64) -> u64 {
    words.iter_mut().fold(0, |remainder, word| {
        let dividend = u128::from(remainder) << 64 | u128::from(*word);
        *word = (dividend / u128::from(divisor)) as u64;
        (dividend % u128::from(divisor)) as u64
    })
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = self.bits();
        let mut words = [high, (low >> 64) as u64, low as u64];
        let last = divide(&mut words, TEN_TO_19);
        let middle = divide(&mut words, TEN_TO_19);
        write!(formatter, "{}{middle:019}{last:019}", words[2])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBER: SequenceNumber = SequenceNumber { epoch: 1_763_865_600, shard: 0, index: 1, second: 1_763_865_601 };

    #[test]
    fn a_number_has_the_shape_of_those_of_aws() {
        let text = NUMBER.to_string();
        assert_eq!((text.len(), &text[..2]), (56, "49"), "{text}");
    }

    #[test]
    fn numbers_of_a_child_are_above_the_end_of_its_parent() {
        let end = SequenceNumber { index: END_INDEX, second: 1_763_999_999, ..NUMBER };
        let child = SequenceNumber { epoch: NUMBER.epoch + 1, shard: 16, index: 0, ..NUMBER };
        assert!(child.to_string() > end.to_string());
    }

    #[test]
    fn other_texts_are_not_numbers() {
        for text in ["", "0", "TRIM_HORIZON", &"9".repeat(56), &"1".repeat(56), &"4".repeat(57)] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_and_grows_with_its_index(
            shard: u32, index in 0..END_INDEX, epoch in 1_600_000_000_u64..4_000_000_000, elapsed in 0_u64..100_000
        ) {
            let number = SequenceNumber { epoch, shard, index, second: epoch + elapsed };
            let next = SequenceNumber { index: index + 1, second: epoch, ..number };
            prop_assert_eq!(SequenceNumber::parse(&number.to_string()), Some(number));
            prop_assert!(number.to_string() < next.to_string());
        }
    }
}
