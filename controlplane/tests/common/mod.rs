//! localcloud in this process, and a control table in it.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::{
    config::{Credentials, Region, SharedCredentialsProvider},
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use controlplane::record::Table;
use localcloud::LocalCloud;
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) config: SdkConfig,
    pub(crate) cloud: LocalCloud,
    _directory: TempDir,
}

pub(crate) const CONTROL_TABLE: &str = "weir-control";

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = localcloud::Settings::new(directory.path().to_owned());
        Self::of(directory, settings).await
    }

    /// A cloud with settings of the test's, which keeps its files in `directory`.
    pub(crate) async fn of(directory: TempDir, mut settings: localcloud::Settings) -> Self {
        settings.listen = ([127, 0, 0, 1], 0).into();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(cloud.endpoint_url())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
            .build();
        create_table(&config, CONTROL_TABLE, &["pk", "sk"]).await;
        Self { config, cloud, _directory: directory }
    }

    pub(crate) fn table(&self) -> Table {
        Table::new(aws_sdk_dynamodb::Client::new(&self.config), CONTROL_TABLE)
    }

    pub(crate) async fn stop(self) {
        self.cloud.stop().await;
    }
}

pub(crate) async fn create_table(config: &SdkConfig, name: &str, keys: &[&str]) {
    let client = aws_sdk_dynamodb::Client::new(config);
    let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(*key).key_type(kind);
        create = create.attribute_definitions(attribute.build().unwrap()).key_schema(schema.build().unwrap());
    }
    create.send().await.unwrap();
}
