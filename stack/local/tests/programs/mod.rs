//! Shell programs in the form of images, and ways to wait for what they do.

use std::time::Duration;

use aws_sdk_ecr::{Client, primitives::Blob};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;

const REPOSITORY: &str = "test/program";

/// How long anything here may take. Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        let mut interval = tokio::time::interval(Duration::from_millis(20));
        loop {
            interval.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("it did not happen in time: {what}"))
}

/// Pushes an image whose entrypoint is a shell script, and returns its reference by digest.
pub(crate) async fn push(endpoint: &Endpoint, script: &str, is_host_process: bool) -> String {
    let ecr = Client::new(&endpoint.sdk);
    // It may be there from the last push.
    let _ = ecr.create_repository().repository_name(REPOSITORY).send().await;
    let label = if is_host_process { "true" } else { "false" };
    let config = json!({ "config": {
        "Entrypoint": ["/bin/sh", "-c", script],
        "Labels": { "weir.host-process": label },
    }});
    let config = upload(&ecr, config.to_string().as_bytes()).await;
    let layer = upload(&ecr, b"nothing").await;
    let part = |kind: &str, (digest, size): (String, usize)| json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("config.v1+json", config),
        "layers": [part("layer.v1.tar+gzip", layer)],
    });
    let manifest = manifest.to_string();
    let put = ecr
        .put_image()
        .repository_name(REPOSITORY)
        .image_manifest(&manifest)
        .image_tag(digest(manifest.as_bytes())[7..20].to_owned());
    let put = put.send().await;
    if let Err(error) = &put {
        assert!(format!("{error:?}").contains("ImageAlreadyExists"), "{error:?}");
    }
    format!("000000000000.dkr.ecr.eu-central-1.amazonaws.com/{REPOSITORY}@{}", digest(manifest.as_bytes()))
}

async fn upload(ecr: &Client, blob: &[u8]) -> (String, usize) {
    let begun = ecr.initiate_layer_upload().repository_name(REPOSITORY).send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let last = i64::try_from(blob.len()).unwrap() - 1;
    let part =
        ecr.upload_layer_part().repository_name(REPOSITORY).upload_id(id).part_first_byte(0).part_last_byte(last);
    part.layer_part_blob(Blob::new(blob)).send().await.unwrap();
    let digest = digest(blob);
    let complete = ecr.complete_layer_upload().repository_name(REPOSITORY).upload_id(id).layer_digests(&digest);
    if let Err(error) = complete.send().await {
        assert!(format!("{error:?}").contains("LayerAlreadyExists"), "{error:?}");
    }
    (digest, blob.len())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
