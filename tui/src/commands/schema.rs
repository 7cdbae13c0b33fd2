//! `ctl schema`: what the documents of Weir look like, for programs that read them.

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use controlplane::{decide, policy::Policy, record};
use schemars::{Schema, schema_for};

use super::status;
use crate::{failure::Exit, output::write_line};

/// Print the JSON Schema of a document
///
/// `decision` is one line of `ctl explain --output jsonl`, one entry of `decisions` in its JSON, and what is stored;
/// `status` is `ctl status --output json`; `policy` is policy.toml. New members may come; one that changes its meaning
/// raises the version.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl schema decision > decision.schema.json
  ctl schema status | jq '.properties | keys'")]
pub(super) struct Args {
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    Decision,
    Status,
    Policy,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let schema = match args.document {
        Document::Decision => titled(schema_for!(decide::Decision), "decision", decide::VERSION),
        Document::Status => titled(schema_for!(status::Document<'static>), "status", record::VERSION),
        Document::Policy => Policy::json_schema(),
    };
    write_line(&serde_json::to_string_pretty(&schema)?)?;
    Ok(Exit::Done)
}

fn titled(mut schema: Schema, name: &str, version: u32) -> serde_json::Value {
    schema.insert("title".to_owned(), format!("Weir {name}, version {version}").into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use controlplane::decide::{Decision, History, decide};
    use serde_json::Value;

    use super::*;
    use crate::app::tests::fixtures;

    /// What is wrong with a document, by the parts of JSON Schema that ours use.
    fn wrong(root: &Value, schema: &Value, document: &Value, at: &str) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            return wrong(root, &root["$defs"][name], document, at);
        }
        let choices = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
        if choices.is_some_and(|choices| !choices.iter().any(|choice| wrong(root, choice, document, at).is_empty())) {
            return vec![format!("{at}: {document} is none of the choices")];
        }
        let mut found = Vec::new();
        let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        if !kinds.iter().any(|kind| kind.is_null() || is_a(kind.as_str().unwrap_or_default(), document)) {
            found.push(format!("{at}: {document} is no {kinds:?}"));
        }
        if schema.get("const").is_some_and(|only| only != document) {
            found.push(format!("{at}: {document} is not {}", schema["const"]));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(document)) {
            found.push(format!("{at}: {document} is none of {}", schema["enum"]));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if document.get(name).is_none() {
                found.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in document.as_object().into_iter().flatten() {
            let known = schema["properties"].get(name);
            if known.is_none() && choices.is_none() && schema.get("properties").is_some() {
                found.push(format!("{at}.{name} is not described"));
            }
            found.extend(known.into_iter().flat_map(|schema| wrong(root, schema, value, &format!("{at}.{name}"))));
        }
        let items = document.as_array().into_iter().flatten().filter(|_| schema.get("items").is_some());
        found.extend(items.flat_map(|item| wrong(root, &schema["items"], item, &format!("{at}[]"))));
        found
    }

    fn is_a(kind: &str, document: &Value) -> bool {
        match kind {
            "object" => document.is_object(),
            "array" => document.is_array(),
            "string" => document.is_string(),
            "integer" => document.is_u64() || document.is_i64(),
            "number" => document.is_number(),
            "boolean" => document.is_boolean(),
            "null" => document.is_null(),
            other => panic!("{other} is no kind of JSON"),
        }
    }

    /// A decision as `decide` makes it, of a stream in trouble.
    fn decided() -> Decision {
        let (at, stored) = (fixtures::now(), fixtures::decision(1));
        let policy = "version = 1\n[[schedule]]\nname = \"x\"\ncron = \"0 12 * * *\"\nmin_shards = 9\n";
        let policy = Policy::parse(policy).expect("a policy");
        let mut seen = stored.observation.clone();
        seen.load.busiest_shards = vec![controlplane::observe::ShardLoad {
            shard_id: "shardId-000000000000".to_owned(),
            starting_hash_key: Some(0),
            ending_hash_key: Some(u128::MAX),
            slices: vec![0.5, 0.5],
            heaviest: Some(controlplane::observe::KeyShare { hash_key: u128::MAX, share: 0.25 }),
            ..Default::default()
        }];
        let conclusion = decide(&policy, &seen, &History::default(), at);
        let (plan, report, memory) = (conclusion.plan, conclusion.report, conclusion.history.memory);
        Decision { observation: seen, plan, report, memory, ..stored }
    }

    #[test]
    fn a_stored_decision_is_as_its_schema_says() {
        let schema = schema_for!(Decision).to_value();
        for decision in [decided(), fixtures::decision(0)] {
            let document = serde_json::to_value(&decision).unwrap();
            assert_eq!(wrong(&schema, &schema, &document, "decision"), [""; 0]);
        }
    }

    #[test]
    fn a_status_is_as_its_schema_says() {
        let schema = schema_for!(status::Document<'static>).to_value();
        let status = fixtures::status(fixtures::now(), 6_000.0);
        let document = status::Document { heartbeat_age_ms: 12, status: &status, pause: None };
        assert_eq!(wrong(&schema, &schema, &serde_json::to_value(&document).unwrap(), "status"), [""; 0]);
    }

    #[test]
    fn a_document_that_is_not_as_the_schema_says_is_found() {
        let schema = schema_for!(Decision).to_value();
        let mut document = serde_json::to_value(decided()).unwrap();
        document["report"]["shards"]["verdict"]["verdict"] = "guessed".into();
        document["epoch"] = "three".into();
        document.as_object_mut().unwrap().remove("plan");
        document["invented"] = true.into();
        assert_eq!(wrong(&schema, &schema, &document, "decision").len(), 4);
    }
}
