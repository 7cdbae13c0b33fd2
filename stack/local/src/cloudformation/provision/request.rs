//! What a provisioner is given, and what it gives back.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Failure, Tags, properties};
use crate::cloud::Context;

/// Time between two looks at a resource that is not ready. The services are in this process, so a look is cheap.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Length of the random end of generated names, as in CloudFormation's.
const SUFFIX_LENGTH: usize = 12;

/// One resource to work on.
pub(crate) struct Request<'a> {
    pub(crate) context: &'a Context,
    pub(crate) stack_name: &'a str,
    pub(crate) logical_id: &'a str,
    pub(crate) properties: &'a Value,
    /// The stack's tags and the resource's own.
    pub(crate) tags: &'a Tags,
    pub(crate) cancel: &'a CancellationToken,
    /// To be told the physical id as soon as something exists, so that a rollback finds it.
    pub(crate) identify: &'a (dyn Fn(&str) + Send + Sync),
}

/// A resource as it was before an update.
pub(crate) struct Existing<'a> {
    pub(crate) physical_id: &'a str,
    pub(crate) properties: &'a Value,
    pub(crate) attributes: &'a BTreeMap<String, Value>,
    pub(crate) tags: &'a Tags,
}

impl Existing<'_> {
    pub(super) fn unchanged(&self) -> Provisioned {
        Provisioned { physical_id: self.physical_id.to_owned(), attributes: self.attributes.clone() }
    }
}

/// What references to a resource see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Provisioned {
    /// What `Ref` gives.
    pub(crate) physical_id: String,
    /// What `Fn::GetAtt` gives, by attribute.
    pub(crate) attributes: BTreeMap<String, Value>,
}

impl Provisioned {
    pub(super) fn new<const N: usize>(physical_id: impl Into<String>, attributes: [(&str, Value); N]) -> Self {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { physical_id: physical_id.into(), attributes }
    }
}

impl Request<'_> {
    pub(super) async fn call(&self, service: &'static str, operation: &str, input: Value) -> Result<Value, Failure> {
        let answer = self.context.peers.call(service, operation, &input).await;
        answer.map_err(|error| Failure::Service { service, error })
    }

    /// Looks until `probe` finds what it waits for.
    pub(super) async fn wait<T, P, F>(&self, what: &str, limit: Duration, mut probe: P) -> Result<T, Failure>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<Option<T>, Failure>>,
    {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = probe().await? {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                return Err(Failure::TimedOut { what: what.to_owned(), limit });
            }
            let pause = tokio::time::sleep(POLL_INTERVAL);
            self.cancel.run_until_cancelled(pause).await.ok_or(Failure::Cancelled)?;
        }
    }

    /// Looks until the service no longer knows the resource.
    pub(super) async fn wait_until_gone<P, F>(&self, what: &str, limit: Duration, mut probe: P) -> Result<(), Failure>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<Value, Failure>>,
    {
        self.wait(what, limit, || {
            let probe = probe();
            async move {
                match probe.await {
                    Err(failure) if failure.is_not_found() => Ok(Some(())),
                    other => other.map(|_| None),
                }
            }
        })
        .await
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        properties::text(self.properties, name)
    }

    /// The name in the property, or one made from the stack's, the resource's and a random end.
    pub(super) fn name(&self, property: &str, length_max: usize) -> String {
        self.text(property).unwrap_or_else(|| self.generated_name(length_max))
    }

    pub(super) fn generated_name(&self, length_max: usize) -> String {
        let mut name = format!("{}-{}", self.stack_name, self.logical_id);
        name.truncate(length_max - SUFFIX_LENGTH - 1);
        format!("{}-{}", name.trim_end_matches('-'), &hex()[..SUFFIX_LENGTH])
    }

    pub(super) fn tag_pairs(&self) -> Value {
        self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    }

    /// Whether the update changes a property.
    pub(super) fn changes(&self, existing: &Existing<'_>, name: &str) -> bool {
        !properties::same(&self.properties[name], &existing.properties[name])
    }

    pub(super) fn refuse_unsupported(&self, supported: &[&str]) -> Result<(), Failure> {
        let names = self.properties.as_object().into_iter().flat_map(|members| members.keys());
        match names.into_iter().find(|name| !supported.contains(&name.as_str())) {
            Some(name) => Err(Failure::UnsupportedProperty(name.clone())),
            None => Ok(()),
        }
    }
}

/// 32 random hexadecimal digits.
pub(super) fn hex() -> String {
    Uuid::new_v4().simple().to_string()
}
