//! The JSON Schema of a policy, for editors that complete and check TOML by one.

use serde_json::{Map, Value as Json, json};

use super::{
    ConsumerPolicy, GuardPolicy, ProducerPolicy, StreamPolicy, VERSION,
    section::{Key, Section},
};

/// The schema, made from the same declarations as the reader.
pub(super) fn schema() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weir policy",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": { "const": VERSION },
            StreamPolicy::TABLE: table::<StreamPolicy>(),
            ProducerPolicy::TABLE: table::<ProducerPolicy>(),
            ConsumerPolicy::TABLE: table::<ConsumerPolicy>(),
            GuardPolicy::TABLE: table::<GuardPolicy>(),
        },
    })
}

fn table<S: Section>() -> Json {
    let keys: Map<String, Json> = S::keys().into_iter().map(|key| (key.name.to_owned(), property(key))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": keys })
}

fn property(Key { about, allowed, default, mut schema, .. }: Key) -> Json {
    // A default as it is written in TOML is also JSON: numbers, booleans and quoted strings look the same.
    let default: Json = serde_json::from_str(&default).unwrap_or_default();
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), format!("{about} Allowed: {allowed}.").into());
        members.insert("default".to_owned(), default);
    }
    schema
}
