//! The load balancer through its API (awsQuery) and its listener.

mod backend;
mod endpoint;
mod programs;

use std::{collections::BTreeSet, net::SocketAddr, sync::atomic::Ordering, time::Duration};

use aws_sdk_ecs::types::{ContainerDefinition, DeploymentRolloutState, LoadBalancer, Task};
use backend::Backend;
use bytes::Bytes;
use endpoint::Endpoint;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{Request, StatusCode, body::Frame, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use localcloud::Settings;
use programs::eventually;
use serde_json::Value;

type Body = BoxBody<Bytes, std::convert::Infallible>;
type Http = Client<HttpConnector, Body>;

struct World {
    endpoint: Endpoint,
    client: Http,
    balancer: String,
    group: String,
    listener: String,
    url: String,
}

async fn start() -> World {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut Settings)) -> World {
    let endpoint = endpoint::start_with(|settings| {
        settings.balancer.listen = ([127, 0, 0, 1], 0).into();
        settings.balancer.health_check_interval_max = Duration::from_millis(50);
        change(settings);
    })
    .await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut world = World {
        endpoint,
        client,
        balancer: String::new(),
        group: String::new(),
        listener: String::new(),
        url: String::new(),
    };
    let created = world.elb("CreateLoadBalancer", &[("Name", "weir"), ("Subnets.member.1", "subnet-1")]).await.unwrap();
    world.balancer = member(&created, "LoadBalancerArn");
    world.url = format!("http://{}", member(&created, "DNSName"));
    let checks = [("HealthCheckPath", "/health"), ("HealthyThresholdCount", "2"), ("UnhealthyThresholdCount", "2")];
    let form = [("Name", "weir"), ("Port", "8080"), ("TargetType", "ip")];
    let created = world.elb("CreateTargetGroup", &[&form[..], &checks[..]].concat()).await.unwrap();
    world.group = member(&created, "TargetGroupArn");
    world.listener = member(&world.create_listener().await.unwrap(), "ListenerArn");
    world
}

impl World {
    async fn create_listener(&self) -> Result<String, String> {
        let action = [("DefaultActions.member.1.Type", "forward")];
        let target = [("DefaultActions.member.1.TargetGroupArn", self.group.as_str())];
        let form = [("LoadBalancerArn", self.balancer.as_str()), ("Port", "80"), ("Protocol", "HTTP")];
        self.elb("CreateListener", &[&form[..], &action[..], &target[..]].concat()).await
    }

    async fn elb(&self, operation: &str, form: &[(&str, &str)]) -> Result<String, String> {
        elb(&self.endpoint, &self.client, operation, form).await
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(format!("{}{path}", self.url)).body(Full::default().boxed()).unwrap();
        send(&self.client, request).await
    }

    /// The target that answers a request.
    async fn target(&self) -> String {
        let (status, body) = self.get("/").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["target"].as_str().unwrap().to_owned()
    }

    async fn change_targets(&self, operation: &str, target: SocketAddr) {
        let (id, port) = (target.ip().to_string(), target.port().to_string());
        let form =
            [("TargetGroupArn", self.group.as_str()), ("Targets.member.1.Id", &id), ("Targets.member.1.Port", &port)];
        self.elb(operation, &form).await.unwrap();
    }

    /// Registers a target and waits until it is healthy.
    async fn add(&self, backend: &Backend) {
        self.change_targets("RegisterTargets", backend.address).await;
        self.standing(backend.address, "healthy").await;
    }

    async fn standing(&self, target: SocketAddr, state: &str) {
        let (id, port) = (target.ip().to_string(), target.port().to_string());
        let form =
            [("TargetGroupArn", self.group.as_str()), ("Targets.member.1.Id", &id), ("Targets.member.1.Port", &port)];
        let wanted = format!("<State>{state}</State>");
        eventually(&format!("the target is {state}"), async || {
            let described = self.elb("DescribeTargetHealth", &form).await.unwrap();
            described.contains(&wanted).then_some(())
        })
        .await;
    }
}

/// Calls the API as the AWS CLI does, and returns the XML, or that of the error.
async fn elb(endpoint: &Endpoint, client: &Http, operation: &str, form: &[(&str, &str)]) -> Result<String, String> {
    let form = [&[("Action", operation), ("Version", "2015-12-01")], form].concat();
    let escape = |text: &str| text.replace('%', "%25").replace(':', "%3A").replace('/', "%2F");
    let form = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&");
    let scope = "AWS4-HMAC-SHA256 Credential=x/20260101/eu-central-1/elasticloadbalancing/aws4_request";
    let request = Request::post(endpoint.cloud.endpoint_url())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, scope)
        .body(Full::from(form).boxed())
        .unwrap();
    let (status, body) = send(client, request).await;
    if status.is_success() { Ok(body) } else { Err(body) }
}

async fn send(client: &Http, request: Request<Body>) -> (StatusCode, String) {
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The text of an XML element.
fn member(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn requests_take_turns_and_say_where_they_come_from() {
    let world = start().await;
    let (one, other) = (Backend::start().await, Backend::start().await);
    world.add(&one).await;
    world.add(&other).await;
    let answered: Vec<_> =
        [world.target().await, world.target().await, world.target().await, world.target().await].into();
    assert_eq!(answered.iter().collect::<BTreeSet<_>>().len(), 2);
    assert_eq!((one.requests(), other.requests()), (2, 2));
    let (_, body) = world.get("/").await;
    let headers = &serde_json::from_str::<Value>(&body).unwrap()["headers"];
    assert_eq!((&headers["x-forwarded-for"], &headers["x-forwarded-proto"]), (&"127.0.0.1".into(), &"http".into()));
    assert!(headers["x-amzn-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    assert_eq!(headers["host"].as_str().unwrap(), world.url.strip_prefix("http://").unwrap());
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn only_healthy_targets_get_requests_and_without_one_the_answer_is_503() {
    let world = start().await;
    assert_eq!(world.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let backend = Backend::start().await;
    backend.shared.health.store(500, Ordering::SeqCst);
    world.change_targets("RegisterTargets", backend.address).await;
    world.standing(backend.address, "unhealthy").await;
    assert_eq!(world.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    backend.shared.health.store(200, Ordering::SeqCst);
    world.standing(backend.address, "healthy").await;
    assert_eq!(world.get("/").await.0, StatusCode::OK);
    backend.shared.health.store(500, Ordering::SeqCst);
    world.standing(backend.address, "unhealthy").await;
    assert_eq!(world.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(backend.requests(), 1);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_drained_target_finishes_what_it_has_and_gets_nothing_new() {
    let world = start().await;
    let (old, new) = (Backend::start().await, Backend::start().await);
    world.add(&old).await;
    let (slow, ()) = tokio::join!(world.get("/slow"), async {
        eventually("the slow request arrives", async || (old.requests() == 1).then_some(())).await;
        world.add(&new).await;
        world.change_targets("DeregisterTargets", old.address).await;
        world.standing(old.address, "draining").await;
        for _ in 0..4 {
            assert_eq!(world.target().await, new.address.to_string());
        }
        old.shared.let_go.notify_one();
    });
    assert_eq!(slow.0, StatusCode::OK);
    assert!(slow.1.contains(&old.address.to_string()));
    assert_eq!(old.requests(), 1);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_request_that_a_target_may_have_seen_is_never_sent_again() {
    let world = start().await;
    let (one, other) = (Backend::start().await, Backend::start().await);
    world.add(&one).await;
    world.add(&other).await;
    assert_eq!(world.get("/break").await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(one.requests() + other.requests(), 1);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_passed_over_before_its_checks_fail() {
    let world = start_with(|settings| settings.balancer.health_check_interval_max = Duration::from_secs(60)).await;
    let (gone, present) = (Backend::start().await, Backend::start().await);
    world.add(&gone).await;
    world.add(&present).await;
    // One request each, so that the balancer keeps a connection to the target that goes.
    assert_ne!(world.target().await, world.target().await);
    gone.stop();
    eventually("its port is closed", async || tokio::net::TcpStream::connect(gone.address).await.err()).await;
    for _ in 0..4 {
        assert_eq!(world.target().await, present.address.to_string());
    }
    present.stop();
    eventually("its port is closed", async || tokio::net::TcpStream::connect(present.address).await.err()).await;
    assert_eq!(world.get("/").await.0, StatusCode::BAD_GATEWAY);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let world = start().await;
    let backend = Backend::start().await;
    world.add(&backend).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let frames = futures::StreamExt::map(frames, |bytes| Ok(Frame::data(bytes)));
    let request =
        Request::post(format!("{}/echo", world.url)).body(BodyExt::boxed(StreamBody::new(Box::pin(frames)))).unwrap();
    sender.send(Bytes::from_static(b"first")).await.unwrap();
    let mut body = world.client.request(request).await.unwrap().into_body();
    let mut next = async || body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
    assert_eq!(next().await.unwrap(), "first");
    sender.send(Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(next().await.unwrap(), "second");
    drop(sender);
    assert_eq!(next().await, None);
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn resources_are_described_until_they_are_deleted_in_order() {
    let world = start().await;
    let arn = [("TargetGroupArn", world.group.as_str())];
    let refused = world.elb("DeleteTargetGroup", &arn).await.unwrap_err();
    assert_eq!(member(&refused, "Code"), "ResourceInUse");
    let tags =
        [("ResourceArns.member.1", world.group.as_str()), ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b")];
    world.elb("AddTags", &tags).await.unwrap();
    let described = world.elb("DescribeTags", &tags[..1]).await.unwrap();
    assert_eq!((member(&described, "Key"), member(&described, "Value")), ("a".to_owned(), "b".to_owned()));
    let duplicate = world.elb("CreateLoadBalancer", &[("Name", "weir")]).await.unwrap_err();
    assert_eq!(member(&duplicate, "Code"), "DuplicateLoadBalancerName");

    world.elb("DeleteListener", &[("ListenerArn", &world.listener)]).await.unwrap();
    let closed = async || tokio::net::TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.err();
    eventually("the listener is closed", closed).await;
    world.create_listener().await.unwrap();
    assert_eq!(world.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);

    let balancer = [("LoadBalancerArn", world.balancer.as_str())];
    world.elb("DeleteLoadBalancer", &balancer).await.unwrap();
    eventually("its listener is closed, too", closed).await;
    world.elb("DeleteTargetGroup", &arn).await.unwrap();
    let gone = world.elb("DescribeTargetGroups", &[("TargetGroupArns.member.1", &world.group)]).await.unwrap_err();
    assert_eq!(member(&gone, "Code"), "TargetGroupNotFound");
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let endpoint = endpoint::start().await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let refused = elb(&endpoint, &client, "CreateRule", &[]).await.unwrap_err();
    assert_eq!(member(&refused, "Code"), "NotImplemented");
    assert!(member(&refused, "Message").contains("CreateRule"));
    endpoint.cloud.stop().await;
}

/// Where a task's port 8080 is.
fn place(task: &Task) -> Option<SocketAddr> {
    let container = task.containers().first()?;
    let address = container.network_interfaces().first()?.private_ipv4_address()?.parse().ok()?;
    let moved = container.network_bindings().iter().find(|binding| binding.container_port() == Some(8080));
    let port = moved.and_then(aws_sdk_ecs::types::NetworkBinding::host_port).unwrap_or(8080);
    Some(SocketAddr::new(address, port.try_into().ok()?))
}

async fn places(ecs: &aws_sdk_ecs::Client, count: usize) -> BTreeSet<SocketAddr> {
    eventually(&format!("{count} tasks run"), async || {
        let listed = ecs.list_tasks().cluster("weir").service_name("web").send().await.unwrap();
        let tasks = ecs.describe_tasks().cluster("weir").set_tasks(listed.task_arns).send().await.ok()?;
        let running = tasks.tasks().iter().filter(|task| task.last_status() == Some("RUNNING"));
        Some(running.filter_map(place).collect::<BTreeSet<_>>()).filter(|places| places.len() == count)
    })
    .await
}

#[tokio::test]
async fn tasks_of_a_service_are_targets_from_their_start_to_their_end() {
    let world = start().await;
    let ecs = aws_sdk_ecs::Client::new(&world.endpoint.sdk);
    ecs.create_cluster().cluster_name("weir").send().await.unwrap();
    // The task itself does not listen: the test does, where the task would.
    let image = programs::push(&world.endpoint, "exec cat", true).await;
    let container = ContainerDefinition::builder().name("app").image(image).stop_timeout(1).build();
    ecs.register_task_definition().family("web").container_definitions(container).send().await.unwrap();
    let balancer = LoadBalancer::builder().target_group_arn(&world.group).container_name("app").container_port(8080);
    let create = ecs.create_service().cluster("weir").service_name("web").task_definition("web").desired_count(2);
    let create = create.load_balancers(balancer.build()).health_check_grace_period_seconds(60);
    create.send().await.unwrap();

    let two = places(&ecs, 2).await;
    let rollout = async || {
        let described = ecs.describe_services().cluster("weir").services("web").send().await.unwrap();
        described.services()[0].deployments()[0].rollout_state().cloned()
    };
    assert_eq!(rollout().await, Some(DeploymentRolloutState::InProgress), "nothing answers health checks yet");
    let mut backends = Vec::new();
    for place in &two {
        backends.push(Backend::at(*place).await);
    }
    let completed = async || rollout().await.filter(|state| *state == DeploymentRolloutState::Completed);
    eventually("the deployment completes", completed).await;
    let answered = BTreeSet::from([world.target().await, world.target().await]);
    assert_eq!(answered, two.iter().map(ToString::to_string).collect());

    ecs.update_service().cluster("weir").service("web").desired_count(1).send().await.unwrap();
    let one = places(&ecs, 1).await;
    for _ in 0..4 {
        assert_eq!(world.target().await, one.first().unwrap().to_string());
    }
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_listener_can_lead_to_another_group() {
    let world = start().await;
    let backend = Backend::start().await;
    world.add(&backend).await;
    let other = world.elb("CreateTargetGroup", &[("Name", "other"), ("Port", "8080")]).await.unwrap();
    let other = member(&other, "TargetGroupArn");
    let action = [("DefaultActions.member.1.Type", "forward"), ("DefaultActions.member.1.TargetGroupArn", &other)];
    world.elb("ModifyListener", &[&[("ListenerArn", world.listener.as_str())], &action[..]].concat()).await.unwrap();
    assert_eq!(world.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    world.elb("DeleteTargetGroup", &[("TargetGroupArn", &world.group)]).await.unwrap();
    world.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn traffic_becomes_metrics_of_the_balancer_and_the_group() {
    let world = start_with(|settings| {
        settings.balancer.publish_interval = Duration::from_millis(50);
        settings.cloudwatch.publication_delay = Duration::ZERO;
    })
    .await;
    let backend = Backend::start().await;
    world.add(&backend).await;
    world.target().await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&world.endpoint.sdk);
    let (_, balancer) = world.balancer.split_once("loadbalancer/").unwrap();
    let published = async || {
        let listed = cloudwatch.list_metrics().namespace("AWS/ApplicationELB").send().await.unwrap();
        let of_balancer = listed.metrics().iter().filter(|metric| {
            let dimensions = metric.dimensions();
            dimensions.len() == 1 && dimensions[0].value() == Some(balancer)
        });
        let names: BTreeSet<_> = of_balancer.filter_map(|metric| metric.metric_name()).map(str::to_owned).collect();
        let expected = ["RequestCount", "HTTPCode_Target_2XX_Count", "TargetResponseTime"].map(str::to_owned);
        (names == BTreeSet::from(expected)).then_some(())
    };
    eventually("the metrics of one good request are published", published).await;
    world.endpoint.cloud.stop().await;
}
