//! JSON as it is written for every record, straight into a buffer. Pure.
//!
//! `serde_json` would do, at about twice the cost of the whole way from the network to here. What has to be escaped is
//! what RFC 8259, 7, says, and it is escaped as `serde_json` does it.

use base64_simd::{Out, STANDARD};

/// Bytes that are looked at together: where none is to be escaped, all are copied as they are.
const BLOCK: usize = 32;

/// The same, where some are to be escaped.
const WORD: usize = 8;

/// Appends a text, escaped, in quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends a text, escaped.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    // Most of what has to be escaped are quotes, some in each record of JSON.
    out.reserve(text.len() + text.len() / 8 + WORD);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        if let Some((block, after)) = rest.split_first_chunk::<BLOCK>()
            && is_plain(block)
        {
            out.extend_from_slice(block);
            rest = after;
        } else {
            let (mixed, after) = rest.split_at(rest.len().min(BLOCK));
            escape_mixed(mixed, out);
            rest = after;
        }
    }
}

/// Whether there is nothing to escape. Without a branch, so that the compiler makes vector instructions of it.
#[inline]
fn is_plain(block: &[u8; BLOCK]) -> bool {
    let special = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    block.iter().fold(0, |found, byte| found | special(byte)) == 0
}

/// Appends a few bytes with some among them that are to be escaped.
#[inline]
fn escape_mixed(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
        // Taking back what is too much is cheaper than copying so few bytes one by one.
        out.extend_from_slice(word);
        let plain = plain_bytes(*word);
        if plain == WORD {
            rest = after;
        } else {
            out.truncate(out.len() - (WORD - plain));
            escape_byte(rest[plain], out);
            rest = &rest[plain + 1..];
        }
    }
    for byte in rest {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            escape_byte(*byte, out);
        } else {
            out.push(*byte);
        }
    }
}

/// How many bytes come before the first that is to be escaped. All eight are looked at in one go: a sum sets the top
/// bit of each byte that is none of them, and none of the sums carries into the next byte.
#[inline]
fn plain_bytes(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const LOW: u64 = 0x7F * ONES;
    let word = u64::from_le_bytes(word);
    let differs = |byte: u8| ((word & LOW) ^ (u64::from(byte) * ONES)) + LOW;
    let printable = (word & LOW) + 0x60 * ONES;
    let special = !(differs(b'"') & differs(b'\\') & printable | word) & !LOW;
    special.trailing_zeros() as usize / 8
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends bytes in base64, in quotes.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let from = out.len();
    out.resize(from + STANDARD.encoded_length(bytes.len()), 0);
    let _ = STANDARD.encode(bytes, Out::from_slice(&mut out[from..]));
    out.push(b'"');
}

/// Appends a number.
pub(super) fn number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number, or `null`.
pub(super) fn number_or_null(number: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    match number {
        Some(value) => self::number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn every_character_below_256_is_escaped_as_serde_json_does_wherever_it_is() {
        for character in '\0'..='\u{ff}' {
            for place in 0..70 {
                let text = format!("{}{character}{}", "x".repeat(place), "y".repeat(70 - place));
                assert_eq!(written(|out| string(&text, out)), serde_json::to_string(&text).expect("JSON"));
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "([\\PC\\x00-\\x20\"\\\\]|x{1,40}){0,40}") {
            prop_assert_eq!(written(|out| string(&text, out)), serde_json::to_string(&text).expect("JSON"));
        }

        #[test]
        fn bytes_are_written_in_the_usual_base64(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(written(|out| base64(&bytes, out)), format!("\"{}\"", BASE64_STANDARD.encode(&bytes)));
        }

        #[test]
        fn numbers_are_decimal(value: i64) {
            prop_assert_eq!(written(|out| number(value, out)), value.to_string());
        }
    }
}
