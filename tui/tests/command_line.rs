//! The command line without a deployment: help, usage errors, exit codes, what goes to which output.

use std::path::Path;

use assert_cmd::Command;

fn ctl(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl"));
    command.env_clear().env("WEIR_STATE_DIR", state).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("HOME", state).env("AWS_REGION", "eu-central-1").env("PATH", "/usr/bin:/bin");
    command
}

fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8")
}

/// What a command that fails with `code` says, and that it prints no data.
fn complaint(command: &mut Command, code: i32) -> String {
    let assert = command.assert().code(code).stdout("");
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

#[test]
fn the_help_lists_the_commands_with_examples_and_exit_codes() {
    let state = state();
    let help = stdout(ctl(state.path()).arg("--help"));
    assert!(!help.contains("role"), "what only localcloud runs is not for people");
    insta::assert_snapshot!(help);
}

#[test]
fn every_command_has_examples_in_its_help() {
    let state = state();
    let commands = [
        "up",
        "down",
        "top",
        "send",
        "tail",
        "logs",
        "status",
        "explain",
        "policy",
        "schema",
        "simulate",
        "recommend",
        "pause",
        "resume",
        "teardown",
        "localcloud",
    ];
    let actions = ["show", "validate", "diff", "apply", "edit", "history", "rollback", "import", "schema"];
    let actions = actions.map(|action| vec!["policy", action]);
    for command in commands.map(|command| vec![command]).into_iter().chain(actions) {
        let help = stdout(ctl(state.path()).args(&command).arg("--help"));
        assert!(help.contains("Examples:"), "{command:?}: {help}");
    }
}

#[test]
fn a_deployment_to_aws_needs_images_and_one_to_this_machine_takes_none() {
    let (state, elsewhere) = (state(), ["up", "--endpoint-url", "http://127.0.0.1:9"]);
    let none = complaint(ctl(state.path()).args(elsewhere), 2);
    assert!(none.contains("no image of the producer") && none.contains("--executables DIR"), "{none}");

    let digest = format!("producer=weir@sha256:{}", "0".repeat(64));
    let one = complaint(ctl(state.path()).args(elsewhere).args(["--image", &digest]), 2);
    assert!(one.contains("no image of the consumer"), "{one}");

    let empty = complaint(ctl(state.path()).args(elsewhere).arg("--executables").arg(state.path()), 2);
    assert!(empty.contains("producer: No such file"), "{empty}");

    let here = complaint(ctl(state.path()).args(["up", "--image", &digest]), 2);
    assert!(here.contains("--aws"), "{here}");
}

#[test]
fn a_script_is_no_program_of_a_task() {
    let (state, folder) = (state(), state());
    for role in ["producer", "consumer", "controlplane"] {
        std::fs::write(folder.path().join(role), "#!/bin/sh\n").expect("written");
    }
    let certificates = folder.path().join("producer");
    let mut command = ctl(state.path());
    command.args(["up", "--endpoint-url", "http://127.0.0.1:9", "--executables"]).arg(folder.path());
    let refusal = complaint(command.arg("--certificates").arg(certificates), 1);
    assert!(refusal.contains("producer cannot be the program of a task") && refusal.contains("musl"), "{refusal}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    let state = state();
    let wrong: [&[&str]; 12] = [
        &["fly"],
        &["up", "--set", "Nothing=1"],
        &["up", "--set", "Processor"],
        &["up", "--image", "producer=weir:latest"],
        &["send"],
        &["send", "--rate", "-1"],
        &["logs", "nobody"],
        &["pause", "--for", "2h"],
        &["pause", "--reason", "none", "--for", "0s"],
        &["policy", "rollback", "-1"],
        &["status", "--output", "xml"],
        &["status", "--name", "Not_A_Name"],
    ];
    for arguments in wrong {
        complaint(ctl(state.path()).args(arguments), 2);
    }
}

#[test]
fn stopping_what_does_not_run_is_done() {
    let state = state();
    for _ in 0..2 {
        complaint(ctl(state.path()).arg("down"), 0);
    }
}

#[test]
fn without_a_deployment_and_without_credentials_there_is_a_hint() {
    let state = state();
    let stderr = complaint(ctl(state.path()).arg("status"), 1);
    assert!(stderr.starts_with("error: no deployment weir runs on this machine"), "{stderr}");
    assert!(stderr.contains("\nhint: `ctl up` starts one here"), "{stderr}");
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
}

#[test]
fn the_live_view_refuses_what_is_not_a_terminal() {
    let state = state();
    let stderr = complaint(ctl(state.path()).args(["top", "--endpoint-url", "http://127.0.0.1:9"]), 1);
    assert!(stderr.contains("hint: `ctl status --output json`"), "{stderr}");
}

#[test]
fn a_wrong_policy_is_shown_with_its_line_and_a_caret() {
    let state = state();
    let file = state.path().join("policy.toml");
    std::fs::write(&file, "version = 1\n[stream]\nmax_shard = 3\n").expect("written");
    let stderr = complaint(ctl(state.path()).args(["policy", "validate"]).arg(&file), 2);
    assert!(stderr.contains("3 | max_shard = 3") && stderr.contains('^'), "{stderr}");
    std::fs::write(&file, "version = 1\n").expect("written");
    complaint(ctl(state.path()).args(["policy", "validate"]).arg(&file), 0);
}

#[test]
fn the_schema_of_policies_is_one_json_document() {
    let state = state();
    let schema = stdout(ctl(state.path()).args(["policy", "schema"]));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("one JSON document");
    assert!(schema["properties"]["consumer"]["properties"]["min_tasks"].is_object(), "{schema}");
}

#[test]
fn each_document_has_a_schema_that_says_its_version() {
    let state = state();
    for name in ["decision", "status"] {
        let schema: serde_json::Value =
            serde_json::from_str(&stdout(ctl(state.path()).args(["schema", name]))).expect("JSON");
        assert_eq!(schema["title"], format!("Weir {name}, version 1"));
        assert!(schema["properties"]["version"].is_object(), "{name}");
    }
    let policy = stdout(ctl(state.path()).args(["schema", "policy"]));
    assert_eq!(policy, stdout(ctl(state.path()).args(["policy", "schema"])));
}

#[test]
fn an_imported_configuration_is_a_policy_and_says_what_it_could_not_carry_over() {
    let state = state();
    let file = state.path().join("scaling-utils.json");
    let configuration = r#"[{"streamName": "orders", "maxShards": 6, "checkInterval": 45,
        "scaleUp": {"scaleThresholdPct": 75, "scaleAfterMins": 5, "scaleCount": 1}}]"#;
    std::fs::write(&file, configuration).unwrap();
    let assert = ctl(state.path()).args(["policy", "import"]).arg(&file).assert().code(0);
    let output = assert.get_output();
    assert!(String::from_utf8_lossy(&output.stdout).contains("max_shards = 6"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("orders: scaleUp.scaleCount") && said.contains("orders: checkInterval"), "{said}");
    std::fs::write(&file, "{}").unwrap();
    let complaint = complaint(ctl(state.path()).args(["policy", "import"]).arg(&file), 2);
    assert!(complaint.contains("entry 1 has no streamName"), "{complaint}");
}

#[test]
fn the_endpoint_can_be_chosen_in_one_way_only() {
    let state = state();
    let stderr = complaint(ctl(state.path()).args(["status", "--aws", "--endpoint-url", "http://127.0.0.1:9"]), 2);
    assert!(stderr.contains("unset AWS_ENDPOINT_URL"), "{stderr}");
    complaint(ctl(state.path()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").arg("up"), 2);
}
