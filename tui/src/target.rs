//! Where a command goes: an explicit endpoint, else what runs on this machine under that name, else AWS.

use std::time::Duration;

use anyhow::Result;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_kinesis::config::{Credentials, ProvideCredentials};
use clap::Args;
use controlplane::record::Table;
use hyper::Uri;
use jiff::SignedDuration;
use stack::{Clients, DeploymentName};

use crate::{
    app::model::Deployment,
    failure::Failure,
    local::{Record, StateDirectory},
};

/// Connecting to an endpoint.
const CONNECT: Duration = Duration::from_secs(3);
/// One attempt of a call; AWS answers in well under a second.
const ATTEMPT: Duration = Duration::from_secs(10);
/// One call with all its attempts.
const CALL: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;
/// The whole search for credentials and a region, which may ask a metadata service that is not there.
const CREDENTIALS: Duration = Duration::from_secs(10);

/// The region of local endpoints that nobody named one for.
pub(crate) const LOCAL_REGION: &str = "eu-central-1";

/// Heartbeats older than this are stale: three ticks of the control plane (`ctl up` has it tick every 2 s).
const LOCAL_STALE: SignedDuration = SignedDuration::from_secs(6);
const AWS_STALE: SignedDuration = SignedDuration::from_secs(45);

/// The options that every command has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The deployment
    #[arg(long, global = true, env = "WEIR_NAME", default_value = "weir", value_name = "NAME")]
    pub(crate) name: DeploymentName,
    /// Endpoint to use instead of AWS or what runs on this machine
    #[arg(long, global = true, env = "AWS_ENDPOINT_URL", value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// AWS region
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Go to AWS, even if a deployment of that name runs on this machine
    #[arg(long, global = true)]
    pub(crate) aws: bool,
}

/// What answers the calls.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// `ctl up` or `ctl localcloud` on this machine.
    Local(Record),
    /// An endpoint that was named.
    Endpoint(String),
    Aws,
}

/// A deployment and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: DeploymentName,
    pub(crate) region: String,
    pub(crate) place: Place,
    pub(crate) sdk: SdkConfig,
}

impl Target {
    /// Decides where a command goes.
    pub(crate) async fn resolve(global: &Global) -> Result<Self> {
        if global.aws {
            return match &global.endpoint_url {
                None => Self::aws(global).await,
                Some(url) => Err(Failure::usage(format!("--aws contradicts the endpoint {url}"))
                    .hint("leave out --endpoint-url, or unset AWS_ENDPOINT_URL")
                    .into()),
            };
        }
        if let Some(url) = &global.endpoint_url {
            return Self::endpoint(global, url).await;
        }
        match StateDirectory::of(&global.name)?.running()? {
            Some(record) => Ok(Self::local(global.name.clone(), record).await),
            None => Self::aws(global).await,
        }
    }

    /// What runs on this machine.
    pub(crate) async fn local(name: DeploymentName, record: Record) -> Self {
        let sdk = local_config(&record.endpoint_url, &record.region).await;
        Self { name, region: record.region.clone(), place: Place::Local(record), sdk }
    }

    async fn endpoint(global: &Global, url: &str) -> Result<Self> {
        let place = Place::Endpoint(url.to_owned());
        if is_loopback(url) {
            let region = global.region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned());
            let sdk = local_config(url, &region).await;
            return Ok(Self { name: global.name.clone(), region, place, sdk });
        }
        let sdk = from_environment(global).await?.into_builder().endpoint_url(url).build();
        Self::with(global, place, sdk)
    }

    async fn aws(global: &Global) -> Result<Self> {
        let sdk = from_environment(global).await?;
        Self::with(global, Place::Aws, sdk)
    }

    fn with(global: &Global, place: Place, sdk: SdkConfig) -> Result<Self> {
        let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
            Failure::usage("there is no AWS region").hint("use --region, AWS_REGION, or a profile that names one")
        })?;
        Ok(Self { name: global.name.clone(), region, place, sdk })
    }

    pub(crate) fn control_table(&self) -> Table {
        Table::new(aws_sdk_dynamodb::Client::new(&self.sdk), self.name.control_table())
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::new(&self.sdk)
    }

    /// Where records are posted, where that is known without asking.
    pub(crate) fn ingest_url(&self) -> Option<String> {
        match &self.place {
            Place::Local(record) => record.ingest_url.clone(),
            Place::Endpoint(_) | Place::Aws => None,
        }
    }

    /// The deployment as the terminal UI shows it. `owned` says that leaving the UI stops everything.
    pub(crate) fn deployment(&self, owned: bool) -> Deployment {
        let (place, stale_after) = match &self.place {
            Place::Local(record) => {
                (format!("local {}", record.endpoint_url.trim_start_matches("http://")), LOCAL_STALE)
            }
            Place::Endpoint(url) => (url.clone(), AWS_STALE),
            Place::Aws => ("AWS".to_owned(), AWS_STALE),
        };
        Deployment {
            name: self.name.to_string(),
            region: self.region.clone(),
            place,
            ingest_url: self.ingest_url(),
            stale_after,
            owned,
        }
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

/// localcloud asks for a signature but does not check it: any credentials do, and no profile is read for them.
async fn local_config(endpoint_url: &str, region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new("local", "local", None, None, "localcloud"))
        .endpoint_url(endpoint_url)
        .timeout_config(timeouts())
        .retry_config(retries())
        .load()
        .await
}

/// The default chain of the SDK, with credentials that were tried once.
async fn from_environment(global: &Global) -> Result<SdkConfig> {
    let load = async {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts());
        let loader = loader.retry_config(retries());
        let sdk = match &global.region {
            Some(region) => loader.region(Region::new(region.clone())).load().await,
            None => loader.load().await,
        };
        let provider = sdk.credentials_provider()?;
        provider.provide_credentials().await.ok()?;
        Some(sdk)
    };
    let found = tokio::time::timeout(CREDENTIALS, load).await;
    found.ok().flatten().ok_or_else(|| {
        Failure::failed(format!("no deployment {} runs on this machine, and there are no AWS credentials", global.name))
            .hint("`ctl up` starts one here; for AWS set AWS_PROFILE or run `aws login`")
            .into()
    })
}

fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_gets_dummy_credentials() {
        assert!(is_loopback("http://127.0.0.1:4566"));
        assert!(is_loopback("http://[::1]:4566"));
        assert!(is_loopback("http://localhost:4566"));
        assert!(!is_loopback("https://kinesis.eu-central-1.amazonaws.com"));
        assert!(!is_loopback("http://127.0.0.1.example.org"));
        assert!(!is_loopback("not a url"));
    }
}
