//! A policy file that was damaged in any way (F11): an error that names its place, or a policy like any other. What stays
//! in force meanwhile is shown by `reconcile`.

use controlplane::policy::PolicyFile;
use proptest::{prelude::*, sample::Index};

/// A file in which every kind of value and of table stands.
const WHOLE: &str = r#"version = 1

[stream]
min_shards = 2
target_utilization = "62.5 %"

[producer]
target_records = "3000 records/s"
target_bytes = "1.5 MiB/s"

[consumer]
lag_objective = "1h 30min"

[guard]
allow_scale_down = false
[[guard.freeze]]
name = "peak day"
from = 2026-11-27T00:00:00+01:00
to = "2026-11-28T00:00:00Z"
direction = "down"

[[schedule]]
name = "office"
cron = "30 7 * * MON-FRI"
time_zone = "Europe/Berlin"
duration = "11h"
min_consumers = 3

[[pipeline]]
name = "orders"
stream_name = "orders-v2"
[pipeline.stream]
max_shards = 0x20
"#;

/// Bytes that mean something in TOML, and some that mean nothing anywhere.
const BYTES: &[u8] = b"\"'=[]{}#.,:-+ \n\r\t09aZ_%\\\x00\x7f";

#[derive(Debug, Clone)]
enum Damage {
    Replace(Index, Index),
    Insert(Index, Index),
    Delete(Index),
    Truncate(Index),
    RepeatLine(Index),
    SwapLines(Index, Index),
    Value(Index, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    let values =
        prop::sample::select(vec!["nan", "-1", "inf", "\"\"", "[]", "{}", "1e308", "true", "9999999999999999999"]);
    prop_oneof![
        (index(), index()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (index(), index()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        index().prop_map(Damage::Delete),
        index().prop_map(Damage::Truncate),
        index().prop_map(Damage::RepeatLine),
        (index(), index()).prop_map(|(one, other)| Damage::SwapLines(one, other)),
        (index(), values).prop_map(|(line, value)| Damage::Value(line, value)),
    ]
}

impl Damage {
    fn apply(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let (mut bytes, mut lines) = (text.as_bytes().to_vec(), text.lines().collect::<Vec<_>>());
        match self {
            Self::Replace(at, byte) => bytes[at.index(text.len())] = *byte.get(BYTES),
            Self::Insert(at, byte) => bytes.insert(at.index(text.len()), *byte.get(BYTES)),
            Self::Delete(at) => _ = bytes.remove(at.index(text.len())),
            Self::Truncate(at) => bytes.truncate(at.index(text.len())),
            Self::RepeatLine(at) => {
                let line = *at.get(&lines);
                lines.push(line);
                return lines.join("\n");
            }
            Self::SwapLines(one, other) => {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                return lines.join("\n");
            }
            Self::Value(at, value) => {
                let line = at.index(lines.len());
                let key = lines[line].split('=').next().unwrap_or_default();
                let damaged = format!("{key}= {value}");
                lines[line] = &damaged;
                return lines.join("\n");
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_policy_is_an_error_with_its_place_or_a_policy_that_reads_back_as_itself(
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let text = damages.iter().fold(WHOLE.to_owned(), |text, damage| damage.apply(&text));
        match PolicyFile::parse(&text) {
            Ok(file) => prop_assert_eq!(PolicyFile::parse(&file.to_toml()), Ok(file)),
            Err(error) => {
                prop_assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "line {}", error.line);
                prop_assert!(error.column >= 1 && !error.message.is_empty());
            }
        }
    }
}

#[test]
fn the_file_that_is_damaged_is_right_before() {
    assert_eq!(PolicyFile::parse(WHOLE).unwrap().pipelines.len(), 1);
}

#[test]
fn a_megabyte_of_nonsense_is_an_error_and_so_is_deep_nesting() {
    assert!(PolicyFile::parse(&"x = 1\n".repeat(170_000)).is_err());
    assert!(PolicyFile::parse(&format!("version = {}1{}", "[".repeat(50_000), "]".repeat(50_000))).is_err());
}
