//! Images of programs of this machine.

use aws_sdk_ecr::primitives::Blob;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;

const LAYER: &[u8] = b"an empty layer";

/// An image that does not have to exist yet: its digest is known before anything is pushed.
pub(crate) struct Image {
    config: String,
    manifest: String,
}

impl Image {
    pub(crate) fn new(entrypoint: &[String]) -> Self {
        let labels = serde_json::json!({ "weir.host-process": "true" });
        let config = serde_json::json!({ "config": { "Entrypoint": entrypoint, "Labels": labels } }).to_string();
        let blob = |media: &str, bytes: &[u8]| serde_json::json!({ "mediaType": format!("application/vnd.oci.image.{media}"), "digest": digest(bytes), "size": bytes.len() });
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", config.as_bytes()),
            "layers": [blob("layer.v1.tar+gzip", LAYER)],
        });
        Self { config, manifest: manifest.to_string() }
    }

    pub(crate) fn digest(&self) -> String {
        digest(self.manifest.as_bytes())
    }

    pub(crate) async fn push(&self, endpoint: &Endpoint, repository: &str) {
        let client = aws_sdk_ecr::Client::new(&endpoint.sdk);
        for blob in [self.config.as_bytes(), LAYER] {
            let begun = client.initiate_layer_upload().repository_name(repository).send().await.unwrap();
            let upload = client.upload_layer_part().repository_name(repository).upload_id(begun.upload_id().unwrap());
            let last = i64::try_from(blob.len()).unwrap() - 1;
            upload.part_first_byte(0).part_last_byte(last).layer_part_blob(Blob::new(blob)).send().await.unwrap();
            let complete = client.complete_layer_upload().repository_name(repository);
            complete.upload_id(begun.upload_id().unwrap()).layer_digests(digest(blob)).send().await.unwrap();
        }
        let put = client.put_image().repository_name(repository).image_manifest(&self.manifest);
        put.image_tag("v1").send().await.unwrap();
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
