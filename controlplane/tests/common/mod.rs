//! localcloud in this process, and a control table in it.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::{
    config::{Credentials, Region, SharedCredentialsProvider},
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use localcloud::LocalCloud;
use tempfile::TempDir;

pub struct World {
    pub config: SdkConfig,
    pub dynamodb: aws_sdk_dynamodb::Client,
    cloud: LocalCloud,
    _directory: TempDir,
}

pub const CONTROL_TABLE: &str = "weir-control";

impl World {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = localcloud::Settings::new(directory.path().to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        let cloud = LocalCloud::start(settings).await.unwrap();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(cloud.endpoint_url())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
            .build();
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        create_table(&dynamodb, CONTROL_TABLE, &["pk", "sk"]).await;
        Self { config, dynamodb, cloud, _directory: directory }
    }

    pub async fn stop(self) {
        self.cloud.stop().await;
    }
}

pub async fn create_table(client: &aws_sdk_dynamodb::Client, name: &str, keys: &[&str]) {
    let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(*key).key_type(kind);
        create = create.attribute_definitions(attribute.build().unwrap()).key_schema(schema.build().unwrap());
    }
    create.send().await.unwrap();
}
