//! `[[pipeline]]`: more pipelines under the same control plane.

use super::{Policy, section::section};

section! {
    /// The names of a pipeline's parts.
    PipelineNames "pipeline" needs ("name", "stream_name") {
        /// What reports and `ctl` call it.
        name: String = String::new();
        /// The stream to size.
        stream_name: String = String::new();
        /// The ECS cluster of its services, or "off".
        cluster: Option<String> = None;
        /// The producer service to size, or "off" where producers are foreign.
        producer_service: Option<String> = None;
        /// The consumer service to size, or "off" where consumers are foreign.
        consumer_service: Option<String> = None;
        /// The KCL application's name, which is its lease table's name, or "off".
        application: Option<String> = None;
    }
}

/// A pipeline beside the deployment's own. A part without a name is foreign or missing: its rule does not apply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PipelineSpec {
    pub name: String,
    pub stream: String,
    pub cluster: Option<String>,
    pub producer_service: Option<String>,
    pub consumer_service: Option<String>,
    pub application: Option<String>,
    /// The file's own policy, and what this pipeline has differently.
    pub policy: Policy,
}

impl PipelineSpec {
    pub(super) fn new(names: PipelineNames, policy: Policy) -> Self {
        let PipelineNames { name, stream_name: stream, cluster, producer_service, consumer_service, application } =
            names;
        Self { name, stream, cluster, producer_service, consumer_service, application, policy }
    }

    /// The names of its parts alone.
    #[must_use]
    pub fn names(&self) -> PipelineNames {
        let Self { name, stream, cluster, producer_service, consumer_service, application, .. } = self.clone();
        PipelineNames { name, stream_name: stream, cluster, producer_service, consumer_service, application }
    }
}
