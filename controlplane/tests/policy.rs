//! Policies as people write them, and the errors they get.

use controlplane::{
    policy::{Imported, Policy, PolicyFile},
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
         tasks_up_cooldown = \"1500ms\"\nallow_scale_down = false\n[[guard.freeze]]\nname = \"peak day\"\n\
         from = 2026-11-27T00:00:00+01:00\nto = \"2026-11-28T00:00:00Z\"\ndirection = \"down\"\n[[schedule]]\nname = \"office\"\n\
         cron = \"30 7 * * MON-FRI\"\ntime_zone = \"Europe/Berlin\"\nduration = \"11h\"\nmin_consumers = 3",
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
    assert_eq!(stream["target_utilization"]["default"], "80 %");
    assert_eq!(schema["properties"]["producer"]["properties"]["target_records"]["anyOf"][0]["const"], "off");
    let printed: toml::Table = Policy::default().to_toml().parse().unwrap();
    assert_eq!(schema["properties"]["schedule"]["items"]["required"], serde_json::json!(["name", "cron"]));
    let freeze = &schema["properties"]["pipeline"]["items"]["properties"]["guard"]["properties"]["freeze"];
    assert_eq!(freeze["items"]["properties"]["direction"]["enum"][0], "up");
    for (table, keys) in printed.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
        for key in keys.keys() {
            let described = &schema["properties"][table]["properties"][key]["description"];
            assert!(described.as_str().is_some_and(|text| text.contains("Allowed")), "{table}.{key}");
        }
    }
}

#[test]
fn a_pipeline_has_what_the_file_says_and_what_it_says_itself() {
    let file = PolicyFile::parse(
        "version = 1\n[stream]\nmax_shards = 8\n[[schedule]]\nname = \"office\"\ncron = \"0 8 * * MON-FRI\"\nmin_shards = 4\n\
         [[pipeline]]\nname = \"orders\"\nstream_name = \"orders-v2\"\n[pipeline.stream]\nmin_shards = 2\n\
         [[pipeline]]\nname = \"clicks\"\nstream_name = \"clicks\"\nschedule = []\n",
    )
    .unwrap();
    let [orders, clicks] = &file.pipelines[..] else { panic!("{:?}", file.pipelines) };
    assert_eq!(
        (&*orders.stream, orders.policy.stream.min_shards.0, orders.policy.stream.max_shards.0),
        ("orders-v2", 2, 8)
    );
    assert_eq!((orders.policy.schedules.len(), clicks.policy.schedules.len()), (1, 0));
    assert_eq!((file.policy.stream.min_shards.0, clicks.policy.stream.min_shards.0), (1, 1));
    assert_eq!(PolicyFile::parse(&file.to_toml()), Ok(file));
}

#[test]
fn a_key_that_is_nearly_right_is_guessed() {
    let guess = |text: &str, meant: &str| {
        let error = error(&format!("version = 1\n{text}"));
        assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
    };
    guess("[stream]\nmin_shard = 1", "min_shards");
    guess("[streams]\nmin_shards = 1", "stream");
    guess("[guard]\ndryrun = true", "dry_run");
    assert!(!error("version = 1\n[guard]\nbananas = true").contains("did you mean"));
}

#[test]
fn the_demo_policy_is_a_policy() {
    let policy = Policy::parse(include_str!("../examples/policy-demo.toml")).unwrap();
    assert!(policy.guard.shards_stabilization < Policy::default().guard.shards_stabilization);
}

/// What the sample told its autoscaler, and a second stream with what it did not use.
const SCALING_UTILS: &str = r#"[
  {"streamName": "sample", "region": "us-east-1", "scaleOnOperation": ["PUT", "GET"], "minShards": 1, "maxShards": 16,
   "refreshShardsNumberAfterMin": 5,
   "scaleUp": {"scaleThresholdPct": 75, "scaleAfterMins": 1, "scaleCount": 2},
   "scaleDown": {"scaleThresholdPct": 25, "scaleAfterMins": 1, "scaleCount": 1, "coolOffMins": 1}},
  {"streamName": "clicks", "minShards": "2", "maxShards": 8, "checkInterval": 60,
   "scaleUp": {"scaleThresholdPct": 99, "scaleAfterMins": 5, "scalePct": 150, "coolOffMins": 15, "notificationARN": "arn"}}
]"#;

#[test]
fn a_configuration_of_the_scaling_utils_becomes_pipelines_and_says_what_it_loses() {
    let imported = Imported::from_scaling_utils(SCALING_UTILS).unwrap();
    let file = PolicyFile::parse(&imported.text).unwrap();
    assert_eq!(file.pipelines.iter().map(|pipeline| &*pipeline.stream).collect::<Vec<_>>(), ["sample", "clicks"]);
    let left: Vec<_> = imported.left_out.iter().map(|left| format!("{}: {}", left.key, left.why)).collect();
    insta::assert_snapshot!(format!("{}\n{}", imported.text, left.join("\n")));
}

#[test]
fn one_stream_of_the_scaling_utils_becomes_the_deployment_s_own_policy() {
    let imported = Imported::from_scaling_utils(r#"[{"streamName": "orders", "maxShards": 6}]"#).unwrap();
    assert_eq!(Policy::parse(&imported.text).unwrap().stream.max_shards, ShardCount(6));
    assert_eq!(imported.left_out, []);
}

#[test]
fn what_is_no_configuration_of_the_scaling_utils_is_refused() {
    for (json, said) in [
        ("[", "no JSON"),
        ("7", "no list"),
        ("[7]", "no list"),
        ("[{}]", "entry 1 has no streamName"),
        (r#"[{"streamName": "a", "minShards": "many"}]"#, "a: minShards is no whole number"),
        (r#"[{"streamName": "a", "minShards": 9, "maxShards": 3}]"#, "min_shards (9) is more than max_shards (3)"),
    ] {
        let error = Imported::from_scaling_utils(json).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A name for the case, and the text of the policy.
const MISTAKES: [(&str, &str); 31] = [
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
    ("a_direction_that_is_none", "version = 1\n[[guard.freeze]]\nname = \"x\"\ndirection = \"sideways\""),
    ("a_freeze_without_a_time", "version = 1\n[[guard.freeze]]\nname = \"peak day\""),
    (
        "a_freeze_that_ends_before_it_begins",
        "version = 1\n[[guard.freeze]]\nname = \"x\"\nfrom = 2026-11-28T00:00:00Z\nto = 2026-11-27T00:00:00Z",
    ),
    ("a_time_without_an_offset", "version = 1\n[[guard.freeze]]\nname = \"x\"\nfrom = 2026-11-28T00:00:00"),
    ("a_schedule_as_a_table", "version = 1\n[schedule]\nname = \"x\""),
    ("a_schedule_without_a_cron", "version = 1\n[[schedule]]\nname = \"x\"\nmin_shards = 2"),
    ("a_cron_of_six_fields", "version = 1\n[[schedule]]\nname = \"x\"\ncron = \"0 8 * * * UTC\""),
    (
        "a_time_zone_that_is_none",
        "version = 1\n[[schedule]]\nname = \"x\"\ncron = \"0 8 * * *\"\ntime_zone = \"Berlin\"",
    ),
    (
        "a_floor_above_the_cap",
        "version = 1\n[stream]\nmax_shards = 4\n[[schedule]]\nname = \"x\"\ncron = \"0 8 * * *\"\nmin_shards = 5",
    ),
    ("a_schedule_that_asks_for_nothing", "version = 1\n[[schedule]]\nname = \"x\"\ncron = \"0 8 * * *\""),
    (
        "two_schedules_of_one_name",
        "version = 1\n[[schedule]]\nname = \"x\"\ncron = \"0 8 * * *\"\nmin_shards = 2\n[[schedule]]\nname = \"x\"\ncron = \"0 9 * * *\"\nmin_shards = 2",
    ),
    ("a_pipeline_without_a_stream", "version = 1\n[[pipeline]]\nname = \"orders\""),
    (
        "a_key_in_a_table_of_a_pipeline",
        "version = 1\n[[pipeline]]\nname = \"orders\"\nstream_name = \"orders\"\n[pipeline.consumer]\nmax_task = 3",
    ),
    (
        "a_pipeline_against_the_default",
        "version = 1\n[stream]\nmin_shards = 4\n[[pipeline]]\nname = \"orders\"\nstream_name = \"orders\"\n[pipeline.stream]\nmax_shards = 3",
    ),
    (
        "two_pipelines_of_one_stream",
        "version = 1\n[[pipeline]]\nname = \"a\"\nstream_name = \"orders\"\n[[pipeline]]\nname = \"b\"\nstream_name = \"orders\"",
    ),
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
    assert!(error(&long).contains("longer than 256 KiB"));
}
