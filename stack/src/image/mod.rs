//! OCI images written by hand: one layer, the same bytes for the same input, on every machine.

mod executable;
mod layer;
mod push;

use std::{collections::BTreeMap, fmt, io};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use executable::UnfitExecutable;
pub use push::{PushError, Pushed, push};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Marks an image whose entrypoint is a program of the machine that runs localcloud.
pub const HOST_PROCESS_LABEL: &str = "weir.host-process";

/// Where the certificates of public authorities are in an image; `scratch` has none.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
const EXECUTABLE: &str = "app";

/// `nonroot` of distroless images: any number but 0 would do, this one people recognise.
const USER: &str = "65532:65532";

/// What an image is made from.
#[derive(Debug, Clone)]
pub enum ImageSource {
    /// A statically linked Linux executable, and the PEM bundle of the authorities it trusts.
    Binary { executable: Bytes, certificates: Bytes, architecture: Architecture },
    /// A command of this machine, for localcloud, which runs processes and not containers. The layer is empty.
    HostProcess { command: Vec<String> },
}

/// The processor an image is for, as OCI spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    Arm64,
    Amd64,
}

impl Architecture {
    /// The processor that an executable is for.
    ///
    /// # Errors
    /// When it is not an executable for a processor of Fargate.
    pub fn of(executable: &[u8]) -> Result<Self, UnfitExecutable> {
        executable::architecture(executable)
    }

    /// As ECS spells it in a task definition, and the template in its parameter.
    #[must_use]
    pub fn as_ecs(self) -> &'static str {
        match self {
            Self::Arm64 => "ARM64",
            Self::Amd64 => "X86_64",
        }
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the executable cannot run in a container without an operating system")]
    Executable(#[from] UnfitExecutable),
    #[error("cannot write the layer")]
    Layer(#[source] io::Error),
    #[error("cannot write the manifest")]
    Manifest(#[from] serde_json::Error),
}

/// The SHA-256 of some bytes, displayed as registries write it: `sha256:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Digest(String);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(bytes) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits: a tag that says which image it is.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A blob of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Bytes,
}

impl Blob {
    fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes }
    }
}

/// An image: a manifest that names a configuration and one layer. The manifest's digest is the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub manifest: Blob,
    pub config: Blob,
    pub layer: Blob,
}

impl Image {
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }
}

/// Builds an image. The same source gives the same bytes.
///
/// # Errors
/// When an executable could not start in an empty container: not ELF, another architecture, or dynamically linked.
pub fn build(source: &ImageSource) -> Result<Image, BuildError> {
    let (tar, config) = match source {
        ImageSource::Binary { executable, certificates, architecture } => {
            executable::check(executable, *architecture)?;
            let files =
                [layer::File::new(CERTIFICATES, 0o444, certificates), layer::File::new(EXECUTABLE, 0o555, executable)];
            let config = RunConfig {
                entrypoint: vec![format!("/{EXECUTABLE}")],
                env: vec![format!("SSL_CERT_FILE=/{CERTIFICATES}")],
                user: Some(USER),
                labels: BTreeMap::new(),
            };
            (layer::tar(&files), (*architecture, config))
        }
        ImageSource::HostProcess { command } => {
            let labels = BTreeMap::from([(HOST_PROCESS_LABEL, "true")]);
            let config = RunConfig { entrypoint: command.clone(), env: Vec::new(), user: None, labels };
            // The architecture of the template's tasks; localcloud starts what the machine has.
            (layer::tar(&[]), (Architecture::Arm64, config))
        }
    };
    assemble(&tar.map_err(BuildError::Layer)?, config.0, config.1)
}

fn assemble(tar: &[u8], architecture: Architecture, config: RunConfig) -> Result<Image, BuildError> {
    let layer = Blob::new(layer::gzip(tar).map_err(BuildError::Layer)?);
    let rootfs = RootFs { kind: "layers", diff_ids: [Digest::of(tar)] };
    let config = Blob::new(serde_json::to_vec(&Config { architecture, os: "linux", config, rootfs })?);
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE,
        config: Descriptor::of(&config, CONFIG_TYPE),
        layers: [Descriptor::of(&layer, LAYER_TYPE)],
    };
    Ok(Image { manifest: Blob::new(serde_json::to_vec(&manifest)?), config, layer })
}

/// The image manifest of the OCI image specification 1.1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'static str,
    digest: &'a Digest,
    size: usize,
}

impl<'a> Descriptor<'a> {
    fn of(blob: &'a Blob, media_type: &'static str) -> Self {
        Self { media_type, digest: &blob.digest, size: blob.bytes.len() }
    }
}

/// The image configuration of the OCI image specification 1.1.
#[derive(Serialize)]
struct Config {
    architecture: Architecture,
    os: &'static str,
    config: RunConfig,
    rootfs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'static str>,
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [Digest; 1],
}

#[cfg(test)]
mod tests;
