//! An endpoint of its own for each test, and what a deployment to it looks like.

use std::{collections::BTreeMap, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::Credentials;
use localcloud::{LocalCloud, Settings};
use stack::{
    Clients, DeploymentName, Event, PerRole, Progress, Role,
    deploy::{DeployError, Images, Outputs, Request, deploy},
    image::{ImageSource, build},
    teardown::{Options, Report, TeardownError, teardown},
    template::Parameter,
};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::stand_in;

/// How long a deployment to this machine may take in a test: it takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Endpoint {
    pub(crate) sdk: SdkConfig,
    pub(crate) clients: Clients,
    cloud: LocalCloud,
    _directory: TempDir,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut settings = Settings::new(directory.path().to_owned());
        let free = ([127, 0, 0, 1], 0).into();
        (settings.listen, settings.balancer.listen) = (free, free);
        let region = Region::new(settings.region.clone());
        let cloud = LocalCloud::start(settings).await.expect("localcloud starts");
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(cloud.endpoint_url())
            .load()
            .await;
        Self { clients: Clients::new(&sdk), sdk, cloud, _directory: directory }
    }

    /// Deploys, and returns what happened on the way too. What takes too long is cancelled, so that its events show.
    pub(crate) async fn deploy(&self, request: &Request) -> (Result<Outputs, DeployError>, Vec<Event>) {
        let (progress, mut events) = Progress::channel();
        let late = CancellationToken::new();
        let deploying = async {
            let mut work = Box::pin(deploy(&self.clients, request, &progress, &late));
            let outputs = match timeout(PATIENCE, &mut work).await {
                Ok(outputs) => outputs,
                Err(_) => {
                    late.cancel();
                    work.as_mut().await
                }
            };
            drop(work);
            drop(progress);
            outputs
        };
        let listening = async {
            let mut seen = Vec::new();
            while let Some(event) = events.recv().await {
                seen.push(event);
            }
            seen
        };
        tokio::join!(deploying, listening)
    }

    pub(crate) async fn teardown(&self, name: &DeploymentName) -> Result<Report, TeardownError> {
        self.teardown_until(name, |_| false).await.0
    }

    /// Tears down, cancels when `is_enough` says so of an event, and returns the events too.
    pub(crate) async fn teardown_until(
        &self,
        name: &DeploymentName,
        is_enough: impl Fn(&Event) -> bool,
    ) -> (Result<Report, TeardownError>, Vec<Event>) {
        let options = Options { place: self.clients.identity().await.expect("an identity") };
        let ((progress, mut events), cancel) = (Progress::channel(), CancellationToken::new());
        let tearing_down = async {
            let outcome = teardown(&self.clients, name, &options, &progress, &cancel).await;
            drop(progress);
            outcome
        };
        let listening = async {
            let mut seen = Vec::new();
            while let Some(event) = events.recv().await {
                if is_enough(&event) {
                    cancel.cancel();
                }
                seen.push(event);
            }
            seen
        };
        tokio::join!(tearing_down, listening)
    }

    pub(crate) async fn stop(self) {
        self.cloud.stop().await;
    }
}

/// A deployment whose producer answers health checks and whose other tasks sleep.
pub(crate) fn request(name: &DeploymentName) -> Request {
    let images = PerRole::try_from_fn(|role| {
        let command = match role {
            Role::Producer => stand_in::command(),
            Role::Consumer | Role::ControlPlane => ["/bin/sh", "-c", "exec sleep 1000"].map(str::to_owned).to_vec(),
        };
        build(&ImageSource::HostProcess { command })
    });
    Request {
        name: name.clone(),
        images: Images::Push(images.expect("images")),
        parameters: BTreeMap::from([(Parameter::AllowedCidr, "127.0.0.0/8".to_owned())]),
        tags: BTreeMap::from([("team".to_owned(), "streams".to_owned())]),
    }
}

pub(crate) fn name(text: &str) -> DeploymentName {
    text.parse().expect("a name")
}
