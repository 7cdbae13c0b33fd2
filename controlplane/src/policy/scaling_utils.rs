//! What a configuration of amazon-kinesis-scaling-utils asks for, as a policy.
//!
//! Facts are of its README and code, version .9.8.8: a list of objects, one for each stream. What has no counterpart here
//! is listed with the reason, so that nobody takes it for kept.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{PolicyError, PolicyFile, VERSION};

/// A configuration as a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The policy as TOML, with the keys that the configuration sets.
    pub text: String,
    /// What could not be carried over.
    pub left_out: Vec<LeftOut>,
}

/// A key that has no counterpart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The stream and the key: `orders: scaleUp.scaleCount`.
    pub key: String,
    pub why: String,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is no list of streams, as amazon-kinesis-scaling-utils reads one")]
    NoList,
    #[error("entry {0} has no streamName")]
    NoStream(usize),
    #[error("{stream}: {key} is no whole number")]
    NoNumber { stream: String, key: String },
    #[error("what it asks for is no policy: {0}")]
    Policy(#[from] PolicyError),
}

impl Imported {
    /// Translates a configuration. One stream becomes the deployment's own policy, several become pipelines.
    ///
    /// # Errors
    /// When the text is not such a configuration, or asks for what no policy can.
    pub fn from_scaling_utils(json: &str) -> Result<Self, ImportError> {
        let entries = match serde_json::from_str(json)? {
            Value::Array(entries) => entries,
            entry @ Value::Object(_) => vec![entry],
            _ => return Err(ImportError::NoList),
        };
        let mut imported = Self { text: format!("version = {VERSION}\n"), left_out: Vec::new() };
        let several = entries.len() > 1;
        for (index, entry) in entries.into_iter().enumerate() {
            let Value::Object(entry) = entry else { return Err(ImportError::NoList) };
            imported.stream(entry, index, several)?;
        }
        PolicyFile::parse(&imported.text)?;
        Ok(imported)
    }

    fn stream(&mut self, mut entry: Map<String, Value>, index: usize, several: bool) -> Result<(), ImportError> {
        let name = entry.remove("streamName").and_then(|name| Some(name.as_str()?.to_owned()));
        let name = name.ok_or(ImportError::NoStream(index + 1))?;
        let prefix = if several { "pipeline." } else { "" };
        if several {
            let quoted = Value::String(name.clone());
            self.text.push_str(&format!("\n[[pipeline]]\nname = {quoted}\nstream_name = {quoted}\n"));
        }
        let section = |entry: &mut Map<String, Value>, key: &str| match entry.remove(key) {
            Some(Value::Object(section)) => section,
            _ => Map::new(),
        };
        let (mut up, mut down) = (section(&mut entry, "scaleUp"), section(&mut entry, "scaleDown"));
        let number = |from: &mut Map<String, Value>, key: &str| whole(&name, from, key);
        let shards =
            [("min_shards", number(&mut entry, "minShards")?), ("max_shards", number(&mut entry, "maxShards")?)];
        let target = number(&mut up, "scaleThresholdPct")?.map(|percent| percent.clamp(5, 95));
        let minutes = [
            ("confirm_up", number(&mut up, "scaleAfterMins")?.map(|minutes| minutes.min(60))),
            ("shards_up_cooldown", number(&mut up, "coolOffMins")?),
            ("shards_stabilization", number(&mut down, "scaleAfterMins")?),
            ("shards_down_cooldown", number(&mut down, "coolOffMins")?),
        ];
        self.text.push_str(&format!("\n[{prefix}stream]\n"));
        self.lines(shards.map(|(key, value)| (key, value.map(|value| value.max(1).to_string()))));
        self.lines([("target_utilization", target.map(|percent| format!("\"{percent} %\"")))]);
        self.text.push_str(&format!("\n[{prefix}guard]\n"));
        self.lines(minutes.map(|(key, value)| (key, value.map(|minutes| format!("\"{}min\"", minutes.min(24 * 60))))));
        self.leave_out(&name, &entry, &up, &down);
        Ok(())
    }

    fn lines<const N: usize>(&mut self, keys: [(&str, Option<String>); N]) {
        for (key, value) in keys.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            self.text.push_str(&format!("{key} = {value}\n"));
        }
    }

    fn leave_out(
        &mut self,
        stream: &str,
        entry: &Map<String, Value>,
        up: &Map<String, Value>,
        down: &Map<String, Value>,
    ) {
        let keys = |keys: &Map<String, Value>, prefix: &str| keys.keys().map(|key| format!("{prefix}{key}")).collect();
        let all: [Vec<String>; 3] = [keys(entry, ""), keys(up, "scaleUp."), keys(down, "scaleDown.")];
        self.left_out.extend(
            all.into_iter()
                .flatten()
                .map(|key| LeftOut { why: reason(&key).to_owned(), key: format!("{stream}: {key}") }),
        );
    }
}

/// Why a key has no counterpart.
fn reason(key: &str) -> &'static str {
    match key {
        "region" => "`ctl` and the control plane work where their AWS configuration points",
        "scaleOnOperation" => "shards follow what is written; consumers are sized by their own lag and load",
        "refreshShardsNumberAfterMin" => "the shard count is read in every tick",
        "checkInterval" => "WEIR_TICK says how often the control plane looks",
        "scaleDown.scaleThresholdPct" => "shards go down when fewer carry the load below the target, with a margin",
        "scaleUp.scaleCount" | "scaleUp.scalePct" | "scaleDown.scaleCount" | "scaleDown.scalePct" => {
            "a step goes as far as the load asks for, within what AWS allows"
        }
        "scaleUp.notificationARN" | "scaleDown.notificationARN" => "`ctl explain` and the log tell of each decision",
        _ => "nothing here is known by this name",
    }
}

fn whole(stream: &str, from: &mut Map<String, Value>, key: &str) -> Result<Option<u64>, ImportError> {
    let Some(value) = from.remove(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.map(Some).ok_or_else(|| ImportError::NoNumber { stream: stream.to_owned(), key: key.to_owned() })
}
