//! What a registry has to understand of OCI and Docker images: digests, manifests and configurations.

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

/// The media type of a manifest that states none (OCI image specification 1.0 did not ask for one).
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// `sha256:<hex>` of some bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

/// The members of an image manifest, or of an index of manifests, that refer to something else.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Manifest {
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) digest: String,
    #[serde(default)]
    pub(super) size: u64,
    pub(super) media_type: Option<String>,
}

impl Manifest {
    /// The configuration and the layers.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers)
    }

    pub(super) fn artifact_media_type(&self) -> Option<&str> {
        self.artifact_type.as_deref().or(self.config.as_ref()?.media_type.as_deref())
    }
}

/// What an image says about how it is run: the `config` member of its OCI configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageConfig {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) cmd: Vec<String>,
    /// `NAME=value` each.
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) env: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}

/// An image's configuration document.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    pub(super) config: ImageConfig,
}

/// Docker writes `null` for what an image does not set.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_sha256_in_hexadecimal() {
        assert_eq!(digest(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_a_configuration_does_not_set_is_empty() {
        let json = r#"{"config":{"Entrypoint":["/app"],"Cmd":null,"User":"65532"}}"#;
        let Configuration { config } = serde_json::from_str(json).unwrap();
        assert_eq!(config, ImageConfig { entrypoint: vec!["/app".to_owned()], ..ImageConfig::default() });
        assert_eq!(serde_json::from_str::<Configuration>("{}").unwrap().config, ImageConfig::default());
    }
}
