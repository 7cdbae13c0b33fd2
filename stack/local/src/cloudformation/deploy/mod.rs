//! Makes stacks what their templates say.
//!
//! An [`Operation`] is one run over one stack, in a task of its own. It takes the stack's turn first, so that a deletion
//! that arrives during a creation waits for the creation to stop.

mod converge;
mod create;
mod delete;
mod rollback;
mod signals;
mod update;
mod walk;

pub(crate) use create::{OnFailure, create};
pub(crate) use delete::delete;
pub(crate) use update::update;

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{
    CloudFormation,
    provision::{Existing, Request, Tags},
    stacks::{Resource, Stack},
    status::{ResourceStatus, StackStatus},
};
use rollback::Undo;

/// One creation, update or deletion of one stack.
pub(crate) struct Operation {
    service: Arc<CloudFormation>,
    stack_id: String,
    stack_name: String,
    /// The caller's `ClientRequestToken`, which every event carries.
    token: Option<String>,
    /// Which of the stack's operations this is.
    number: u64,
    cancel: CancellationToken,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// What a rollback has to take back, the oldest first.
    undo: Mutex<Vec<Undo>>,
}

impl Operation {
    /// Takes over a stack: whatever runs on it is told to stop.
    pub(crate) fn start(service: &Arc<CloudFormation>, stack: &mut Stack, token: Option<String>) -> Self {
        stack.cancel.cancel();
        stack.cancel = service.context.stopping.child_token();
        stack.operations += 1;
        Self {
            service: service.clone(),
            stack_id: stack.id.clone(),
            stack_name: stack.name.clone(),
            token,
            number: stack.operations,
            cancel: stack.cancel.clone(),
            turn: stack.turn.clone(),
            undo: Mutex::default(),
        }
    }

    fn stack<T>(&self, act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
        self.service.stacks().find_mut(&self.stack_id).map(act)
    }

    fn now_ms(&self) -> u64 {
        self.service.context.clock.now_ms()
    }

    /// Changes the stack's state, unless a later operation has taken the stack over.
    pub(crate) fn enter(&self, status: StackStatus, reason: Option<String>) {
        let now_ms = self.now_ms();
        self.stack(|stack| {
            if stack.operations == self.number {
                stack.enter(status, reason, now_ms, self.token.as_deref());
            }
        });
    }

    fn enter_resource(&self, name: &str, status: ResourceStatus, reason: Option<String>) {
        let now_ms = self.now_ms();
        self.stack(|stack| stack.enter_resource(name, status, reason, now_ms, self.token.as_deref()));
    }

    /// Whether a later operation has taken the stack over, or the endpoint stops: then there is nothing left to decide.
    fn is_superseded(&self) -> bool {
        let last = self.stack(|stack| stack.operations);
        last != Some(self.number) || self.service.context.stopping.is_cancelled()
    }

    /// Goes on after a cancellation, to take back what was done.
    fn resume(&mut self) {
        let cancel = self.service.context.stopping.child_token();
        self.stack(|stack| stack.cancel = cancel.clone());
        self.cancel = cancel;
    }

    fn remember(&self, undo: Undo) {
        self.undo.lock().unwrap_or_else(PoisonError::into_inner).push(undo);
    }

    fn request<'a>(
        &'a self,
        name: &'a str,
        resource: &'a Resource,
        identify: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Request<'a> {
        Request {
            context: &self.service.context,
            stack_name: &self.stack_name,
            logical_id: name,
            properties: &resource.properties,
            tags: &resource.tags,
            cancel: &self.cancel,
            identify,
        }
    }
}

/// A resource as an update finds it.
fn existing<'a>(resource: &'a Resource, tags: &'a Tags) -> Existing<'a> {
    Existing {
        physical_id: resource.physical_id.as_deref().unwrap_or_default(),
        properties: &resource.properties,
        attributes: &resource.attributes,
        tags,
    }
}

/// `[A, B]`, as CloudFormation lists names in reasons.
fn list(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}
