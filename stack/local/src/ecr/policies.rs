//! The calls about policies of repositories, which are kept and never applied: nothing expires, and everybody may pull.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::service::{AwsError, Call, Reply};

use super::{Ecr, invalid, repository::Repository};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    repository_name: String,
    #[serde(alias = "lifecyclePolicyText")]
    policy_text: Option<String>,
}

/// One of the two policies of a repository.
struct Kind {
    /// The member of inputs and outputs.
    member: &'static str,
    missing: &'static str,
    of: fn(&mut Repository) -> &mut Option<String>,
}

const LIFECYCLE: Kind = Kind {
    member: "lifecyclePolicyText",
    missing: "LifecyclePolicyNotFoundException",
    of: |repository| &mut repository.lifecycle_policy,
};

const ACCESS: Kind = Kind {
    member: "policyText",
    missing: "RepositoryPolicyNotFoundException",
    of: |repository| &mut repository.access_policy,
};

impl Ecr {
    pub(super) fn put_lifecycle_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.put_policy(call, &LIFECYCLE)
    }

    pub(super) fn get_lifecycle_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.read_policy(call, &LIFECYCLE, |policy| policy.clone())
    }

    pub(super) fn delete_lifecycle_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.read_policy(call, &LIFECYCLE, Option::take)
    }

    pub(super) fn set_repository_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.put_policy(call, &ACCESS)
    }

    pub(super) fn get_repository_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.read_policy(call, &ACCESS, |policy| policy.clone())
    }

    pub(super) fn delete_repository_policy(&self, call: &Call) -> Result<Reply, AwsError> {
        self.read_policy(call, &ACCESS, Option::take)
    }

    fn put_policy(&self, call: &Call, kind: &Kind) -> Result<Reply, AwsError> {
        let Input { repository_name, policy_text } = call.input()?;
        let is_object = |text: &String| serde_json::from_str::<Map<String, Value>>(text).is_ok();
        let text = policy_text
            .filter(is_object)
            .ok_or_else(|| invalid(format!("Invalid parameter at '{}': it is not a JSON object", kind.member)))?;
        self.with(&repository_name, |repository| {
            *(kind.of)(repository) = Some(text.clone());
            self.policy(&repository_name, kind, &text)
        })
    }

    fn read_policy(
        &self,
        call: &Call,
        kind: &Kind,
        read: impl FnOnce(&mut Option<String>) -> Option<String>,
    ) -> Result<Reply, AwsError> {
        let Input { repository_name, .. } = call.input()?;
        self.with(&repository_name, |repository| {
            let missing =
                || AwsError::new(kind.missing, format!("The repository '{repository_name}' has no such policy"));
            let text = read((kind.of)(repository)).ok_or_else(missing)?;
            self.policy(&repository_name, kind, &text)
        })
    }

    fn policy(&self, name: &str, kind: &Kind, text: &str) -> Result<Reply, AwsError> {
        Reply::json(&json!({
            "registryId": self.context.identity.account, "repositoryName": name, kind.member: text,
        }))
    }
}
