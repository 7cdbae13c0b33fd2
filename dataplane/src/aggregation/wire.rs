//! The protobuf wire format, as far as an aggregated record needs it.
//!
//! Source: "Encoding" of the Protocol Buffers documentation.

/// The keys of all fields are below 16, so each takes one byte.
pub(super) const FIELD_KEY_BYTES: usize = 1;

const VARINT: u32 = 0;
const SIXTY_FOUR_BITS: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const THIRTY_TWO_BITS: u32 = 5;

/// What a field holds.
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field of an aggregated record is.
    Fixed,
}

/// The fields of a message. Yields `None`, and nothing after it, where the message is broken.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[inline]
fn field<'a>(message: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    let key = u32::try_from(varint(message)?).ok()?;
    let value = match key & 7 {
        VARINT => Value::Number(varint(message)?),
        LENGTH_DELIMITED => {
            let length = varint(message)?;
            Value::Bytes(take(message, usize::try_from(length).ok()?)?)
        }
        SIXTY_FOUR_BITS => take(message, 8).map(|_| Value::Fixed)?,
        THIRTY_TWO_BITS => take(message, 4).map(|_| Value::Fixed)?,
        // Groups were never part of this message.
        _ => return None,
    };
    (key >> 3 > 0).then_some((key >> 3, value))
}

#[inline]
fn varint(message: &mut &[u8]) -> Option<u64> {
    let (first, rest) = message.split_first()?;
    *message = rest;
    if *first < 0x80 {
        return Some(u64::from(*first));
    }
    let mut number = u64::from(*first & 0x7F);
    // Ten bytes hold 64 bits; of the tenth, one bit.
    for place in 1..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        if place == 9 && *byte > 1 {
            return None;
        }
        number |= u64::from(*byte & 0x7F) << (7 * place);
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[inline]
fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

/// Appends the key of a length-delimited field and its length.
#[inline]
pub(super) fn put_length(field: u32, length: usize, message: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | LENGTH_DELIMITED), message);
    put_varint(length as u64, message);
}

/// Appends a number.
#[inline]
pub(super) fn put_number(field: u32, number: u64, message: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | VARINT), message);
    put_varint(number, message);
}

#[inline]
fn put_varint(mut number: u64, message: &mut Vec<u8>) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// The bytes that a number takes.
#[inline]
pub(super) fn varint_bytes(number: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// The size of a length-delimited field with `length` bytes in it.
#[inline]
pub(super) fn field_bytes(length: usize) -> usize {
    FIELD_KEY_BYTES + varint_bytes(length as u64) + length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_prost_writes_them(number: u64, shift in 0..64_u32) {
            let (number, mut ours, mut theirs) = (number >> shift, Vec::new(), Vec::new());
            put_varint(number, &mut ours);
            encode_varint(number, &mut theirs);
            prop_assert_eq!(varint_bytes(number), encoded_len_varint(number));
            prop_assert_eq!(varint(&mut &ours[..]), Some(number));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn bytes_are_the_number_that_prost_reads(bytes in proptest::collection::vec(prop_oneof![Just(0xFF_u8), any::<u8>()], 0..12)) {
            prop_assert_eq!(varint(&mut &bytes[..]), decode_varint(&mut &bytes[..]).ok());
        }
    }
}
