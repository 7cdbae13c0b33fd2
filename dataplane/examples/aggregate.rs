//! Packs and unpacks aggregated records for the check against other implementations (`.ci/kpl`).
//!
//! `aggregate encode` reads a JSON object a line, `{"hash": "...", "records": [{"key", "data"}]}`, and writes the
//! aggregate in base64; `aggregate decode` reads base64 a line and writes `[{"key", "hash", "data"}]`, or `null` for what
//! is no aggregate. Data is base64 everywhere.

use std::io::{BufRead, Write, stdin, stdout};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use dataplane::aggregation::{Aggregate, decode};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Wanted {
    hash: String,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    key: String,
    data: String,
}

fn main() -> anyhow::Result<()> {
    let work = match std::env::args().nth(1).as_deref() {
        Some("encode") => encoded,
        Some("decode") => decoded,
        _ => bail!("usage: aggregate encode|decode"),
    };
    for line in stdin().lock().lines() {
        writeln!(stdout(), "{}", work(&line?)?)?;
    }
    Ok(())
}

fn encoded(line: &str) -> anyhow::Result<String> {
    let wanted: Wanted = serde_json::from_str(line)?;
    let mut aggregate = Aggregate::default();
    for record in &wanted.records {
        aggregate.push(&record.key, true, &BASE64_STANDARD.decode(&record.data)?);
    }
    Ok(BASE64_STANDARD.encode(aggregate.finish(wanted.hash.parse().context("hash")?).data))
}

fn decoded(line: &str) -> anyhow::Result<String> {
    let users = decode(&BASE64_STANDARD.decode(line)?.into());
    let user = |user: dataplane::aggregation::UserRecord| json!({"key": &*user.partition_key, "hash": user.explicit_hash_key.as_deref(), "data": BASE64_STANDARD.encode(&user.data)});
    let users = users.map(|users| users.into_iter().map(user).collect::<Vec<_>>());
    Ok(json!(users).to_string())
}
