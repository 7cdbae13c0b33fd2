//! Application Auto Scaling: which services somebody else scales.

use std::{collections::BTreeSet, sync::Arc};

use aws_sdk_applicationautoscaling::{
    Client,
    types::{ScalableDimension, ScalableTarget, ServiceNamespace},
};

use super::{Cached, Failed};
use crate::limits::ACCOUNT_AGE;

/// The scalable targets of the account's services.
pub(in crate::observe) struct Scalers {
    client: Client,
    targets: Cached<Arc<BTreeSet<String>>>,
}

impl Scalers {
    pub(super) fn new(client: Client) -> Self {
        Self { client, targets: Cached::new(ACCOUNT_AGE) }
    }

    /// Whether Application Auto Scaling may change the count of a service.
    pub(in crate::observe) async fn scale(&self, cluster: &str, service: &str) -> Result<bool, Failed> {
        let targets = self.targets.get(async { self.read().await.map(Arc::new) }).await?;
        Ok(targets.contains(&format!("service/{cluster}/{service}")))
    }

    async fn read(&self) -> Result<BTreeSet<String>, Failed> {
        let describe = self.client.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs);
        let describe = describe.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
        let mut pages = describe.into_paginator().items().send();
        let mut active = BTreeSet::new();
        while let Some(target) = pages.next().await {
            let target = target.map_err(|error| Failed::of(&aws_sdk_applicationautoscaling::Error::from(error)))?;
            if !is_suspended(&target) {
                active.insert(target.resource_id);
            }
        }
        Ok(active)
    }
}

/// Whether a target may do nothing at all.
fn is_suspended(target: &ScalableTarget) -> bool {
    target.suspended_state().is_some_and(|state| {
        let holds = |flag: Option<bool>| flag.unwrap_or_default();
        holds(state.dynamic_scaling_in_suspended)
            && holds(state.dynamic_scaling_out_suspended)
            && holds(state.scheduled_scaling_suspended)
    })
}
