//! The real system on this machine, started, loaded, hurt, removed and stopped as a person would.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::Credentials;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// For a condition to come true on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sample's record.
const SAMPLE: &str = "2000-00-00 00:00:00 INFO HelloExample:1 - This is our load testing record";

/// A deployment of its own, which is stopped at the end whatever happens.
struct System {
    state: tempfile::TempDir,
    endpoint_url: String,
    ingest_url: String,
    pid: i32,
}

impl System {
    fn start() -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let arguments = ["up", "--detach", "--output", "json", "--endpoint-port", "0", "--ingest-port", "0"];
        let ready = succeed(ctl(state.path()).args(arguments));
        let text = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {ready}")).to_owned();
        assert_eq!((text("name"), text("region")), ("weir".to_owned(), "eu-central-1".to_owned()));
        let pid = ready["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process id");
        Self { endpoint_url: text("endpoint_url"), ingest_url: text("ingest_url"), pid, state }
    }

    fn ctl(&self, arguments: &[&str]) -> Command {
        let mut command = ctl(self.state.path());
        command.args(arguments);
        command
    }

    /// What a command prints, line by line.
    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.ctl(arguments).output().expect("ctl starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    /// The data of every record that the consumers have processed.
    fn processed(&self) -> Vec<String> {
        let lines = self.lines(&["logs", "consumer", "--no-follow"]);
        lines.iter().map(|line| data(line)).collect()
    }

    fn status(&self) -> Value {
        succeed(&mut self.ctl(&["status", "--output", "json"]))
    }

    /// The processes of a role's tasks.
    fn tasks(&self, role: &str) -> BTreeSet<i32> {
        let pattern = format!("role {role}$");
        let listed = Command::new("pgrep").args(["-P", &self.pid.to_string(), "-f", &pattern]).output();
        let listed = String::from_utf8(listed.expect("pgrep runs").stdout).expect("UTF-8");
        listed.lines().filter_map(|line| line.parse().ok()).collect()
    }

    async fn sdk(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::v2026_01_12())
            .endpoint_url(&self.endpoint_url)
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let stopped = ctl(self.state.path()).arg("down").status();
        if !std::thread::panicking() {
            assert!(stopped.is_ok_and(|status| status.success()));
        }
    }
}

fn ctl(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl"));
    command.env("WEIR_STATE_DIR", state).env_remove("AWS_ENDPOINT_URL").env_remove("WEIR_NAME").stdin(Stdio::null());
    command
}

/// Runs a command that prints one JSON document and succeeds.
fn succeed(command: &mut Command) -> Value {
    let Output { status, stdout, stderr } = command.output().expect("ctl starts");
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).expect("one JSON document")
}

fn data(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    record["data"].as_str().unwrap_or_else(|| panic!("no data in {line}")).to_owned()
}

fn multiset(lines: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// Looks until something is there; every look is a command of some milliseconds, so that nothing spins.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never saw {what}"))
}

/// The sample's request, byte for byte what curl sends of it.
fn post_sample(url: &str) -> String {
    let address = url.trim_start_matches("http://");
    let body = format!("{{\"data\":\"{SAMPLE}\"}}");
    let mut connection = TcpStream::connect(address).expect("the load balancer listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        connection,
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

fn log_files(state: &Path) -> Vec<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/logs");
    match std::fs::read_dir(&shared) {
        Ok(files) => {
            let files = files.flatten().map(|file| file.path());
            files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
        }
        Err(_) => {
            eprintln!("{} is not there: made-up lines are sent instead", shared.display());
            let file = state.join("made-up.log");
            let lines: String = (0..2_000).map(|line| format!("line {} \"q\" [x] ü\r\n", line / 2)).collect();
            std::fs::write(&file, lines + "the last without an end").expect("written");
            vec![file]
        }
    }
}

fn lines_of(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).expect("readable").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_stores_processes_survives_and_goes() {
    let system = System::start();
    the_samples_call_stores_a_record(&system);
    every_line_of_a_file_is_processed(&system).await;
    for role in ["consumer", "producer"] {
        a_killed_task_is_replaced_and_nothing_is_lost(&system, role).await;
    }
    a_policy_is_in_force_with_the_next_tick_and_taken_back(&system).await;
    a_pause_stands_until_it_is_ended(&system).await;
    a_teardown_removes_everything_and_nothing_else(&system).await;
    everything_stops(system);
}

fn the_samples_call_stores_a_record(system: &System) {
    let answer = post_sample(&system.ingest_url);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let records = system.lines(&["tail", "--no-follow"]);
    assert_eq!(records.iter().map(|line| data(line)).collect::<Vec<_>>(), [SAMPLE]);
}

async fn every_line_of_a_file_is_processed(system: &System) {
    let mut sent = vec![SAMPLE.to_owned()];
    for file in log_files(system.state.path()) {
        let lines = lines_of(&file);
        let path = file.to_str().expect("UTF-8");
        let summary = succeed(&mut system.ctl(&["send", "--output", "json", "--file", path]));
        assert_eq!(summary["stored"], lines.len(), "{summary}");
        sent.extend(lines);
    }
    let count = sent.len();
    let processed = eventually("all lines", || Some(system.processed()).filter(|lines| lines.len() >= count)).await;
    assert!(multiset(processed) == multiset(sent), "what was processed is not what was sent");
}

async fn a_killed_task_is_replaced_and_nothing_is_lost(system: &System, role: &str) {
    let size = if role == "consumer" { "150" } else { "160" };
    let before = system.tasks(role);
    let mut sending = system.ctl(&["send", "--output", "json", "--rate", "500", "--for", "6s", "--size", size]);
    let sending = sending.stdout(Stdio::piped()).spawn().expect("ctl starts");
    let bytes: usize = size.parse().expect("a number");
    let of_this_load = |system: &System| {
        let mine = system.processed().into_iter().filter(|data| data.len() == bytes);
        mine.filter_map(|data| data.get(..12)?.parse::<u64>().ok()).collect::<BTreeSet<_>>()
    };
    eventually("the load's first records", || (!of_this_load(system).is_empty()).then_some(())).await;
    let victim = *before.first().unwrap_or_else(|| panic!("no {role} runs"));
    kill(Pid::from_raw(victim), Signal::SIGKILL).expect("killed");
    eventually("a replacement", || system.tasks(role).difference(&before).next().copied()).await;
    let summary = sending.wait_with_output().expect("it ends");
    let summary: Value = serde_json::from_slice(&summary.stdout).expect("one JSON document");
    let sent = summary["sent"].as_u64().expect("a count");
    assert_eq!((&summary["stored"], &summary["failed"]), (&Value::from(sent), &Value::from(0)), "{summary}");
    eventually("every stored record", || (of_this_load(system).len() as u64 == sent).then_some(())).await;
}

async fn a_policy_is_in_force_with_the_next_tick_and_taken_back(system: &System) {
    let file = system.state.path().join("policy.toml");
    let path = file.to_str().expect("UTF-8");
    std::fs::write(&file, "version = 1\n[consumer]\nmin_tusks = 2\n").expect("written");
    let refused = system.ctl(&["policy", "apply", path]).output().expect("ctl starts");
    assert_eq!(refused.status.code(), Some(2), "a wrong file is applied");
    assert_eq!(succeed(&mut system.ctl(&["policy", "show", "--output", "json"]))["generation"], 0);
    std::fs::write(&file, "version = 1\n[consumer]\nmin_tasks = 2\n").expect("written");
    let diff = succeed(&mut system.ctl(&["policy", "diff", path, "--output", "json"]));
    let applied = succeed(&mut system.ctl(&["policy", "apply", path, "--output", "json"]));
    assert_eq!((&applied["generation"], &applied["changes"]), (&Value::from(1), &diff["changes"]));
    eventually("two consumers", || (system.tasks("consumer").len() >= 2).then_some(())).await;
    assert_eq!(system.status()["observed_generation"], 1);
    for (generation, change) in [("0", "2 -> 1"), ("1", "1 -> 2")] {
        let back = succeed(&mut system.ctl(&["policy", "rollback", generation, "--output", "json"]));
        assert_eq!(back["changes"][0], format!("consumer.min_tasks: {change}"), "{back}");
    }
    let history = succeed(&mut system.ctl(&["policy", "history", "--output", "json"]));
    assert_eq!(history["policies"].as_array().map(Vec::len), Some(3), "{history}");
}

async fn a_pause_stands_until_it_is_ended(system: &System) {
    succeed(&mut system.ctl(&["pause", "in", "--for", "1h", "--reason", "a sale", "--output", "json"]));
    let pause = &system.status()["pause"];
    assert_eq!((&pause["scope"], &pause["reason"]), (&Value::from("in"), &Value::from("a sale")));
    let is_paused = |status: &Value| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Paused" && condition["status"] == true)
    };
    eventually("the pause in the conditions", || is_paused(&system.status()).then_some(())).await;
    for was_paused in [true, false] {
        let resumed = succeed(&mut system.ctl(&["resume", "--output", "json"]));
        assert_eq!(resumed["was_paused"], was_paused);
    }
    assert!(system.status()["pause"].is_null());
}

async fn a_teardown_removes_everything_and_nothing_else(system: &System) {
    let sdk = system.sdk().await;
    let foreign = Foreign::create(&sdk).await;
    let inventory = succeed(&mut system.ctl(&["teardown", "--dry-run", "--output", "json"]));
    let resources = inventory["resources"].as_array().expect("a list");
    for kind in ["AWS::Kinesis::Stream", "AWS::ECS::Service", "AWS::ECR::Repository", "AWS::DynamoDB::Table"] {
        assert!(resources.iter().any(|resource| resource["type"] == kind), "no {kind} in {inventory}");
    }
    assert!(resources.iter().all(|resource| resource["id"].is_string()), "{inventory}");
    let refused = system.ctl(&["teardown"]).output().expect("ctl starts");
    assert_eq!(refused.status.code(), Some(4), "without a terminal and without --yes nothing may go");
    let report = succeed(&mut system.ctl(&["teardown", "--yes", "--output", "json"]));
    assert_eq!(report["leftovers"], Value::Array(Vec::new()), "{report}");
    let after = succeed(&mut system.ctl(&["teardown", "--dry-run", "--output", "json"]));
    assert_eq!(after["resources"], Value::Array(Vec::new()), "{after}");
    foreign.assert_untouched().await;
    let gone = system.ctl(&["status"]).output().expect("ctl starts");
    let stderr = String::from_utf8_lossy(&gone.stderr);
    assert!(stderr.starts_with("error: there is no deployment weir") && stderr.contains("\nhint: "), "{stderr}");
}

/// What somebody else has in the same account and region.
struct Foreign {
    kinesis: aws_sdk_kinesis::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    ecr: aws_sdk_ecr::Client,
}

impl Foreign {
    const NAME: &str = "somebody-elses";

    async fn create(sdk: &SdkConfig) -> Self {
        use aws_sdk_dynamodb::types::{
            AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        };
        let foreign = Self {
            kinesis: aws_sdk_kinesis::Client::new(sdk),
            dynamodb: aws_sdk_dynamodb::Client::new(sdk),
            ecr: aws_sdk_ecr::Client::new(sdk),
        };
        foreign.kinesis.create_stream().stream_name(Self::NAME).shard_count(1).send().await.expect("a stream");
        let attribute = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
        let table = foreign.dynamodb.create_table().table_name(Self::NAME).billing_mode(BillingMode::PayPerRequest);
        let table = table.attribute_definitions(attribute.build().expect("whole"));
        table.key_schema(key.build().expect("whole")).send().await.expect("a table");
        foreign.ecr.create_repository().repository_name(Self::NAME).send().await.expect("a repository");
        foreign
    }

    async fn assert_untouched(&self) {
        self.kinesis.describe_stream_summary().stream_name(Self::NAME).send().await.expect("the stream");
        self.dynamodb.describe_table().table_name(Self::NAME).send().await.expect("the table");
        self.ecr.describe_repositories().repository_names(Self::NAME).send().await.expect("the repository");
    }
}

fn everything_stops(system: System) {
    let (pid, urls) = (system.pid, [system.endpoint_url.clone(), system.ingest_url.clone()]);
    drop(system);
    let children = Command::new("pgrep").args(["-P", &pid.to_string()]).output().expect("pgrep runs");
    assert_eq!(String::from_utf8_lossy(&children.stdout), "", "tasks are left");
    // An orphan stays a zombie until somebody takes its exit code: it is gone all the same.
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    assert!(state.is_empty() || state.starts_with('Z'), "localcloud is left in state {state}");
    for url in urls {
        let address = url.trim_start_matches("http://");
        assert!(TcpStream::connect(address).is_err(), "{address} is still open");
    }
}

/// The digest-pinned images that `ctl up` has pushed for a deployment.
async fn image_arguments(system: &System) -> Vec<String> {
    let ecr = aws_sdk_ecr::Client::new(&system.sdk().await);
    let mut arguments = Vec::new();
    for role in ["producer", "consumer", "controlplane"] {
        let repository = format!("weir/{role}");
        let described = ecr.describe_repositories().repository_names(&repository).send().await.expect("the repository");
        let uri = described.repositories()[0].repository_uri().expect("a URI");
        let images = ecr.describe_images().repository_name(&repository).send().await.expect("the images");
        let digest = images.image_details()[0].image_digest().expect("a digest");
        arguments.extend(["--image".to_owned(), format!("{role}={uri}@{digest}")]);
    }
    arguments
}

/// As on AWS: the stack goes to an endpoint that is there already, with images of a registry, and stays.
#[tokio::test]
async fn a_deployment_elsewhere_is_created_changed_and_removed() {
    const TOKEN_DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let system = System::start();
    let images = image_arguments(&system).await;
    let elsewhere = ["--endpoint-url", &system.endpoint_url, "--name", "second"];
    let up = |settings: &[&str]| {
        let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let mut command = system.ctl(&["up", "--detach", "--output", "json"]);
        command.args(elsewhere).args(&images).args(settings);
        command
    };
    let nobody = up(&[]).output().expect("ctl starts");
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("AllowedCidr"), "{nobody:?}");

    let first = succeed(&mut up(&["AllowedCidr=127.0.0.0/8", "Tick=1s"]));
    let url = first["ingest_url"].as_str().expect("a URL");
    let send = |arguments: &[&str]| {
        let mut command = system.ctl(&["send", "--rate", "10", "--for", "1s", "--url", url, "--output", "json"]);
        command.args(arguments);
        command
    };
    assert_eq!(succeed(&mut send(&[]))["stored"], 10);

    let tokens = format!("Tokens=alice={TOKEN_DIGEST}");
    let second = succeed(&mut up(&[&tokens, "Poison=dead-letter", "Idempotency=table"]));
    assert_eq!(second, first, "what was not set stays");
    assert_eq!(send(&[]).output().expect("ctl starts").status.code(), Some(1), "without a token");
    assert_eq!(succeed(&mut send(&["--token", "secret"]))["stored"], 10);
    let kinesis = aws_sdk_kinesis::Client::new(&system.sdk().await);
    let letters = kinesis.describe_stream_summary().stream_name("second-dead-letters").send().await;
    assert!(letters.is_ok(), "{letters:?}");

    let teardown = |arguments: &[&str]| {
        let mut command = system.ctl(&["teardown", "--output", "json"]);
        succeed(command.args(elsewhere).args(arguments))
    };
    assert_eq!(teardown(&["--yes"])["leftovers"], serde_json::json!([]));
    assert_eq!(teardown(&["--dry-run"])["resources"], serde_json::json!([]));
    // The first is untouched: it still has a status.
    system.status();
}
