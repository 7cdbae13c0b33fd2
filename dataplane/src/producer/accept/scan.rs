//! Reads the objects that nearly all clients send, strings without escapes, several times as fast as serde. Pure.

use std::borrow::Cow;

use super::{
    parse::{Text, Wire},
    rejection::Rejection,
};

/// The deepest JSON that is looked at. A record has one level, or two in an array; what more there is, is ignored.
const DEPTH_MAX: usize = 64;

/// The record of an object that has known names and plain strings only. `None` when serde has to look.
pub(super) fn simple(text: &[u8]) -> Option<Wire<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut rest = text.trim_ascii().strip_prefix('{')?.trim_ascii_start();
    let mut wire = Wire::default();
    loop {
        let (name, after) = string(rest)?;
        let (value, after) = string(after.trim_ascii_start().strip_prefix(':')?.trim_ascii_start())?;
        let member = match name {
            "data" => &mut wire.data,
            "partitionKey" | "partition_key" => &mut wire.partition_key,
            "dataBase64" | "data_base64" => &mut wire.data_base64,
            "explicitHashKey" => &mut wire.explicit_hash_key,
            _ => return None,
        };
        if member.replace(Text(Cow::Borrowed(value))).is_some() {
            return None;
        }
        rest = after.trim_ascii_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_ascii_start(),
            None => return (rest == "}").then_some(wire),
        }
    }
}

/// A string without escapes at the start of `text`, and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = memchr::memchr2(b'"', b'\\', inside.as_bytes())?;
    let (value, rest) = inside.split_at(end);
    // JSON has no bare control characters.
    let plain = !value.bytes().any(|byte| byte < b' ');
    Some((value, rest.strip_prefix('"')?)).filter(|_| plain)
}

/// Refuses what is nested too deep.
pub(super) fn check_depth(text: &[u8]) -> Result<(), Rejection> {
    let (mut depth, mut rest) = (0_usize, text);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' if depth == DEPTH_MAX => return Err(Rejection::TooDeep(DEPTH_MAX)),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    Ok(())
}

fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let escape = rest[at] == b'\\';
        rest = rest.get(at + 1 + usize::from(escape)..).unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Near JSON: more often an object that could be a record than chance would have it.
    fn near_json() -> impl Strategy<Value = String> {
        let name =
            prop_oneof![Just("data"), Just("partitionKey"), Just("data_base64"), Just("explicitHashKey"), Just("x")];
        let value = prop_oneof![
            "\"[a-z ,:{}\\[\\]é]{0,6}\"",
            "\"[a-z]{0,3}\\\\[nu\"x][0-9a-f]{0,4}\"",
            Just("1".to_owned()),
            Just("{\"data\":\"x\"}".to_owned()),
            Just("\"\t\"".to_owned()),
        ];
        let member =
            (name, "[ \t]{0,1}", value).prop_map(|(name, space, value)| format!("\"{name}\"{space}:{space}{value}"));
        (proptest::collection::vec(member, 0..4), "[ ,}]{0,1}")
            .prop_map(|(members, end)| format!(" {{{}{end}}} ", members.join(", ")))
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_is_what_serde_reads(text in near_json()) {
            if let Some(wire) = simple(text.as_bytes()) {
                let slowly: Wire<'_> = serde_json::from_str(&text).expect("serde reads it too");
                prop_assert_eq!(format!("{wire:?}"), format!("{slowly:?}"));
            }
        }

        #[test]
        fn whatever_comes_is_no_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = simple(&text);
            let _ = check_depth(&text);
        }
    }

    #[test]
    fn plain_records_are_read_at_once() {
        for text in
            [r#"{"data":"x"}"#, r#" { "partitionKey" : "k" , "data" : "\u00e9" } "#.replace("\\u00e9", "é").as_str()]
        {
            assert!(simple(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn brackets_in_strings_are_no_levels() {
        let text = format!(r#"{{"data":"{}\"{}"}}"#, "[".repeat(1000), "{".repeat(1000));
        assert_eq!(check_depth(text.as_bytes()), Ok(()));
        assert_eq!(check_depth("[".repeat(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(check_depth("[".repeat(DEPTH_MAX + 1).as_bytes()), Err(Rejection::TooDeep(DEPTH_MAX)));
    }
}
