//! Puts the services together and runs them behind one listener.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Settings,
    autoscaling::AutoScaling,
    balancer::Balancer,
    clock::Clock,
    cloudformation::CloudFormation,
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    ecr::Ecr,
    ecs::Ecs,
    gateway,
    kinesis::Kinesis,
    logs::Logs,
    service::{AwsError, Call, Reply},
    settings::Identity,
    sts::Sts,
    tagging::Tagging,
};

/// Every service of the endpoint, by the name that SigV4 scopes carry.
pub struct Services {
    pub kinesis: Arc<Kinesis>,
    pub dynamodb: Arc<DynamoDb>,
    pub ecs: Arc<Ecs>,
    pub cloudwatch: Arc<CloudWatch>,
    pub logs: Arc<Logs>,
    pub ecr: Arc<Ecr>,
    pub cloudformation: Arc<CloudFormation>,
    pub balancer: Arc<Balancer>,
    pub autoscaling: Arc<AutoScaling>,
    pub sts: Arc<Sts>,
    pub tagging: Arc<Tagging>,
}

impl Services {
    /// Routes one call by the service name of its SigV4 scope.
    pub async fn call(&self, service: &str, call: Call) -> Result<Reply, AwsError> {
        match service {
            "kinesis" => self.kinesis.call(call).await,
            "dynamodb" => self.dynamodb.call(call).await,
            "ecs" => self.ecs.call(call).await,
            "monitoring" => self.cloudwatch.call(call).await,
            "logs" => self.logs.call(call).await,
            "ecr" => self.ecr.call(call).await,
            "cloudformation" => self.cloudformation.call(call).await,
            "elasticloadbalancing" => self.balancer.call(call).await,
            "application-autoscaling" => self.autoscaling.call(call).await,
            "sts" => self.sts.call(call).await,
            "tagging" => self.tagging.call(call).await,
            other => Err(AwsError::not_implemented(other, &call.operation)),
        }
    }
}

/// How one service calls another: in process, through the same API a client uses.
#[derive(Clone, Default)]
pub struct Peers(Arc<OnceLock<Weak<Services>>>);

impl Peers {
    /// Calls `operation` of `service` and returns its JSON answer.
    pub async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, AwsError> {
        let services = self.services()?;
        let call = Call::new(operation, input.to_string());
        match services.call(service, call).await? {
            Reply::Json(body) => serde_json::from_slice(&body).map_err(|error| AwsError::internal(error.to_string())),
            Reply::EventStream(_) => Err(AwsError::internal(format!("{operation} answers with a stream"))),
        }
    }

    /// The services themselves, for what has no API (typed calls between services).
    pub fn services(&self) -> Result<Arc<Services>, AwsError> {
        self.0.get().and_then(Weak::upgrade).ok_or_else(|| AwsError::internal("the endpoint is stopping"))
    }

    fn connect(&self, services: &Arc<Services>) {
        // Only `build` calls this, once per cell.
        let _ = self.0.set(Arc::downgrade(services));
    }
}

/// What every service is made with.
#[derive(Clone)]
pub struct Context {
    pub identity: Identity,
    pub clock: Clock,
    /// The endpoint's own URL, which tasks are given as `AWS_ENDPOINT_URL`.
    pub endpoint_url: String,
    /// Where logs of tasks and durable state are kept.
    pub directory: PathBuf,
    pub peers: Peers,
    /// Cancelled when the endpoint stops: background tasks end on it.
    pub stopping: CancellationToken,
    /// Where background tasks are spawned, so that a stop can wait for them.
    pub tasks: TaskTracker,
}

/// Why the endpoint could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0} is not a loopback address: localcloud never listens where others can reach it")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot use {path} for state")]
    Directory { path: String, source: io::Error },
    #[error("cannot open the DynamoDB engine: {0}")]
    DynamoDb(String),
}

/// A running endpoint. Dropping it does not stop it: call [`LocalCloud::stop`].
pub struct LocalCloud {
    services: Arc<Services>,
    context: Context,
}

impl LocalCloud {
    /// Starts every service and listens.
    ///
    /// # Errors
    /// When an address is not loopback or the endpoint's is taken, or the state directory cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        for address in [settings.listen, settings.balancer.listen] {
            if !address.ip().is_loopback() {
                return Err(StartError::NotLoopback(address));
            }
        }
        std::fs::create_dir_all(&settings.directory)
            .map_err(|source| StartError::Directory { path: settings.directory.display().to_string(), source })?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let context = Context {
            identity: Identity { region: settings.region.clone(), account: settings.account.clone() },
            clock: Clock::start(),
            endpoint_url: format!("http://{address}"),
            directory: settings.directory.clone(),
            peers: Peers::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let services = build(&settings, &context).await?;
        context.tasks.spawn(gateway::serve(listener, services.clone(), context.stopping.clone()));
        Ok(Self { services, context })
    }

    /// Where to point `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.context.endpoint_url
    }

    /// The services, for in-process use in tests.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Stops every task process, then the listeners. Returns when nothing is left running.
    pub async fn stop(self) {
        self.services.ecs.stop().await;
        self.context.stopping.cancel();
        self.context.tasks.close();
        self.context.tasks.wait().await;
    }
}

async fn build(settings: &Settings, context: &Context) -> Result<Arc<Services>, StartError> {
    let services = Arc::new(Services {
        kinesis: Kinesis::new(context.clone(), settings.kinesis.clone()),
        dynamodb: DynamoDb::start(context).await.map_err(StartError::DynamoDb)?,
        ecs: Ecs::new(context.clone(), settings.ecs.clone()),
        cloudwatch: CloudWatch::new(context.clone(), settings.cloudwatch.clone()),
        logs: Logs::new(context.clone(), settings.logs.clone()),
        ecr: Ecr::new(context.clone()),
        cloudformation: CloudFormation::new(context.clone()),
        balancer: Balancer::new(context.clone(), settings.balancer.clone()),
        autoscaling: AutoScaling::new(context.clone()),
        sts: Sts::new(context.clone()),
        tagging: Tagging::new(context.clone()),
    });
    context.peers.connect(&services);
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn neither_the_endpoint_nor_a_load_balancer_listens_where_others_can_reach_it() {
        let directory = tempfile::tempdir().unwrap();
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut endpoint = Settings::new(directory.path().to_owned());
        endpoint.listen = everywhere;
        let mut balancer = Settings::new(directory.path().to_owned());
        (balancer.listen, balancer.balancer.listen) = (([127, 0, 0, 1], 0).into(), everywhere);
        for settings in [endpoint, balancer] {
            let refused = LocalCloud::start(settings).await.err().unwrap();
            assert!(matches!(refused, StartError::NotLoopback(address) if address == everywhere), "{refused}");
        }
    }
}
