//! `ctl simulate` from the outside: what it prints is enough to check it.

use assert_cmd::Command;
use controlplane::simulate::{Minute, Physics, Score, Terms, Timeline, prices::Prices};
use serde_json::Value;

fn ctl(command: &str, arguments: &[&str]) -> Command {
    let state = std::env::temp_dir();
    let mut ctl = Command::new(env!("CARGO_BIN_EXE_ctl"));
    ctl.env_clear().env("HOME", &state).env("WEIR_STATE_DIR", &state).arg(command).args(arguments);
    ctl
}

fn simulate(arguments: &[&str]) -> Command {
    ctl("simulate", arguments)
}

fn stdout(arguments: &[&str]) -> String {
    let assert = simulate(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8")
}

/// The timeline of a policy's typical seed, and what was said of it.
fn check(document: &Value, policy: &Value) {
    let minutes: Vec<Minute> = serde_json::from_value(policy["timeline"].clone()).expect("a timeline");
    let on_demand = policy["on_demand"].as_bool().expect("a mode");
    let fan_out = policy["fan_out"].as_bool().expect("how it reads");
    let timeline = Timeline { on_demand, fan_out, minutes };
    let terms = Terms {
        lag_objective_s: document["lag_objective_s"].as_f64().expect("an objective"),
        prices: serde_json::from_value::<Prices>(document["prices"].clone()).expect("prices"),
        physics: serde_json::from_value::<Physics>(document["physics"].clone()).expect("constants"),
    };
    let seed = policy["timeline_seed"].as_u64().expect("a seed") as usize;
    let said: Score = serde_json::from_value(policy["seeds"][seed - 1].clone()).expect("a score");
    let recomputed = Score::of(&timeline, &terms);
    for ((name, said), recomputed) in Score::NAMES.iter().zip(said.values()).zip(recomputed.values()) {
        assert!((said - recomputed).abs() <= 1e-9 * said.abs().max(1.0), "{name}: {said} and not {recomputed}");
    }
}

#[test]
fn every_score_follows_from_the_timeline_that_is_written_out() {
    let arguments =
        ["--shape", "step", "--days", "1", "--seeds", "2", "--rivals", "substation,on-demand", "--output", "json"];
    let document: Value = serde_json::from_str(&stdout(&arguments)).expect("JSON");
    let policies = document["policies"].as_array().expect("policies");
    let names: Vec<_> = policies.iter().map(|policy| policy["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["weir", "optimum", "substation", "on-demand"]);
    assert!(policies[0]["optimum_shard_hours"].as_f64() <= policies[0]["shard_hours"].as_f64());
    let frontier = document["frontier"].as_array().expect("a frontier");
    assert!(frontier.iter().all(|point| point["shard_hours"].is_f64() && point["throttled_pct"].is_f64()));
    assert!(frontier.len() > 1);
    for policy in policies {
        check(&document, policy);
        let medians = Score::NAMES.iter().map(|name| policy[*name].as_f64().expect("a number"));
        assert!(medians.sum::<f64>().is_finite());
    }
    let first = &policies[0]["timeline"][0];
    for key in ["minute", "demand_shards", "shards", "throttled_records", "lag_s", "tasks", "actions"] {
        assert!(first.get(key).is_some(), "{key} in {first}");
    }
}

/// The changes of the shard count that AWS took: their seconds, and whether they went up.
fn changes(timeline: &[Value]) -> Vec<(u64, bool)> {
    let calls = timeline.iter().flat_map(|minute| minute["actions"].as_array().expect("actions"));
    let reshards = ["update_shard_count", "split_shard", "merge_shards"];
    let taken = calls.filter(|call| {
        reshards.contains(&call["call"].as_str().expect("a call"))
            && call.get("error").is_none_or(|error| error == "Unknown")
    });
    taken.map(|call| (call["at_s"].as_u64().expect("a second"), call["to"].as_u64() > call["from"].as_u64())).collect()
}

/// Nothing of ours is used here but the document: whoever has only that comes to the same numbers.
#[test]
fn a_stranger_recomputes_the_score_from_the_timeline() {
    let arguments = ["--shape", "flash-crowd", "--days", "2", "--seeds", "1", "--output", "json"];
    let rivals = ["--rivals", "substation,sample-as-shipped"];
    let document: Value = serde_json::from_str(&stdout(&[&arguments[..], &rivals].concat())).expect("JSON");
    for policy in document["policies"].as_array().expect("policies") {
        let timeline = policy["timeline"].as_array().expect("a timeline");
        let sum = |key: &str| timeline.iter().map(|minute| minute[key].as_f64().expect("a number")).sum::<f64>();
        let changes = changes(timeline);
        let day = |last: u64| changes.iter().filter(|(at, _)| *at <= last && last < at + 86_400).count();
        let turns = changes.windows(2).filter(|pair| pair[0].1 != pair[1].1 && pair[1].0 - pair[0].0 < 3_600);
        let recomputed = [
            ("throttled_pct", 100.0 * sum("throttled_records") / sum("records")),
            ("lost_pct", 100.0 * sum("lost_records") / sum("records")),
            ("shard_hours", sum("shards") / 60.0),
            ("task_hours", sum("tasks") / 60.0),
            ("calls", changes.len() as f64),
            ("calls_max_24h", changes.iter().map(|(at, _)| day(*at)).max().unwrap_or_default() as f64),
            ("reversals", turns.count() as f64),
        ];
        for (name, value) in recomputed {
            let said = policy[name].as_f64().expect("a number");
            assert!((said - value).abs() <= 1e-6 * value.max(1.0), "{} {name}: {said} and not {value}", policy["name"]);
        }
    }
}

#[test]
fn keys_several_traces_and_naive_clients_make_another_world() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, high: bool| {
        let count = |minute: usize| if (minute % 60 < 30) == high { 900 } else { 100 };
        let path = folder.path().join(name);
        std::fs::write(&path, (0..240).map(|minute| format!("{}\n", count(minute))).collect::<String>())
            .expect("a trace");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (one, other) = (write("one.csv", true), write("other.csv", false));
    let run = |more: &[&str]| -> Value {
        let fixed = ["--trace", &one, "--seeds", "1", "--output", "json"];
        serde_json::from_str(&stdout(&[&fixed[..], more].concat())).expect("JSON")
    };
    let throttled = |document: &Value| document["policies"][0]["throttled_pct"].as_f64().expect("a number");
    let usual = run(&[]);
    assert_eq!(usual["keys"], "uniform");
    let hot = run(&["--keys", "hot=0.5"]);
    assert_eq!(hot["keys"], "hot=0.5");
    assert!(throttled(&hot) > throttled(&usual), "no split helps a key that fills several shards");
    // Their sum is even; only where it lies moves, from one half of the range to the other.
    let both = run(&["--trace", &other]);
    let demand = |minute: usize| both["policies"][0]["timeline"][minute]["demand_shards"].as_f64().expect("a number");
    assert!((demand(10) - demand(40)).abs() < 1e-6, "{} {}", demand(10), demand(40));
    let even = run(&["--trace", &other, "--keys", "uniform"]);
    assert!(throttled(&both) > throttled(&even), "{} {}", throttled(&both), throttled(&even));
    let naive = run(&["--clients", "naive"]);
    let lost = naive["policies"][0]["lost_pct"].as_f64().expect("a number");
    assert!((lost - throttled(&naive)).abs() < 1e-3 && lost > 0.0, "what is refused is lost: {lost}");
}

#[test]
fn the_same_command_prints_the_same_table() {
    let arguments = ["--shape", "flash-crowd", "--days", "1", "--seeds", "1", "--faults", "api-throttled,drift"];
    let table = stdout(&arguments);
    assert!(table.contains("weir"), "{table}");
    assert!(table.starts_with("flash-crowd: 1.0 days from 1970-01-01T00:00:00Z; "), "{table}");
    assert_eq!(table, stdout(&arguments));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = stdout(&["--shape", "square", "--days", "1", "--seeds", "1", "--output", "html"]);
    assert!(page.starts_with("<!doctype html>"));
    assert!(!page.contains("\"the data\"") && page.contains("\"demand\":["));
    for reference in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn mistakes_are_answered_with_what_is_allowed() {
    let complaint = |arguments: &[&str]| {
        let assert = simulate(arguments).assert().code(2).stdout("");
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    };
    assert!(complaint(&["--days", "1"]).contains("--trace"));
    assert!(complaint(&["--shape", "circle"]).contains("flash-crowd"));
    assert!(complaint(&["--shape", "step", "--faults", "rain"]).contains("metrics-delayed"));
    assert!(complaint(&["--shape", "step", "--keys", "warm"]).contains("zipf=1.1"));
    assert!(complaint(&["--shape", "step", "--scale", "12"]).contains("peak=12shards"));
    assert!(complaint(&["--shape", "step", "--rivals", "nobody"]).contains("substation"));
    assert!(complaint(&["--trace", "/nowhere.csv"]).contains("/nowhere.csv"));
}

#[test]
fn a_recommendation_is_a_policy_that_ctl_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trace, policy) = (folder.path().join("load.csv"), folder.path().join("policy.toml"));
    let minutes = (0..90).map(|minute| if minute % 30 < 20 { "100\n" } else { "900\n" });
    std::fs::write(&trace, minutes.collect::<String>()).expect("a trace");
    let trace = trace.to_str().expect("UTF-8");
    let assert = ctl("recommend", &["--trace", trace, "--prefer", "safety", "--seeds", "1"]).assert().success();
    let text = String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8");
    assert!(text.contains("version = 1") && text.contains("before"), "{text}");
    std::fs::write(&policy, text).expect("a policy");
    let policy = policy.to_str().expect("UTF-8");
    simulate(&["--trace", trace, "--policy", policy, "--seeds", "1"]).assert().success();
}
