//! Takes back a failed update.

use std::sync::PoisonError;

use super::{Operation, existing};
use crate::cloudformation::{
    provision,
    stacks::Resource,
    status::{Action, ResourceStatus},
};

/// One step of an update, with what the resource was before.
pub(super) enum Undo {
    Made(String),
    Changed(String, Box<Resource>),
    Replaced(String, Box<Resource>),
    /// Nothing but what the stack alone uses may have changed.
    Kept(String, Box<Resource>),
}

impl Operation {
    /// Takes the steps back, the youngest first. An error names the resources that could not be brought back.
    pub(super) async fn take_back(&self) -> Result<(), Vec<String>> {
        let steps = std::mem::take(&mut *self.undo.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = Vec::new();
        for step in steps.into_iter().rev() {
            let (name, result) = match step {
                Undo::Made(name) => {
                    let result = self.unmake(&name).await;
                    (name, result)
                }
                Undo::Changed(name, before) => {
                    let result = self.change_back(&name, *before).await;
                    (name, result)
                }
                Undo::Replaced(name, before) => {
                    let result = self.unmake(&name).await;
                    self.stack(|stack| stack.resources.insert(name.clone(), *before));
                    self.enter_resource(&name, ResourceStatus::Complete(Action::Update), None);
                    (name, result)
                }
                Undo::Kept(name, before) => {
                    self.stack(|stack| stack.resources.insert(name.clone(), *before));
                    (name, Ok(()))
                }
            };
            if let Err(failure) = result {
                self.enter_resource(&name, ResourceStatus::Failed(Action::Update), Some(failure.to_string()));
                failed.push(name);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    async fn unmake(&self, name: &str) -> Result<(), provision::Failure> {
        let Some(resource) = self.stack(|stack| stack.resources.get(name).cloned()).flatten() else { return Ok(()) };
        self.enter_resource(name, ResourceStatus::InProgress(Action::Delete), None);
        self.remove(name, &resource).await?;
        self.enter_resource(name, ResourceStatus::Complete(Action::Delete), None);
        self.stack(|stack| stack.resources.remove(name));
        Ok(())
    }

    async fn change_back(&self, name: &str, before: Resource) -> Result<(), provision::Failure> {
        let Some(current) = self.stack(|stack| stack.resources.get(name).cloned()).flatten() else { return Ok(()) };
        self.enter_resource(name, ResourceStatus::InProgress(Action::Update), None);
        let request = self.request(name, &before, &|_| {});
        provision::update(before.kind, &request, &existing(&current, &current.tags)).await?;
        self.stack(|stack| stack.resources.insert(name.to_owned(), before));
        self.enter_resource(name, ResourceStatus::Complete(Action::Update), None);
        Ok(())
    }
}
