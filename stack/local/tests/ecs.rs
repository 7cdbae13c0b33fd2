//! ECS through the SDK, with shell programs as tasks.

mod endpoint;
mod programs;

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, Statistic},
};
use aws_sdk_ecs::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        ContainerDefinition, ContainerOverride, DeploymentCircuitBreaker, DeploymentConfiguration,
        DeploymentRolloutState, DesiredStatus, KeyValuePair, LogConfiguration, LogDriver, PropagateTags, Service, Tag,
        Task, TaskOverride,
    },
};
use bytes::Bytes;
use endpoint::Endpoint;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use localcloud::Settings;
use programs::eventually;
use serde_json::Value;

const CLUSTER: &str = "weir";
const LOG_GROUP: &str = "/weir/test";

struct World {
    endpoint: Endpoint,
    ecs: Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

async fn start() -> World {
    start_with(|_| {}).await
}

/// Starts an endpoint whose tasks and deployments settle and restart fast.
async fn start_with(change: impl FnOnce(&mut Settings)) -> World {
    World::on(
        endpoint::start_with(|settings| {
            settings.ecs.settle = Duration::from_millis(200);
            settings.ecs.restart_delay = Duration::from_millis(50);
            settings.ecs.look_again = Duration::from_millis(20);
            change(settings);
        })
        .await,
    )
    .await
}

impl World {
    async fn on(endpoint: Endpoint) -> Self {
        let ecs = Client::new(&endpoint.sdk);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
        logs.create_log_group().log_group_name(LOG_GROUP).send().await.unwrap();
        ecs.create_cluster().cluster_name(CLUSTER).send().await.unwrap();
        Self { endpoint, ecs, logs }
    }

    /// Registers a revision of `family` that runs a shell script, and returns its ARN.
    async fn define(&self, family: &str, script: &str, stop_timeout: i32) -> String {
        let image = programs::push(&self.endpoint, script, true).await;
        self.define_image(family, &image, stop_timeout).await
    }

    async fn define_image(&self, family: &str, image: &str, stop_timeout: i32) -> String {
        let log = LogConfiguration::builder()
            .log_driver(LogDriver::Awslogs)
            .options("awslogs-group", LOG_GROUP)
            .options("awslogs-stream-prefix", "t")
            .build()
            .unwrap();
        let container = ContainerDefinition::builder()
            .name("app")
            .image(image)
            .stop_timeout(stop_timeout)
            .environment(KeyValuePair::builder().name("GIVEN").value("yes").build())
            .log_configuration(log)
            .build();
        let register = self.ecs.register_task_definition().family(family).cpu("256").memory("512");
        let registered = register.container_definitions(container).send().await.unwrap();
        registered.task_definition().unwrap().task_definition_arn().unwrap().to_owned()
    }

    /// Creates a service with a circuit breaker that rolls back.
    async fn create_service(&self, name: &str, definition: &str, desired: i32) {
        let breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(true).build();
        let configuration = DeploymentConfiguration::builder().deployment_circuit_breaker(breaker).build();
        let create = self.ecs.create_service().cluster(CLUSTER).service_name(name).task_definition(definition);
        let create = create.tags(Tag::builder().key("weir:deployment").value("w").build());
        let create = create.propagate_tags(PropagateTags::Service).desired_count(desired);
        create.deployment_configuration(configuration).send().await.unwrap();
    }

    async fn service(&self, name: &str) -> Service {
        let described = self.ecs.describe_services().cluster(CLUSTER).services(name).send().await.unwrap();
        described.services()[0].clone()
    }

    async fn service_when(&self, name: &str, what: &str, holds: impl Fn(&Service) -> bool) -> Service {
        eventually(what, async || Some(self.service(name).await).filter(&holds)).await
    }

    async fn completed(&self, name: &str) -> Service {
        let completed =
            |service: &Service| service.deployments()[0].rollout_state() == Some(&DeploymentRolloutState::Completed);
        self.service_when(name, "the deployment completes", completed).await
    }

    async fn tasks(&self, service: &str, status: DesiredStatus) -> Vec<Task> {
        let list = self.ecs.list_tasks().cluster(CLUSTER).service_name(service).desired_status(status);
        let arns = list.send().await.unwrap().task_arns().to_vec();
        if arns.is_empty() {
            return Vec::new();
        }
        let described = self.ecs.describe_tasks().cluster(CLUSTER).set_tasks(Some(arns)).send().await.unwrap();
        described.tasks().to_vec()
    }

    async fn run(&self, definition: &str) -> String {
        let run = self.ecs.run_task().cluster(CLUSTER).task_definition(definition).send().await.unwrap();
        run.tasks()[0].task_arn().unwrap().to_owned()
    }

    async fn stopped(&self, task: &str) -> Task {
        eventually("the task stops", async || {
            let described = self.ecs.describe_tasks().cluster(CLUSTER).tasks(task).send().await.unwrap();
            Some(described.tasks()[0].clone()).filter(|task| task.last_status() == Some("STOPPED"))
        })
        .await
    }

    /// What a task printed.
    async fn lines(&self, task: &str) -> Vec<String> {
        let stream = format!("t/app/{}", task.rsplit('/').next().unwrap());
        let get = self.logs.get_log_events().log_group_name(LOG_GROUP).log_stream_name(stream).start_from_head(true);
        let events = get.send().await.map(|events| events.events().to_vec()).unwrap_or_default();
        events.iter().map(|event| event.message().unwrap().to_owned()).collect()
    }

    /// The value that a task printed as `<name>=<value>`.
    async fn printed(&self, task: &str, name: &str) -> String {
        let prefix = format!("{name}=");
        let value =
            async || self.lines(task).await.iter().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
        eventually(&format!("the task prints {name}"), value).await
    }
}

fn arns(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.task_arn().unwrap().to_owned()).collect()
}

fn address(task: &Task) -> IpAddr {
    let interface = &task.containers()[0].network_interfaces()[0];
    interface.private_ipv4_address().unwrap().parse().unwrap()
}

fn messages(service: &Service) -> Vec<&str> {
    service.events().iter().filter_map(|event| event.message()).collect()
}

fn is_alive(pid: &str) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), None).is_ok()
}

/// Fetches a JSON document over HTTP.
async fn get_json(url: &str) -> Value {
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{url}: {}", response.status());
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Prints its environment and waits until it is stopped.
const PATIENT: &str = "env; echo PID=$$; exec cat";

#[tokio::test]
async fn a_service_runs_its_tasks_each_with_an_address_an_environment_and_a_log() {
    let world = start().await;
    let definition = world.define("web", PATIENT, 1).await;
    world.create_service("web", &definition, 2).await;
    let service = world.completed("web").await;
    assert_eq!((service.running_count(), service.pending_count(), service.desired_count()), (2, 0, 2));
    assert!(messages(&service)[0].ends_with("has reached a steady state."), "{:?}", messages(&service));
    let tasks = world.tasks("web", DesiredStatus::Running).await;
    assert_eq!(tasks.len(), 2);
    if cfg!(target_os = "linux") {
        assert_ne!(address(&tasks[0]), address(&tasks[1]));
        assert_ne!(address(&tasks[0]), IpAddr::from([127, 0, 0, 1]));
    }
    for task in &tasks {
        let arn = task.task_arn().unwrap();
        assert_eq!(world.printed(arn, "WEIR_BIND").await, address(task).to_string());
        assert_eq!(world.printed(arn, "AWS_ENDPOINT_URL").await, world.endpoint.cloud.endpoint_url());
        assert_eq!(world.printed(arn, "GIVEN").await, "yes");
        assert_eq!(world.printed(arn, "PATH").await, std::env::var("PATH").unwrap());
        assert!(!world.lines(arn).await.iter().any(|line| line.starts_with("CARGO")), "the environment is clean");
        let details = task.attachments()[0].details();
        let private = details.iter().find(|pair| pair.name() == Some("privateIPv4Address")).unwrap();
        assert_eq!(private.value(), Some(address(task).to_string().as_str()));
        assert_eq!(task.group(), Some("service:web"));
        let metadata = world.printed(arn, "ECS_CONTAINER_METADATA_URI_V4").await;
        let known = get_json(&format!("{metadata}/task")).await;
        assert_eq!((&known["TaskARN"], &known["Family"]), (&arn.into(), &"web".into()));
        assert_eq!(known["Limits"], serde_json::json!({ "CPU": 0.25, "Memory": 512 }));
        assert_eq!(get_json(&metadata).await["Name"], "app");
    }
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_killed_task_is_replaced_and_its_end_is_told() {
    let world = start().await;
    let definition = world.define("web", PATIENT, 1).await;
    world.create_service("web", &definition, 1).await;
    world.completed("web").await;
    let victim = world.tasks("web", DesiredStatus::Running).await[0].task_arn().unwrap().to_owned();
    let pid = world.printed(&victim, "PID").await.parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let end = world.stopped(&victim).await;
    assert_eq!(end.stopped_reason(), Some("Essential container in task exited: signal 9 (SIGKILL)"));
    assert_eq!(end.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str), Some("EssentialContainerExited"));
    assert_eq!(end.containers()[0].exit_code(), Some(137));
    world.service_when("web", "the task is replaced", |service| service.running_count() == 1).await;
    assert!(!arns(&world.tasks("web", DesiredStatus::Running).await).contains(&victim));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn scaling_in_lets_tasks_finish_and_deleting_ends_in_inactive() {
    let world = start().await;
    let script = "trap 'echo goodbye; exit 0' TERM; echo PID=$$; while :; do sleep 0.05; done";
    let definition = world.define("web", script, 10).await;
    world.create_service("web", &definition, 2).await;
    world.completed("web").await;
    let before = arns(&world.tasks("web", DesiredStatus::Running).await);
    world.ecs.update_service().cluster(CLUSTER).service("web").desired_count(1).send().await.unwrap();
    world.service_when("web", "one task is left", |service| service.running_count() == 1).await;
    let after = arns(&world.tasks("web", DesiredStatus::Running).await);
    let gone = before.difference(&after).next().unwrap();
    let end = world.stopped(gone).await;
    assert!(end.stopped_reason().unwrap().starts_with("Scaling activity initiated by (deployment ecs-svc/"));
    assert!(world.lines(gone).await.contains(&"goodbye".to_owned()));

    let delete = || world.ecs.delete_service().cluster(CLUSTER).service("web");
    let refused = delete().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterException"));
    let refused = world.ecs.delete_cluster().cluster(CLUSTER).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ClusterContainsServicesException"));
    let deleted = delete().force(true).send().await.unwrap();
    assert_eq!(deleted.service().unwrap().status(), Some("DRAINING"));
    world.service_when("web", "it is inactive", |service| service.status() == Some("INACTIVE")).await;
    let update = world.ecs.update_service().cluster(CLUSTER).service("web").desired_count(1).send().await;
    assert_eq!(update.unwrap_err().code(), Some("ServiceNotActiveException"));
    world.ecs.delete_cluster().cluster(CLUSTER).send().await.unwrap();
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_deployment_that_never_works_is_failed_by_the_circuit_breaker() {
    let world = start().await;
    let definition = world.define("web", "exit 3", 1).await;
    world.create_service("web", &definition, 1).await;
    let failed = |service: &Service| service.deployments()[0].rollout_state() == Some(&DeploymentRolloutState::Failed);
    let service = world.service_when("web", "the circuit opens", failed).await;
    let deployment = &service.deployments()[0];
    assert_eq!(deployment.failed_tasks(), 3);
    assert_eq!(deployment.rollout_state_reason(), Some("ECS deployment circuit breaker: tasks failed to start."));
    let task = world.tasks("web", DesiredStatus::Stopped).await[0].clone();
    assert_eq!(task.stopped_reason(), Some("Essential container in task exited: exit code 3"));
    assert_eq!(task.containers()[0].exit_code(), Some(3));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_bad_update_is_rolled_back_while_the_old_tasks_serve() {
    let world = start().await;
    let good = world.define("web", PATIENT, 1).await;
    world.create_service("web", &good, 2).await;
    world.completed("web").await;
    let before = arns(&world.tasks("web", DesiredStatus::Running).await);
    let bad = world.define("web", "exit 1", 1).await;
    world.ecs.update_service().cluster(CLUSTER).service("web").task_definition(&bad).send().await.unwrap();
    let rolled_back =
        |service: &Service| service.task_definition() == Some(good.as_str()) && service.deployments().len() == 1;
    let service = world.service_when("web", "it is rolled back", rolled_back).await;
    assert!(messages(&service).iter().any(|it| it.contains("rolling back to deployment ecs-svc/")));
    assert_eq!(arns(&world.tasks("web", DesiredStatus::Running).await), before);
    world.completed("web").await;
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_forced_deployment_replaces_every_task_and_never_serves_with_fewer() {
    let world = start().await;
    let definition = world.define("web", PATIENT, 1).await;
    world.create_service("web", &definition, 2).await;
    world.completed("web").await;
    let before = arns(&world.tasks("web", DesiredStatus::Running).await);
    let update = world.ecs.update_service().cluster(CLUSTER).service("web").force_new_deployment(true);
    assert_eq!(update.send().await.unwrap().service().unwrap().deployments().len(), 2);
    let replaced = |service: &Service| {
        assert!(service.running_count() >= 2, "only {} tasks serve", service.running_count());
        service.deployments().len() == 1
            && service.deployments()[0].rollout_state() == Some(&DeploymentRolloutState::Completed)
    };
    world.service_when("web", "every task is replaced", replaced).await;
    assert!(arns(&world.tasks("web", DesiredStatus::Running).await).is_disjoint(&before));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn an_image_that_is_no_program_of_this_machine_is_refused_by_name() {
    let world = start().await;
    let foreign = programs::push(&world.endpoint, "exit 0", false).await;
    let definition = world.define_image("job", &foreign, 1).await;
    let task = world.stopped(&world.run(&definition).await).await;
    assert_eq!(task.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str), Some("TaskFailedToStart"));
    let reason = task.stopped_reason().unwrap();
    assert!(reason.starts_with("CannotPullContainerError: localcloud starts processes"), "{reason}");
    let elsewhere = world.define_image("job", "docker.io/library/nginx:latest", 1).await;
    let task = world.stopped(&world.run(&elsewhere).await).await;
    assert!(task.stopped_reason().unwrap().contains("docker.io/library/nginx:latest"));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_single_task_takes_overrides_and_can_be_stopped() {
    let world = start().await;
    let definition = world.define("job", "echo SAID=$WORD; exec cat", 1).await;
    let word = KeyValuePair::builder().name("WORD").value("hello").build();
    let container = ContainerOverride::builder().name("app").environment(word).build();
    let overrides = TaskOverride::builder().container_overrides(container).build();
    let run = world.ecs.run_task().cluster(CLUSTER).task_definition("job").started_by("me").overrides(overrides);
    let ran = run.send().await.unwrap();
    let arn = ran.tasks()[0].task_arn().unwrap();
    assert_eq!(ran.tasks()[0].task_definition_arn(), Some(definition.as_str()));
    assert_eq!(world.printed(arn, "SAID").await, "hello");
    let stop = |task: &str| world.ecs.stop_task().cluster(CLUSTER).task(task).reason("enough").send();
    stop(arn).await.unwrap();
    let task = world.stopped(arn).await;
    assert_eq!((task.stopped_reason(), task.started_by()), (Some("enough"), Some("me")));
    assert_eq!(task.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str), Some("UserInitiated"));
    assert_eq!(stop("0123").await.unwrap_err().code(), Some("InvalidParameterException"));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn stopping_the_endpoint_leaves_no_process_not_even_a_stubborn_one() {
    let world = start_with(|settings| settings.ecs.shutdown_time_max = Duration::from_millis(300)).await;
    let stubborn = world.define("stubborn", "trap '' TERM; echo PID=$$; while :; do sleep 0.05; done", 120).await;
    let gentle = world.define("gentle", PATIENT, 120).await;
    let tasks = [world.run(&stubborn).await, world.run(&gentle).await];
    let pids = [world.printed(&tasks[0], "PID").await, world.printed(&tasks[1], "PID").await];
    assert!(pids.iter().all(|pid| is_alive(pid)));
    tokio::time::timeout(Duration::from_secs(10), world.endpoint.cloud.stop()).await.expect("the stop is bounded");
    assert!(!pids.iter().any(|pid| is_alive(pid)), "a process is left of {pids:?}");
}

#[tokio::test]
async fn where_tasks_share_an_address_their_ports_move() {
    let world = start_with(|settings| settings.ecs.address_per_task = false).await;
    let definition = world.define("web", PATIENT, 1).await;
    world.create_service("web", &definition, 2).await;
    world.completed("web").await;
    let mut ports = BTreeSet::new();
    for task in world.tasks("web", DesiredStatus::Running).await {
        let arn = task.task_arn().unwrap();
        assert_eq!(address(&task), IpAddr::from([127, 0, 0, 1]));
        let bindings = task.containers()[0].network_bindings();
        let binding = bindings.iter().find(|it| it.container_port() == Some(8080)).unwrap();
        assert_eq!(world.printed(arn, "WEIR_PORT").await, binding.host_port().unwrap().to_string());
        ports.extend(bindings.iter().filter_map(aws_sdk_ecs::types::NetworkBinding::host_port));
    }
    assert_eq!(ports.len(), 4, "every port of every task differs");
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn revisions_keep_what_was_given_until_they_are_deleted() {
    let world = World::on(endpoint::start().await).await;
    let first = world.define_image("web", "some/image", 77).await;
    let second = world.define_image("web", "some/image", 78).await;
    assert!(first.ends_with("web:1") && second.ends_with("web:2"));
    let describe = |name: &str| world.ecs.describe_task_definition().task_definition(name).send();
    let latest = describe("web").await.unwrap().task_definition().unwrap().clone();
    assert_eq!((latest.revision(), latest.cpu(), latest.memory()), (2, Some("256"), Some("512")));
    assert_eq!(latest.container_definitions()[0].stop_timeout(), Some(78));
    let delete = |name: &str| world.ecs.delete_task_definitions().task_definitions(name).send();
    assert_eq!(delete("web:2").await.unwrap().failures().len(), 1);
    world.ecs.deregister_task_definition().task_definition("web:2").send().await.unwrap();
    assert_eq!(describe("web").await.unwrap().task_definition().unwrap().revision(), 1);
    assert_eq!(delete("web:2").await.unwrap().task_definitions().len(), 1);
    assert_eq!(describe("web:2").await.unwrap_err().code(), Some("ClientException"));
    let listed = world.ecs.list_task_definitions().family_prefix("web").send().await.unwrap();
    assert_eq!(listed.task_definition_arns(), [first]);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_right_error() {
    let world = World::on(endpoint::start().await).await;
    let missing = world.ecs.describe_services().cluster(CLUSTER).services("none").send().await.unwrap();
    assert_eq!(missing.failures()[0].reason(), Some("MISSING"));
    let code = world.ecs.describe_services().cluster("none").services("x").send().await.unwrap_err();
    assert_eq!(code.code(), Some("ClusterNotFoundException"));
    let code = world.ecs.update_service().cluster(CLUSTER).service("none").send().await.unwrap_err();
    assert_eq!(code.code(), Some("ServiceNotFoundException"));
    let code = world.ecs.execute_command().cluster(CLUSTER).task("x").command("x").interactive(true).send().await;
    assert_eq!(code.unwrap_err().code(), Some("NotImplemented"));
    let cluster = world.ecs.describe_clusters().clusters(CLUSTER).clusters("none").send().await.unwrap();
    assert_eq!((cluster.clusters().len(), cluster.failures().len()), (1, 1));
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn tags_are_kept_and_tasks_take_those_of_their_service() {
    let world = start().await;
    let definition = world.define("web", PATIENT, 1).await;
    world.create_service("web", &definition, 1).await;
    let arn = world.completed("web").await.service_arn().unwrap().to_owned();
    let added = Tag::builder().key("a").value("b").build();
    world.ecs.tag_resource().resource_arn(&arn).tags(added).send().await.unwrap();
    world.ecs.untag_resource().resource_arn(&arn).tag_keys("weir:deployment").send().await.unwrap();
    let listed = world.ecs.list_tags_for_resource().resource_arn(&arn).send().await.unwrap();
    assert_eq!(listed.tags().iter().filter_map(Tag::key).collect::<Vec<_>>(), ["a"]);
    let task = world.tasks("web", DesiredStatus::Running).await[0].clone();
    assert_eq!(task.tags().iter().filter_map(Tag::key).collect::<Vec<_>>(), ["weir:deployment"]);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn what_tasks_use_becomes_metrics_of_their_service() {
    let world = start_with(|settings| {
        settings.ecs.usage_interval = Duration::from_millis(200);
        settings.cloudwatch.publication_delay = Duration::ZERO;
    })
    .await;
    let definition = world.define("busy", "echo go; while :; do :; done", 1).await;
    world.create_service("busy", &definition, 1).await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&world.endpoint.sdk);
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let created = world.service("busy").await.created_at().unwrap().secs();
    let maximum = async |metric: &str| {
        let get = cloudwatch.get_metric_statistics().namespace("AWS/ECS").metric_name(metric).period(60);
        let get = get.dimensions(dimension("ClusterName", CLUSTER)).dimensions(dimension("ServiceName", "busy"));
        let get = get.start_time(DateTime::from_secs(created - 60)).end_time(DateTime::from_secs(created + 600));
        let got = get.statistics(Statistic::Maximum).send().await.unwrap();
        got.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::maximum).reduce(f64::max)
    };
    eventually("a busy loop uses more than a quarter of a CPU", async || {
        maximum("CPUUtilization").await.filter(|percent| *percent > 25.0)
    })
    .await;
    let memory = maximum("MemoryUtilization").await.unwrap();
    assert!(memory > 0.0 && memory < 100.0, "{memory} % of 512 MiB");
    world.endpoint.cloud.stop().await;
}
