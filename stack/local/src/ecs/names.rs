//! ARNs, and the names inside them.

use crate::settings::Identity;

/// Makes ECS's ARNs.
#[derive(Debug, Clone)]
pub(super) struct Names(pub(super) Identity);

impl Names {
    pub(super) fn cluster(&self, name: &str) -> String {
        self.arn("cluster", name)
    }

    pub(super) fn service(&self, cluster: &str, name: &str) -> String {
        self.arn("service", &format!("{cluster}/{name}"))
    }

    pub(super) fn task(&self, cluster: &str, id: &str) -> String {
        self.arn("task", &format!("{cluster}/{id}"))
    }

    pub(super) fn definition(&self, family: &str, revision: u32) -> String {
        self.arn("task-definition", &format!("{family}:{revision}"))
    }

    pub(super) fn container(&self, cluster: &str, task: &str) -> String {
        self.arn("container", &format!("{cluster}/{task}/0"))
    }

    /// The zone that every task is in.
    pub(super) fn zone(&self) -> String {
        format!("{}a", self.0.region)
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        self.0.arn("ecs", &format!("{kind}/{name}"))
    }
}

/// The name in an ARN, or the name itself: calls take both.
pub(super) fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// The task definition that `family`, `family:revision` or an ARN names; no revision means the latest.
pub(super) fn definition_of(reference: &str) -> (&str, Option<u32>) {
    let name = name_of(reference);
    match name.rsplit_once(':') {
        Some((family, revision)) => (family, revision.parse().ok()),
        None => (name, None),
    }
}

/// Where an image is: the repository, and a tag or digest. Only images of this endpoint's own registry have one.
pub(super) fn image_of(image: &str) -> Option<(&str, &str)> {
    let (registry, path) = image.split_once('/')?;
    if !registry.contains(".dkr.ecr.") {
        return None;
    }
    if let Some((repository, digest)) = path.split_once('@') {
        return Some((repository, digest));
    }
    Some(path.rsplit_once(':').unwrap_or((path, "latest")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_digest_by_tag_and_by_default() {
        let registry = "000000000000.dkr.ecr.eu-central-1.amazonaws.com";
        let image = |rest: &str| image_of(&format!("{registry}/{rest}")).map(|(a, b)| (a.to_owned(), b.to_owned()));
        let expected = |reference: &str| Some(("weir/producer".to_owned(), reference.to_owned()));
        assert_eq!(image("weir/producer@sha256:abc"), expected("sha256:abc"));
        assert_eq!(image("weir/producer:v1"), expected("v1"));
        assert_eq!(image("weir/producer"), expected("latest"));
        assert_eq!(image_of("docker.io/library/nginx"), None);
    }

    #[test]
    fn a_definition_is_named_by_family_revision_or_arn() {
        assert_eq!(definition_of("web"), ("web", None));
        assert_eq!(definition_of("web:3"), ("web", Some(3)));
        assert_eq!(definition_of("arn:aws:ecs:r:1:task-definition/web:3"), ("web", Some(3)));
    }
}
