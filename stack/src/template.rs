//! The template, and the parameters it takes.

use std::{collections::BTreeMap, fmt, iter, str::FromStr};

use serde::Serialize;

use crate::name::Role;

/// The one template of a deployment, as people read and change it.
pub const TEMPLATE: &str = include_str!("../template.yaml");

/// The template as CloudFormation gets it: without what only readers and linters want, so that it can be sent without a
/// bucket. Comments, a resource's `Metadata` (which holds the linters' exceptions), and half of every indentation go.
#[must_use]
pub fn body() -> String {
    let lines: Vec<_> = TEMPLATE.lines().filter(|line| !is_for_readers(line)).collect();
    let mut body = String::with_capacity(TEMPLATE.len());
    for (index, line) in lines.iter().enumerate() {
        let (depth, text) = (depth(line), line.trim_start());
        body.extend(iter::repeat_n(' ', depth));
        let opens = lines.get(index + 1).is_some_and(|next| self::depth(next) > depth) && text != "- |";
        match text.strip_prefix("- ").filter(|_| opens) {
            // A dash and its space are as wide as two of the new steps: what follows it goes to a line of its own.
            Some(first) => {
                body.push_str("-\n");
                body.extend(iter::repeat_n(' ', depth + 1));
                body.push_str(first);
            }
            None => body.push_str(text),
        }
        body.push('\n');
    }
    body
}

fn is_for_readers(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || line == "    Metadata:" || ["#", "cdk_nag:", "checkov:"].iter().any(|it| text.starts_with(it))
}

/// In steps of two.
fn depth(line: &str) -> usize {
    (line.len() - line.trim_start().len()) / 2
}

/// The logical id that waits until the images are in the repositories.
pub(crate) const IMAGES_PUSHED: &str = "ImagesPushed";

/// The parameter that says where images come from; its value for this stack's repositories is `push`.
pub(crate) const IMAGE_SOURCE: &str = "ImageSource";

/// The parameter that names a role's image.
pub(crate) fn image_parameter(role: Role) -> &'static str {
    match role {
        Role::Producer => "ProducerImage",
        Role::Consumer => "ConsumerImage",
        Role::ControlPlane => "ControlPlaneImage",
    }
}

/// Values for a deployment. A parameter that is absent keeps its value of the last deployment, or the template's default.
pub type Parameters = BTreeMap<Parameter, String>;

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A parameter that a person may set, spelled as in the template, whose descriptions are its documentation.
        /// The images and where they come from follow from [`Images`](crate::deploy::Images).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Parameter { $($(#[$doc])* $name,)+ }

        impl Parameter {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

parameters! {
    /// The IPv4 range that may send records. The only one without a default.
    AllowedCidr,
    CertificateArn,
    WebAclArn,
    /// `WEIR_TOKENS` of the producer.
    Tokens,
    ClientRate,
    /// `ARM64` or `X86_64`, which the images must be for.
    Architecture,
    ShardCount,
    RetentionHours,
    NetworkMode,
    ConsumerMode,
    TaskCpu,
    TaskMemory,
    /// `WEIR_TICK` of the control plane.
    Tick,
    Idempotency,
    Processor,
    ExecCommand,
    WebhookUrl,
    WebhookPort,
    Poison,
    Protect,
    LogRetentionDays,
    ContainerInsights,
    AlarmTopicArn,
    AccessLogBucket,
    KmsKeyArn,
    PermissionsBoundaryArn,
    /// What the control plane may do to the pipelines that its policy names beside its own.
    PipelinesPolicyArn,
}

impl fmt::Display for Parameter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// There is no such parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no parameter {name:?}; there are {}", names())]
pub struct UnknownParameter {
    pub name: String,
}

fn names() -> String {
    Parameter::ALL.iter().map(|parameter| parameter.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Parameter {
    type Err = UnknownParameter;

    fn from_str(name: &str) -> Result<Self, UnknownParameter> {
        Self::ALL
            .iter()
            .copied()
            .find(|parameter| parameter.as_str() == name)
            .ok_or_else(|| UnknownParameter { name: name.to_owned() })
    }
}
