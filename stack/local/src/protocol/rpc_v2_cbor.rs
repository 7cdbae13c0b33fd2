//! Smithy RPC v2 with CBOR.
//!
//! The operation is in the path: `/service/<service>/operation/<operation>`.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use crate::service::{AwsError, Call};

/// RFC 8949, 3.4.2: seconds since the epoch.
const TIMESTAMP_TAG: u64 = 1;

/// Decodes a request. CBOR timestamps (tag 1) become seconds since the epoch, as in awsJson.
///
/// # Errors
/// When the path names no operation, or the body is not CBOR that JSON can hold.
pub fn decode(path: &str, body: &[u8]) -> Result<Call, AwsError> {
    let Some((_, operation)) = path.rsplit_once("/operation/") else {
        return Err(AwsError::new("UnknownOperationException", format!("the path {path} names no operation")));
    };
    if body.is_empty() {
        return Ok(Call::new(operation, Bytes::new()));
    }
    let input: Cbor = ciborium::from_reader(body).map_err(|error| malformed(&error.to_string()))?;
    Ok(Call::new(operation, json(input)?.to_string()))
}

fn malformed(what: &str) -> AwsError {
    AwsError::new("SerializationException", format!("the CBOR body cannot be read: {what}"))
}

fn json(value: Cbor) -> Result<Value, AwsError> {
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Text(value) => Value::String(value),
        Cbor::Bytes(value) => Value::String(BASE64_STANDARD.encode(value)),
        Cbor::Integer(value) => {
            let number = u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from));
            number.map(Value::Number).map_err(|_| malformed("an integer needs more than 64 bits"))?
        }
        Cbor::Float(value) => {
            Number::from_f64(value).map(Value::Number).ok_or_else(|| malformed("a number is not finite"))?
        }
        Cbor::Tag(TIMESTAMP_TAG, value) => json(*value)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Cbor::Map(members) => Value::Object(members.into_iter().map(member).collect::<Result<_, _>>()?),
        other => return Err(malformed(&format!("{other:?} is not a type of the protocol"))),
    })
}

fn member((name, value): (Cbor, Cbor)) -> Result<(String, Value), AwsError> {
    let Cbor::Text(name) = name else { return Err(malformed("the name of a member is not text")) };
    Ok((name, json(value)?))
}

/// Writes an answer. JSON has no timestamps, so members of the names in `timestamps` are written with tag 1.
///
/// A number with a fraction point in JSON (every `f64` that serde writes) becomes a CBOR float, because the SDK
/// refuses an integer where the model says double.
#[must_use]
pub fn encode(output: &Value, timestamps: &[&str]) -> Bytes {
    bytes(&cbor(output, timestamps, false))
}

/// Writes an error.
#[must_use]
pub fn encode_error(error: &AwsError) -> Bytes {
    let mut body = Map::new();
    body.insert("__type".to_owned(), Value::String(error.code.clone()));
    body.insert("message".to_owned(), Value::String(error.message.clone()));
    body.extend(error.members.clone());
    bytes(&cbor(&Value::Object(body), &[], false))
}

fn bytes(value: &Cbor) -> Bytes {
    let mut body = Vec::new();
    if let Err(error) = ciborium::into_writer(value, &mut body) {
        tracing::error!(%error, "cannot write to memory");
    }
    body.into()
}

fn cbor(value: &Value, timestamps: &[&str], is_timestamp: bool) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::String(value) => Cbor::Text(value.clone()),
        Value::Number(value) if is_timestamp => Cbor::Tag(TIMESTAMP_TAG, Box::new(number(value))),
        Value::Number(value) => number(value),
        Value::Array(items) => Cbor::Array(items.iter().map(|item| cbor(item, timestamps, is_timestamp)).collect()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                (Cbor::Text(name.clone()), cbor(value, timestamps, timestamps.contains(&name.as_str())))
            };
            Cbor::Map(members.iter().filter(|(_, value)| !value.is_null()).map(member).collect())
        }
    }
}

fn number(value: &Number) -> Cbor {
    match (value.as_u64(), value.as_i64()) {
        (Some(value), _) => Cbor::Integer(value.into()),
        (_, Some(value)) => Cbor::Integer(value.into()),
        _ => Cbor::Float(value.as_f64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const PATH: &str = "/service/GraniteServiceVersion20100801/operation/ListMetrics";

    fn input(body: &[u8]) -> Result<Value, AwsError> {
        decode(PATH, body).map(|call| serde_json::from_slice(&call.body).unwrap())
    }

    #[test]
    fn indefinite_maps_and_timestamps_are_read() {
        // {_ "At": 1(1000), "List": [_ 1.5], "Neg": -2}
        let body = b"\xbf\x62At\xc1\x19\x03\xe8\x64List\x9f\xf9\x3e\x00\xff\x63Neg\x21\xff";
        assert_eq!(input(body).unwrap(), json!({ "At": 1000, "List": [1.5], "Neg": -2 }));
        assert_eq!(decode(PATH, b"").unwrap().operation, "ListMetrics");
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert!(input(b"\xa1\x61a\xf9\x7e\x00").is_err(), "NaN");
        assert!(input(b"\xa1\x01\x01").is_err(), "a member without a name");
        assert!(input(b"\xa1\x61a").is_err(), "a body that ends early");
        assert!(input(b"\xa1\x61a\x3b\xff\xff\xff\xff\xff\xff\xff\xff").is_err(), "an integer below 64 bits");
    }

    #[test]
    fn only_the_named_members_become_timestamps_and_absent_ones_are_left_out() {
        let output = json!({ "Timestamps": [1], "Period": 1, "Value": 1.0, "Absent": null });
        let written: Cbor = ciborium::from_reader(&encode(&output, &["Timestamps"])[..]).unwrap();
        let text = |name: &str| Cbor::Text(name.to_owned());
        let one = || Cbor::Integer(1.into());
        let timestamps = Cbor::Array(vec![Cbor::Tag(TIMESTAMP_TAG, Box::new(one()))]);
        let Cbor::Map(members) = written else { panic!("an answer is a map") };
        assert_eq!(members.len(), 3);
        for member in [(text("Timestamps"), timestamps), (text("Period"), one()), (text("Value"), Cbor::Float(1.0))] {
            assert!(members.contains(&member), "{member:?} is missing");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Fractions that survive serde_json, which may be off by one in the last place of longer ones.
            any::<i16>().prop_map(|numerator| Value::from(f64::from(numerator) / 16.0)),
            ".{0,8}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_value_survives_the_way_out_and_in(value in values()) {
            prop_assert_eq!(input(&encode(&value, &[])).unwrap(), value.clone());
        }
    }
}
