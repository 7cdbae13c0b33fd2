//! From a body to records. Pure.

use std::{borrow::Cow, fmt};

use axum::{
    extract::{Query, Request},
    http::{HeaderValue, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::{rejection::Rejection, scan};
use crate::{aggregation::HashKey, producer::pack::Incoming};

/// Kinesis' limit on a partition key, in characters.
const PARTITION_KEY_CHARACTERS_MAX: usize = 256;

/// The most records of one request.
const RECORDS_MAX: usize = 10_000;

/// A record as it is posted. The names with underscores are those that the `log` processor writes, so that what it
/// wrote can be posted again.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Text<'a>>,
    /// For bytes that are not UTF-8.
    #[serde(borrow, alias = "data_base64")]
    pub(super) data_base64: Option<Text<'a>>,
    #[serde(borrow, alias = "partition_key")]
    pub(super) partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) explicit_hash_key: Option<Text<'a>>,
}

/// A string, borrowed from the body unless it has escapes. serde borrows a bare `Cow` only, not one in an `Option`.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The keys of a record whose body is its data.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Keys {
    partition_key: Option<String>,
    explicit_hash_key: Option<String>,
}

/// A record that Kinesis would take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Posted<'a> {
    data: Cow<'a, [u8]>,
    partition_key: Option<Cow<'a, str>>,
    explicit_hash_key: Option<HashKey>,
}

impl Posted<'_> {
    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            partition_key: self.partition_key.as_deref(),
            explicit_hash_key: self.explicit_hash_key,
            data: &self.data,
        }
    }
}

/// The keys in the query of a request whose body is the data of its record. `None` for one whose body is JSON.
pub(super) fn raw_keys(request: &Request) -> Result<Option<Keys>, Rejection> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/octet-stream") {
        return Ok(None);
    }
    let query = Query::try_from_uri(request.uri());
    query.map(|Query(keys)| Some(keys)).map_err(|_| Rejection::Malformed("the query is not understood".to_owned()))
}

/// The record of a body that is one JSON object. `limit` is the largest record that the stream takes.
pub(super) fn one(body: &[u8], limit: usize) -> Result<Posted<'_>, Rejection> {
    posted(wire(body, None)?, 0, limit)
}

/// The record whose data is the body.
pub(super) fn raw(body: &[u8], keys: Keys, limit: usize) -> Result<Posted<'_>, Rejection> {
    let keys = (keys.partition_key.map(Cow::Owned), keys.explicit_hash_key.map(Cow::Owned));
    check(Cow::Borrowed(body), keys, 0, limit)
}

/// The records of a body that is a JSON array of objects, or an object a line.
pub(super) fn many(body: &[u8], limit: usize) -> Result<Vec<Posted<'_>>, Rejection> {
    let records: Vec<_> = match body.trim_ascii_start().first() {
        Some(b'[') => {
            let wires = array(body)?.into_iter().enumerate();
            wires.map(|(index, wire)| posted(wire, index, limit)).collect::<Result<_, _>>()?
        }
        _ => lines(body, limit)?,
    };
    match records.len() {
        0 => Err(Rejection::Malformed("the body has no records".to_owned())),
        count if count > RECORDS_MAX => Err(Rejection::TooManyRecords(RECORDS_MAX)),
        _ => Ok(records),
    }
}

fn lines(body: &[u8], limit: usize) -> Result<Vec<Posted<'_>>, Rejection> {
    let (mut records, mut start, mut number) = (Vec::new(), 0, 0);
    for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
        let line = body.get(start..end).unwrap_or_default();
        (start, number) = (end + 1, number + 1);
        // Whatever is left, there are too many.
        if records.len() > RECORDS_MAX {
            break;
        }
        if !line.trim_ascii().is_empty() {
            records.push(posted(wire(line, Some(number))?, records.len(), limit)?);
        }
    }
    Ok(records)
}

/// An object. Nearly all of them are simple, and read at once.
fn wire(text: &[u8], line: Option<usize>) -> Result<Wire<'_>, Rejection> {
    match scan::simple(text) {
        Some(wire) => Ok(wire),
        None => {
            scan::check_depth(text)?;
            serde_json::from_slice(text).map_err(|error| malformed(&error, line))
        }
    }
}

fn array(body: &[u8]) -> Result<Vec<Wire<'_>>, Rejection> {
    scan::check_depth(body)?;
    let Bounded(wires) = serde_json::from_slice(body).map_err(|error| malformed(&error, None))?;
    Ok(wires)
}

/// As many records of an array as may be, and one more. The rest takes no memory.
struct Bounded<'a>(Vec<Wire<'a>>);

impl<'de> Deserialize<'de> for Bounded<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements)
    }
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Bounded<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut wires = Vec::new();
        while wires.len() <= RECORDS_MAX {
            match elements.next_element()? {
                Some(wire) => wires.push(wire),
                None => return Ok(Bounded(wires)),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Bounded(wires))
    }
}

fn posted(wire: Wire<'_>, index: usize, limit: usize) -> Result<Posted<'_>, Rejection> {
    let problem = |what| Rejection::Malformed(format!("record {index}: {what}"));
    let data = match (wire.data, wire.data_base64) {
        (Some(Text(Cow::Borrowed(text))), None) => Cow::Borrowed(text.as_bytes()),
        (Some(Text(Cow::Owned(text))), None) => Cow::Owned(text.into_bytes()),
        (None, Some(Text(text))) => {
            Cow::Owned(BASE64_STANDARD.decode(&*text).map_err(|_| problem("dataBase64 is not base64"))?)
        }
        (None, None) => return Err(problem("has neither `data` nor `dataBase64`")),
        (Some(_), Some(_)) => return Err(problem("has both `data` and `dataBase64`")),
    };
    check(data, (wire.partition_key.map(|text| text.0), wire.explicit_hash_key.map(|text| text.0)), index, limit)
}

/// A record with its partition key and explicit hash key, if Kinesis would take it.
fn check<'a>(
    data: Cow<'a, [u8]>,
    (partition_key, explicit_hash_key): (Option<Cow<'a, str>>, Option<Cow<'a, str>>),
    index: usize,
    limit: usize,
) -> Result<Posted<'a>, Rejection> {
    let explicit_hash_key = match explicit_hash_key {
        Some(decimal) => Some(hash_key(&decimal).ok_or_else(|| {
            Rejection::Malformed(format!("record {index}: explicitHashKey is not a decimal number below 2^128"))
        })?),
        None => None,
    };
    let key_characters = partition_key.as_deref().map(|key| key.chars().count());
    if key_characters == Some(0) {
        return Err(Rejection::Malformed(format!("record {index}: partitionKey is empty; leave it out instead")));
    }
    if key_characters.is_some_and(|characters| characters > PARTITION_KEY_CHARACTERS_MAX) {
        let what = "partitionKey, in characters,";
        return Err(Rejection::RecordTooLarge { index, what, limit: PARTITION_KEY_CHARACTERS_MAX });
    }
    if data.len() + partition_key.as_deref().map_or(0, str::len) > limit {
        let what = "data and partitionKey, in bytes,";
        return Err(Rejection::RecordTooLarge { index, what, limit });
    }
    Ok(Posted { data, partition_key, explicit_hash_key })
}

fn hash_key(decimal: &str) -> Option<HashKey> {
    decimal.bytes().all(|byte| byte.is_ascii_digit()).then(|| decimal.parse().ok())?
}

/// Says where the mistake is and what kind it is. serde's own text may quote the payload.
fn malformed(error: &serde_json::Error, line: Option<usize>) -> Rejection {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "ends early",
        serde_json::error::Category::Data => {
            "is not an object with a string `data` or `dataBase64` (and strings `partitionKey` and `explicitHashKey`, if any)"
        }
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
    };
    let line = line.unwrap_or_else(|| error.line());
    Rejection::Malformed(format!("the body {kind}: line {line} column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn data(posted: &[Posted<'_>]) -> Vec<String> {
        posted.iter().map(|posted| String::from_utf8_lossy(&posted.data).into_owned()).collect()
    }

    #[test]
    fn a_body_of_the_sample_is_a_record() {
        let body = br#"{"data":"2000-00-00 00:00:00 INFO HelloExample:1 - This is our load testing record"}"#;
        let posted = one(body, LIMIT).expect("a record");
        assert!(matches!(posted.data, Cow::Borrowed(_)), "nothing is copied that need not be");
        assert_eq!((posted.partition_key, posted.explicit_hash_key), (None, None));
    }

    #[test]
    fn keys_are_read() {
        let posted =
            one(br#"{"data":"x","partitionKey":"k","explicitHashKey":"12","more":[1]}"#, LIMIT).expect("a record");
        assert_eq!((posted.partition_key.as_deref(), posted.explicit_hash_key), (Some("k"), Some(HashKey(12))));
    }

    #[test]
    fn bytes_that_are_no_text_come_in_base64_or_as_they_are() {
        let posted = one(br#"{"data_base64":"/w==","partition_key":"k"}"#, LIMIT).expect("a record");
        assert_eq!((&posted.data[..], posted.partition_key.as_deref()), (&b"\xff"[..], Some("k")));
        let keys = Keys { partition_key: Some("k".to_owned()), explicit_hash_key: None };
        assert_eq!(raw(b"\xff", keys, LIMIT), Ok(posted));
        let keys = Keys { partition_key: None, explicit_hash_key: Some("x".to_owned()) };
        assert!(matches!(raw(b"", keys, LIMIT), Err(Rejection::Malformed(_))));
    }

    #[test]
    fn an_array_and_lines_hold_the_same_records() {
        let array = br#" [{"data":"a"}, {"data":"b\n"}]"#;
        let lines = b"\n{\"data\":\"a\"}\r\n\n{\"data\":\"b\\n\"}";
        assert_eq!(data(&many(array, LIMIT).expect("records")), ["a", "b\n"]);
        assert_eq!(many(array, LIMIT), many(lines, LIMIT));
    }

    #[test]
    fn a_mistake_is_named_with_its_place_and_without_the_payload() {
        for (body, expected) in [
            (&b"{\"data\":\"a\"}\n{\"data\":5}"[..], "line 2"),
            (b"{\"data\":\"a\"}\n{\"secret\":\"x\"}", "record 1: has neither"),
            (b"{\"data\":\"a\",\"dataBase64\":\"YQ==\"}", "has both"),
            (b"{\"dataBase64\":\"secret!\"}", "not base64"),
            (b"{\"data\":\"a\"}\nsecret", "line 2"),
            (b"[{\"data\":\"a\"},", "ends early"),
            (b"{\"data\":\"\xff\"}", "not JSON"),
            (b"", "no records"),
            (b"[]", "no records"),
            (b"{\"data\":\"a\",\"explicitHashKey\":\"+1\"}", "record 0"),
            (b"{\"data\":\"a\",\"partitionKey\":\"\"}", "empty"),
        ] {
            let text = many(body, LIMIT).expect_err("a mistake").to_string();
            assert!(text.contains(expected), "{text} names {expected}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn what_kinesis_would_refuse_is_refused_with_the_limit() {
        let long_key = format!(r#"{{"data":"x","partitionKey":"{}"}}"#, "k".repeat(257));
        assert!(matches!(one(long_key.as_bytes(), LIMIT), Err(Rejection::RecordTooLarge { limit: 256, .. })));
        let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(LIMIT + 1));
        assert!(matches!(one(large.as_bytes(), LIMIT), Err(Rejection::RecordTooLarge { limit: LIMIT, .. })));
        let many_records = "{\"data\":\"\"}\n".repeat(RECORDS_MAX + 1);
        assert_eq!(many(many_records.as_bytes(), LIMIT), Err(Rejection::TooManyRecords(RECORDS_MAX)));
    }

    #[test]
    fn deep_nesting_is_refused_in_an_object_and_in_an_array() {
        let bomb = format!(r#"{{"data":"x","more":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(one(bomb.as_bytes(), LIMIT), Err(Rejection::TooDeep(64)));
        assert_eq!(many(format!("[{bomb}]").as_bytes(), LIMIT), Err(Rejection::TooDeep(64)));
    }

    #[test]
    fn an_array_of_millions_is_refused() {
        let many_records = format!("[{}{{}}]", "{\"data\":\"\"},".repeat(600_000));
        assert_eq!(many(many_records.as_bytes(), LIMIT), Err(Rejection::TooManyRecords(RECORDS_MAX)));
    }
}
