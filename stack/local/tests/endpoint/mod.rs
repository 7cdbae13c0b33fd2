//! An endpoint of its own for each test, and the SDK configuration that leads to it.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::Credentials;
use localcloud::{LocalCloud, Settings};
use tempfile::TempDir;

pub(crate) struct Endpoint {
    pub(crate) cloud: LocalCloud,
    pub(crate) sdk: SdkConfig,
    _directory: TempDir,
}

/// Starts an endpoint on a free port with the default settings.
pub(crate) async fn start() -> Endpoint {
    start_with(|_| {}).await
}

/// Starts an endpoint on a free port, changing the settings first.
pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Endpoint {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(directory.path().to_owned());
    settings.listen = ([127, 0, 0, 1], 0).into();
    change(&mut settings);
    let region = settings.region.clone();
    let cloud = LocalCloud::start(settings).await.unwrap();
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(cloud.endpoint_url())
        .load()
        .await;
    Endpoint { cloud, sdk, _directory: directory }
}
