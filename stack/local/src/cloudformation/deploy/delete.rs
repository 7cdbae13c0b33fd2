//! Deletes a stack, and takes resources away after a failed creation or an update.

use super::{
    Operation, list,
    walk::{Outcome, walk},
};
use crate::cloudformation::{
    provision,
    stacks::{Resource, Stack},
    status::{Action, ResourceStatus, StackStatus},
    template::{Graph, reverse},
};

/// Runs a deletion to its end. Resources in `retained` are left as they are.
pub(crate) async fn delete(operation: Operation, retained: Vec<String>) {
    let turn = operation.turn.clone();
    let _turn = turn.lock().await;
    operation.remove_resources(false, &retained).await;
    operation.end_removal(StackStatus::DeleteComplete, StackStatus::DeleteFailed);
}

impl Operation {
    /// Removes every resource, those first that no other depends on.
    pub(super) async fn remove_resources(&self, rolling_back: bool, retained: &[String]) {
        let graph = self.stack(|stack| remaining(stack, |_| true)).unwrap_or_default();
        self.remove_graph(&graph, rolling_back, retained).await;
    }

    /// Removes the resources that the template no longer has. Their failures do not fail the update.
    pub(super) async fn remove_abandoned(&self, wanted: &Graph) {
        let graph = self.stack(|stack| remaining(stack, |name| !wanted.contains_key(name))).unwrap_or_default();
        self.remove_graph(&graph, false, &[]).await;
        self.stack(|stack| stack.resources.retain(|_, resource| !resource.status.is_gone()));
    }

    async fn remove_graph(&self, graph: &Graph, rolling_back: bool, retained: &[String]) {
        walk(&reverse(graph), |name| async move {
            if self.cancel.is_cancelled() {
                return Outcome::Stop;
            }
            self.remove_resource(&name, rolling_back, retained.contains(&name)).await
        })
        .await;
    }

    async fn remove_resource(&self, name: &str, rolling_back: bool, retained: bool) -> Outcome {
        let found = self.stack(|stack| {
            let resource = stack.resources.get(name)?.clone();
            let kept = retained || stack.keeps(&resource, rolling_back);
            Some((resource, kept))
        });
        let Some((resource, kept)) = found.flatten() else { return Outcome::Done };
        if kept && resource.physical_id.is_some() {
            self.enter_resource(name, ResourceStatus::DeleteSkipped, None);
            return Outcome::Done;
        }
        if resource.physical_id.is_some() {
            self.enter_resource(name, ResourceStatus::InProgress(Action::Delete), None);
        }
        match self.remove(name, &resource).await {
            Ok(()) => {
                self.enter_resource(name, ResourceStatus::Complete(Action::Delete), None);
                Outcome::Done
            }
            Err(failure) => {
                self.enter_resource(name, ResourceStatus::Failed(Action::Delete), Some(failure.to_string()));
                Outcome::Failed
            }
        }
    }

    /// Removes the real thing, if there is one.
    pub(super) async fn remove(&self, name: &str, resource: &Resource) -> Result<(), provision::Failure> {
        match &resource.physical_id {
            Some(physical_id) => {
                provision::delete(resource.kind, &self.request(name, resource, &|_| {}), physical_id).await
            }
            None => Ok(()),
        }
    }

    /// Ends a deletion or rollback by what is left.
    pub(super) fn end_removal(&self, complete: StackStatus, incomplete: StackStatus) {
        let failed = self.stack(|stack| stack.failed(Action::Delete)).unwrap_or_default();
        if failed.is_empty() && !self.cancel.is_cancelled() {
            self.enter(complete, None);
        } else if !self.service.context.stopping.is_cancelled() && !failed.is_empty() {
            let reason = format!("The following resource(s) failed to delete: {}. ", list(&failed));
            self.enter(incomplete, Some(reason));
        }
    }
}

/// The graph of the resources that exist and are `wanted`.
fn remaining(stack: &Stack, wanted: impl Fn(&str) -> bool) -> Graph {
    let exists = |name: &str| stack.resources.get(name).is_some_and(|resource| !resource.status.is_gone());
    let chosen = |name: &str| exists(name) && wanted(name);
    let names = stack.resources.iter().filter(|(name, _)| chosen(name));
    names
        .map(|(name, resource)| {
            let dependencies = resource.dependencies.iter().filter(|name| chosen(name)).cloned().collect();
            (name.clone(), dependencies)
        })
        .collect()
}
