//! Application Auto Scaling: who else may scale what. Targets are kept and described; nothing is scaled by them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cloud::Context,
    page::page,
    service::{AwsError, Call, Reply},
};

/// The page of `DescribeScalableTargets` (API reference: 1 to 50).
const PAGE_MAX: usize = 50;

/// Application Auto Scaling.
pub struct AutoScaling {
    context: Context,
    targets: Mutex<BTreeMap<Key, Target>>,
}

/// What a target is about: namespace, resource and dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    service_namespace: String,
    resource_id: String,
    scalable_dimension: String,
}

struct Target {
    min_capacity: u32,
    max_capacity: u32,
    suspended: Suspended,
    created_at: Duration,
}

/// Which of its doings a target holds back.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Suspended {
    dynamic_scaling_in_suspended: bool,
    dynamic_scaling_out_suspended: bool,
    scheduled_scaling_suspended: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Register {
    #[serde(flatten)]
    key: Key,
    min_capacity: Option<u32>,
    max_capacity: Option<u32>,
    suspended_state: Option<Suspended>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    service_namespace: String,
    #[serde(default)]
    resource_ids: Vec<String>,
    scalable_dimension: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

impl Describe {
    fn wants(&self, key: &Key) -> bool {
        key.service_namespace == self.service_namespace
            && (self.resource_ids.is_empty() || self.resource_ids.contains(&key.resource_id))
            && self.scalable_dimension.as_ref().is_none_or(|wanted| *wanted == key.scalable_dimension)
    }
}

impl AutoScaling {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context, targets: Mutex::default() })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "RegisterScalableTarget" => self.register(call.input()?),
            "DeregisterScalableTarget" => self.deregister(&call.input()?),
            "DescribeScalableTargets" => self.describe(&call.input()?),
            other => Err(AwsError::not_implemented("application-autoscaling", other)),
        }
    }

    /// Makes a target, or changes what the call names of one that is there.
    fn register(&self, input: Register) -> Result<Reply, AwsError> {
        let mut targets = self.targets();
        let arn = self.arn(&input.key);
        let old = targets.get(&input.key);
        let capacity = |given: Option<u32>, old: Option<u32>, name| {
            let missing = || AwsError::validation(format!("{name} is required for a new scalable target"));
            given.or(old).ok_or_else(missing)
        };
        let target = Target {
            min_capacity: capacity(input.min_capacity, old.map(|old| old.min_capacity), "MinCapacity")?,
            max_capacity: capacity(input.max_capacity, old.map(|old| old.max_capacity), "MaxCapacity")?,
            suspended: input.suspended_state.or(old.map(|old| old.suspended)).unwrap_or_default(),
            created_at: old.map_or_else(|| self.context.clock.now(), |old| old.created_at),
        };
        if target.min_capacity > target.max_capacity {
            return Err(AwsError::validation("Maximum capacity cannot be less than minimum capacity"));
        }
        targets.insert(input.key, target);
        Reply::json(&json!({ "ScalableTargetARN": arn }))
    }

    fn deregister(&self, key: &Key) -> Result<Reply, AwsError> {
        let missing =
            || AwsError::new("ObjectNotFoundException", format!("No scalable target found for {}", key.resource_id));
        self.targets().remove(key).map(|_| Reply::empty()).ok_or_else(missing)
    }

    fn describe(&self, input: &Describe) -> Result<Reply, AwsError> {
        let targets = self.targets();
        let wanted: Vec<_> = targets.iter().filter(|(key, _)| input.wants(key)).collect();
        let limit = input.max_results.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let (shown, next) = page(wanted, |(key, _)| key.resource_id.clone(), input.next_token.as_deref(), limit);
        let shown: Vec<_> = shown.into_iter().map(|(key, target)| self.describe_one(key, target)).collect();
        let mut answer = json!({ "ScalableTargets": shown });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Reply::json(&answer)
    }

    fn describe_one(&self, key: &Key, target: &Target) -> Value {
        json!({
            "ServiceNamespace": key.service_namespace,
            "ResourceId": key.resource_id,
            "ScalableDimension": key.scalable_dimension,
            "MinCapacity": target.min_capacity,
            "MaxCapacity": target.max_capacity,
            "RoleARN": format!("arn:aws:iam::{}:role/autoscaling", self.context.identity.account),
            "CreationTime": target.created_at.as_secs_f64(),
            "SuspendedState": target.suspended,
            "ScalableTargetARN": self.arn(key),
        })
    }

    fn arn(&self, key: &Key) -> String {
        self.context.identity.arn("application-autoscaling", &format!("scalable-target/{}", key.resource_id))
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<Key, Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
