//! localcloud with a pipeline in it, and a load on it.

use std::time::Duration;

use controlplane::{record::Table, simulate::Demand};
use jiff::Timestamp;
use localcloud::service::{Call, Reply};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};

use crate::{
    common::{World, create_table},
    consumers::Consumers,
    fleet::{Fleet, SERVICES},
    in_process::Controlplane,
    producers::{PARTS, Producers},
    terms::{POLICY, RESHARD, SHARD_RECORDS, SHARDS_AT_START, physics},
};

/// Records that localcloud keeps: more than ever wait for a reader.
const RECORDS_KEPT: u64 = 200_000;

/// How far the paused clock moves at once when nobody has anything to do. What waits for a socket gets several looks
/// within any timeout.
const STEP: Duration = Duration::from_millis(10);

const REPOSITORY: &str = "weir/task";

/// A pipeline without a control plane.
pub(crate) struct Cloud {
    world: World,
    pub(crate) admin_port: u16,
}

/// An open shard with its first and its last hash key.
pub(crate) struct OpenShard {
    pub(crate) id: String,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// A shard with the shards it came from.
pub(crate) struct Descendant {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        tokio::spawn(async {
            loop {
                tokio::time::sleep(STEP).await;
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let mut settings = localcloud::Settings::new(directory.path().to_owned());
        settings.kinesis.create_delay = Duration::from_millis(1);
        settings.kinesis.reshard_delay = RESHARD;
        settings.kinesis.reshard_step = Duration::ZERO;
        settings.kinesis.retained_bytes_max = 2 * RECORDS_KEPT;
        let world = World::of(directory, settings).await;
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let cloud = Self { world, admin_port: free.local_addr().unwrap().port() };
        create_table(&cloud.world.config, "weir-consumer", &["leaseKey"]).await;
        cloud.create_stream().await;
        cloud.create_services().await;
        cloud.table().apply_policy("weir", POLICY, 0, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
        cloud
    }

    pub(crate) fn table(&self) -> Table {
        self.world.table()
    }

    pub(crate) async fn stop(self) {
        self.world.stop().await;
    }

    /// A call in this process, as the gateway would make it.
    pub(crate) async fn call<T: DeserializeOwned>(&self, service: &str, operation: &str, input: String) -> T {
        match self.world.cloud.services().call(service, Call::new(operation, input)).await {
            Ok(Reply::Json(body)) => serde_json::from_slice(&body).unwrap(),
            Ok(Reply::EventStream(_)) => panic!("{operation} answered with a stream"),
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    async fn must(&self, service: &str, operation: &str, input: Value) -> Value {
        self.call(service, operation, input.to_string()).await
    }

    async fn create_stream(&self) {
        self.must("kinesis", "CreateStream", json!({ "StreamName": "weir", "ShardCount": SHARDS_AT_START })).await;
        let is_active = async || {
            let summary = self.must("kinesis", "DescribeStreamSummary", json!({ "StreamName": "weir" })).await;
            summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        };
        while !is_active().await {
            tokio::time::sleep(STEP).await;
        }
    }

    /// Two services of one task each, whose program waits for the end of its input, which localcloud holds open.
    async fn create_services(&self) {
        self.must("ecr", "CreateRepository", json!({ "repositoryName": REPOSITORY })).await;
        let config = json!({ "config": { "Entrypoint": ["/bin/cat"], "Labels": { "weir.host-process": "true" } } });
        let config = self.upload(config.to_string().as_bytes(), "config.v1+json").await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [self.upload(b"nothing", "layer.v1.tar+gzip").await],
        });
        let image = json!({ "repositoryName": REPOSITORY, "imageManifest": manifest.to_string(), "imageTag": "1" });
        self.must("ecr", "PutImage", image).await;
        self.must("ecs", "CreateCluster", json!({ "clusterName": "weir" })).await;
        let image = format!("000000000000.dkr.ecr.eu-central-1.amazonaws.com/{REPOSITORY}:1");
        let container = json!({ "name": "app", "image": image });
        let definition =
            json!({ "family": "task", "cpu": "256", "memory": "512", "containerDefinitions": [container] });
        self.must("ecs", "RegisterTaskDefinition", definition).await;
        for service in SERVICES {
            let input =
                json!({ "cluster": "weir", "serviceName": service, "taskDefinition": "task", "desiredCount": 1 });
            self.must("ecs", "CreateService", input).await;
        }
    }

    /// Uploads a part of an image and describes it.
    async fn upload(&self, blob: &[u8], kind: &str) -> Value {
        let begun = self.must("ecr", "InitiateLayerUpload", json!({ "repositoryName": REPOSITORY })).await;
        let part = json!({
            "repositoryName": REPOSITORY,
            "uploadId": begun["uploadId"],
            "partFirstByte": 0,
            "partLastByte": blob.len() - 1,
            "layerPartBlob": aws_smithy_types::base64::encode(blob),
        });
        self.must("ecr", "UploadLayerPart", part).await;
        let digest = Sha256::digest(blob).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let complete = json!({ "repositoryName": REPOSITORY, "uploadId": begun["uploadId"], "layerDigests": [digest] });
        self.must("ecr", "CompleteLayerUpload", complete).await;
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": blob.len() })
    }

    /// Every shard, closed ones too.
    pub(crate) async fn all_shards(&self) -> Vec<Descendant> {
        let shards = self.must("kinesis", "ListShards", json!({ "StreamName": "weir" })).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let shard = |shard: &Value| Descendant {
            id: text(&shard["ShardId"]).unwrap(),
            parents: [&shard["ParentShardId"], &shard["AdjacentParentShardId"]].into_iter().filter_map(text).collect(),
        };
        shards["Shards"].as_array().unwrap().iter().map(shard).collect()
    }

    async fn open_shards(&self) -> Vec<OpenShard> {
        let input = json!({ "StreamName": "weir", "ShardFilter": { "Type": "AT_LATEST" } });
        let shards = self.must("kinesis", "ListShards", input).await;
        let key = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let shard = |shard: &Value| OpenShard {
            id: shard["ShardId"].as_str().unwrap().to_owned(),
            first: key(&shard["HashKeyRange"]["StartingHashKey"]),
            last: key(&shard["HashKeyRange"]["EndingHashKey"]),
        };
        let shards = shards["Shards"].as_array().unwrap().iter();
        shards.filter(|shard| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null()).map(shard).collect()
    }

    /// Puts a load on the stream while a control plane drives the pipeline, and tells when the load began.
    pub(crate) async fn play(&self, demand: &Demand) -> Timestamp {
        let tick_s = physics().tick_s;
        let (mut producers, mut consumers, mut fleet) = Default::default();
        let (mut controlplane, mut began) = (None, Timestamp::UNIX_EPOCH);
        let start = Instant::now();
        let seconds = demand.shards.iter().flat_map(|shards| [(shards * SHARD_RECORDS) as u32; 60]);
        for (second, records) in (0..).zip(seconds) {
            self.pass(start, second, records, &mut producers, &mut consumers, &mut fleet).await;
            // The simulator looks at the end of a tick's last second; the first look here takes part of a second.
            if second + 2 == tick_s {
                let tick = Duration::from_secs(tick_s.into());
                began = machine_time() - (Instant::now() - start);
                controlplane = Some(Controlplane::at(self.world.config.clone(), tick, self.admin_port));
            }
        }
        if let Some(controlplane) = controlplane {
            controlplane.stop().await;
        }
        began
    }

    /// Lets a second pass.
    async fn pass(
        &self,
        start: Instant,
        second: u32,
        records: u32,
        producers: &mut Producers,
        consumers: &mut Consumers,
        fleet: &mut Fleet,
    ) {
        fleet.follow(self).await;
        let open = self.open_shards().await;
        for part in 0..PARTS {
            sleep_until(start + Duration::from_secs(second.into()) + Duration::from_secs(1) / PARTS * part).await;
            producers.write(self, records, part, &open).await;
        }
        consumers.read(self, &fleet.of(SERVICES[1]), second).await;
        fleet.tell(producers, consumers, &open);
    }
}

/// From this time on the control plane's clock follows the paused one.
#[expect(clippy::disallowed_methods, reason = "the control plane that starts now reads it too")]
fn machine_time() -> Timestamp {
    Timestamp::now()
}
