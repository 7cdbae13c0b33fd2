//! Takes back a failed update.

use std::sync::PoisonError;

use super::{Operation, existing};
use crate::cloudformation::{
    provision,
    stacks::Resource,
    status::{Action, ResourceStatus},
};

/// One step of an update, as far as it has to be taken back.
pub(super) enum Undo {
    /// What the stack knew of the resource before anything was tried.
    Record(String, Option<Box<Resource>>),
    Made(String),
    Changed(String, Box<Resource>),
    /// Another thing was made in place of this one.
    Replaced(String, Box<Resource>),
}

impl Operation {
    /// Takes the steps back, the youngest first. An error names the resources that could not be brought back.
    pub(super) async fn take_back(&self) -> Result<(), Vec<String>> {
        let steps = std::mem::take(&mut *self.undo.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = Vec::new();
        for step in steps.into_iter().rev() {
            let (name, result) = match step {
                Undo::Made(name) | Undo::Replaced(name, _) => {
                    let result = self.unmake(&name).await;
                    (name, result)
                }
                Undo::Changed(name, before) => {
                    let result = self.change_back(&name, &before).await;
                    (name, result)
                }
                Undo::Record(name, before) => {
                    self.restore(&name, before);
                    continue;
                }
            };
            if let Err(failure) = result {
                self.enter_resource(&name, ResourceStatus::Failed(Action::Update), Some(failure.to_string()));
                failed.push(name);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    fn restore(&self, name: &str, before: Option<Box<Resource>>) {
        self.stack(|stack| match before {
            Some(before) => stack.resources.insert(name.to_owned(), *before),
            None => stack.resources.remove(name),
        });
    }

    async fn unmake(&self, name: &str) -> Result<(), provision::Failure> {
        let found = self.stack(|stack| {
            let resource = stack.resources.get(name)?.clone();
            let kept = stack.keeps(&resource, true);
            Some((resource, kept))
        });
        let Some((resource, kept)) = found.flatten() else { return Ok(()) };
        if kept && resource.physical_id.is_some() {
            self.enter_resource(name, ResourceStatus::DeleteSkipped, None);
        } else {
            self.enter_resource(name, ResourceStatus::InProgress(Action::Delete), None);
            self.remove(name, &resource).await?;
            self.enter_resource(name, ResourceStatus::Complete(Action::Delete), None);
        }
        Ok(())
    }

    async fn change_back(&self, name: &str, before: &Resource) -> Result<(), provision::Failure> {
        let Some(current) = self.stack(|stack| stack.resources.get(name).cloned()).flatten() else { return Ok(()) };
        self.enter_resource(name, ResourceStatus::InProgress(Action::Update), None);
        let request = self.request(name, before, &|_| {});
        provision::update(before.kind, &request, &existing(&current, &current.tags)).await?;
        self.enter_resource(name, ResourceStatus::Complete(Action::Update), None);
        Ok(())
    }
}
