//! The images of a deployment on AWS.

use std::{collections::BTreeMap, fs, path::PathBuf, str::FromStr};

use anyhow::{Context, Result};
use clap::Args;
use stack::{
    PerRole, Role,
    deploy::Images,
    image::{Architecture, ImageSource, build},
    template::{Parameter, Parameters},
};

use crate::failure::Failure;

#[cfg(target_os = "macos")]
const CERTIFICATES: &str = "/etc/ssl/cert.pem";
#[cfg(not(target_os = "macos"))]
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where the images come from.
#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    /// Folder with the statically linked Linux executables producer, consumer and controlplane, to make images from
    #[arg(long, value_name = "DIR", conflicts_with = "image", help_heading = "On AWS")]
    executables: Option<PathBuf>,
    /// Certificates of the authorities that those trust, in PEM
    #[arg(long, value_name = "FILE", default_value = CERTIFICATES, help_heading = "On AWS")]
    certificates: PathBuf,
    /// An image that tasks can pull, for each of producer, consumer and controlplane, instead of executables
    #[arg(long, value_name = "ROLE=NAME@sha256:HEX", help_heading = "On AWS")]
    image: Vec<RoleImage>,
}

/// `ROLE=NAME@sha256:HEX`.
#[derive(Debug, Clone)]
struct RoleImage {
    role: Role,
    reference: String,
}

impl FromStr for RoleImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, reference) = text.split_once('=').ok_or("expected ROLE=NAME@sha256:HEX")?;
        let role = Role::ALL.into_iter().find(|role| role.as_str() == name);
        let role = role.ok_or_else(|| format!("{name} is neither producer, consumer nor controlplane"))?;
        if !reference.contains("@sha256:") {
            return Err(format!("{reference} names no digest: append @sha256: and its 64 digits"));
        }
        Ok(Self { role, reference: reference.to_owned() })
    }
}

impl ImageArgs {
    pub(super) fn is_given(&self) -> bool {
        self.executables.is_some() || !self.image.is_empty()
    }

    /// The images, and what `parameters` must say of them where nobody has.
    pub(super) fn read(&self, parameters: &mut Parameters) -> Result<Images> {
        match &self.executables {
            Some(folder) => self.build(folder, parameters),
            None => self.referenced(),
        }
    }

    fn build(&self, folder: &std::path::Path, parameters: &mut Parameters) -> Result<Images> {
        let certificates: bytes::Bytes = read(&self.certificates)?.into();
        let mut architectures = BTreeMap::new();
        let images = PerRole::try_from_fn(|role| {
            let path = folder.join(role.as_str());
            let executable = read(&path)?;
            let unfit = || format!("{} cannot be the program of a task", path.display());
            let architecture = Architecture::of(&executable).with_context(unfit)?;
            architectures.insert(architecture.as_ecs(), role);
            let source =
                ImageSource::Binary { executable: executable.into(), certificates: certificates.clone(), architecture };
            build(&source).with_context(unfit)
        })?;
        let [architecture] = architectures.keys().copied().collect::<Vec<_>>()[..] else {
            let each: Vec<_> =
                architectures.iter().map(|(architecture, role)| format!("{role} {architecture}")).collect();
            return Err(Failure::usage(format!("the executables are for two processors: {}", each.join(", "))).into());
        };
        parameters.entry(Parameter::Architecture).or_insert_with(|| architecture.to_owned());
        Ok(Images::Push(images))
    }

    fn referenced(&self) -> Result<Images> {
        let missing = |role| {
            Failure::usage(format!("there is no image of the {role}")).hint(
                "--executables DIR makes all three from statically linked executables; --image ROLE=NAME@sha256:HEX names \
                 each where it is",
            )
        };
        let reference = |role| {
            let of_role = self.image.iter().rev().find(|image| image.role == role);
            of_role.map(|image| image.reference.clone()).ok_or_else(|| missing(role))
        };
        Ok(Images::Registry(PerRole::try_from_fn(reference)?))
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())).into())
}
