//! The JSON Schema of a policy, for editors that complete and check TOML by one.

use serde_json::{Map, Value as Json, json};

use super::{
    ConsumerPolicy, Freeze, GuardPolicy, ProducerPolicy, Schedule, StreamPolicy, VERSION,
    pipelines::PipelineNames,
    section::{Key, Section},
};

/// The schema, made from the same declarations as the reader.
pub(super) fn schema() -> Json {
    let mut properties = policy();
    properties.insert("version".to_owned(), json!({ "const": VERSION }));
    let mut pipeline = table::<PipelineNames>();
    if let Some(members) = pipeline["properties"].as_object_mut() {
        members.extend(policy());
    }
    properties.insert("pipeline".to_owned(), json!({ "type": "array", "items": pipeline }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weir policy",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": properties,
    })
}

/// The tables that a file and each of its pipelines may have.
fn policy() -> Map<String, Json> {
    let mut guard = table::<GuardPolicy>();
    guard["properties"]["freeze"] = json!({ "type": "array", "items": table::<Freeze>() });
    let tables = [
        (StreamPolicy::TABLE, table::<StreamPolicy>()),
        (ProducerPolicy::TABLE, table::<ProducerPolicy>()),
        (ConsumerPolicy::TABLE, table::<ConsumerPolicy>()),
        (GuardPolicy::TABLE, guard),
        (Schedule::TABLE, json!({ "type": "array", "items": table::<Schedule>() })),
    ];
    tables.map(|(name, schema)| (name.to_owned(), schema)).into_iter().collect()
}

fn table<S: Section>() -> Json {
    let keys: Map<String, Json> = S::keys().into_iter().map(|key| (key.name.to_owned(), property(key))).collect();
    json!({ "type": "object", "additionalProperties": false, "required": S::NEEDED, "properties": keys })
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
