//! Policies as people write them, and the errors they get.

use controlplane::{
    policy::Policy,
    units::{Fraction, Millis, RecordsPerSecond, ShardCount, TaskCount},
};

fn parse(tables: &str) -> Policy {
    Policy::parse(&format!("version = 1\n{tables}")).unwrap()
}

fn error(text: &str) -> String {
    Policy::parse(text).unwrap_err().to_string()
}

#[test]
fn a_version_alone_is_a_whole_policy_with_every_default() {
    let policy = parse("");
    assert_eq!(policy, Policy::default());
    insta::assert_snapshot!(policy.to_toml());
}

#[test]
fn what_is_printed_reads_back_as_the_same_policy() {
    let policy = parse(
        "[stream]\nmin_shards = 2\ntarget_utilization = \"62.5 %\"\n[producer]\ntarget_records = \"3000 records/s\"\n\
         target_bytes = \"1.5 MiB/s\"\n[consumer]\nlag_objective = \"1h 30min\"\n[guard]\nconfirm_up = \"0s\"\n\
         tasks_up_cooldown = \"1500ms\"\nallow_scale_down = false",
    );
    assert_eq!(Policy::parse(&policy.to_toml()), Ok(policy));
}

#[test]
fn values_carry_their_units() {
    let policy = parse(
        "[stream]\nmax_shards = 0x20\ntarget_utilization = \"50%\"\n[producer]\nmax_tasks = 3\n\
         target_records = \"1000 records/s\"\n[consumer]\nlag_objective = \"90s\"",
    );
    assert_eq!(policy.stream.max_shards, ShardCount(32));
    assert_eq!(policy.stream.target_utilization, Fraction(0.5));
    assert_eq!(policy.producer.max_tasks, TaskCount(3));
    assert_eq!(policy.producer.target_records, Some(RecordsPerSecond(1000.0)));
    assert_eq!(policy.consumer.lag_objective, Millis(90_000));
}

#[test]
fn the_schema_knows_every_key_with_its_default_and_range() {
    let schema = Policy::json_schema();
    let stream = &schema["properties"]["stream"]["properties"];
    assert_eq!(stream["min_shards"]["minimum"], 1);
    assert_eq!(stream["min_shards"]["default"], 1);
    assert_eq!(stream["target_utilization"]["default"], "70 %");
    assert_eq!(schema["properties"]["producer"]["properties"]["target_records"]["anyOf"][0]["const"], "off");
    let printed: toml::Table = Policy::default().to_toml().parse().unwrap();
    for (table, keys) in printed.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
        for key in keys.keys() {
            let described = &schema["properties"][table]["properties"][key]["description"];
            assert!(described.as_str().is_some_and(|text| text.contains("Allowed")), "{table}.{key}");
        }
    }
}

#[test]
fn the_demo_policy_is_a_policy() {
    let policy = Policy::parse(include_str!("../examples/policy-demo.toml")).unwrap();
    assert!(policy.guard.shards_stabilization < Policy::default().guard.shards_stabilization);
}

/// A name for the case, and the text of the policy.
const MISTAKES: [(&str, &str); 16] = [
    ("no_version", "[stream]\nmin_shards = 1"),
    ("a_version_of_the_future", "version = 2"),
    ("a_version_as_text", "version = \"1\""),
    ("an_unknown_table", "version = 1\n[streams]\nmin_shards = 1"),
    ("an_unknown_key", "version = 1\n[stream]\nmin_shard = 1"),
    ("a_key_outside_a_table", "version = 1\nmin_shards = 1"),
    ("a_table_that_is_a_number", "version = 1\nstream = 5"),
    ("a_fraction_as_a_number", "version = 1\n[stream]\ntarget_utilization = 0.7"),
    ("a_fraction_above_its_range", "version = 1\n[stream]\ntarget_utilization = \"120 %\""),
    ("a_count_below_its_range", "version = 1\n[stream]\nmin_shards = 0"),
    ("a_negative_count", "version = 1\n[consumer]\nmin_tasks = -1"),
    ("a_duration_without_a_unit", "version = 1\n[guard]\nconfirm_up = \"30\""),
    ("a_negative_duration", "version = 1\n[guard]\nconfirm_up = \"-30s\""),
    ("a_minimum_above_the_maximum", "version = 1\n[consumer]\nmin_tasks = 5\nmax_tasks = 4"),
    ("a_maximum_below_the_default_minimum", "version = 1\n[guard]\ndaily_reshards = 3"),
    ("broken_toml", "version = 1\n[stream\nmin_shards = 1"),
];

#[test]
fn mistakes_are_answered_with_the_place_and_the_remedy() {
    let answers = MISTAKES.map(|(name, text)| format!("{name}\n{}\n", error(text)));
    insta::assert_snapshot!(answers.join("\n"));
}

#[test]
fn a_caret_stands_under_its_value_after_umlauts_too() {
    let text = "version = 1\n[guard] # für später\nconfirm_up = \"später\"";
    let error = Policy::parse(text).unwrap_err();
    assert_eq!((error.line, error.column), (3, 14));
    assert!(error.to_string().contains("^^^^^^^^"), "{error}");
}

#[test]
fn hostile_texts_are_refused_and_never_panic() {
    for text in [
        "\u{0}",
        "version = 1\n[guard]\nconfirm_up = \"NaN\"",
        "version = inf",
        "a.b.c.d = 1",
        "[[stream]]",
        "\u{feff}",
    ] {
        assert!(Policy::parse(text).is_err(), "{text:?}");
    }
    let long = format!("version = 1\n# {}", "x".repeat(1 << 20));
    assert!(error(&long).contains("longer than 64 KiB"));
}
