//! Brings the resources of a stack to what the template says: what is missing is made, what differs is changed.

use super::{
    Operation, existing,
    rollback::Undo,
    walk::{Outcome, walk},
};
use crate::cloudformation::{
    provision::{self, Type, changed, merged_tags, resource_type},
    stacks::Resource,
    status::{Action, ResourceStatus},
    template::{Bound, CreationPolicy},
};

impl Operation {
    /// Works through the template's graph. The first failure stops everything.
    ///
    /// # Errors
    /// When a resource failed, or the operation was cancelled: the reasons are in the resources.
    pub(super) async fn converge(&self, bound: &Bound) -> Result<(), Unfinished> {
        walk(bound.dependencies(), |name| async move {
            match self.converge_resource(bound, &name).await {
                Ok(()) => Outcome::Done,
                Err(Unfinished) => {
                    self.cancel.cancel();
                    Outcome::Stop
                }
            }
        })
        .await;
        if self.cancel.is_cancelled() { Err(Unfinished) } else { Ok(()) }
    }

    async fn converge_resource(&self, bound: &Bound, name: &str) -> Result<(), Unfinished> {
        let current = self.stack(|stack| stack.resources.get(name).cloned()).flatten();
        let current = current.filter(|resource| !resource.status.is_gone());
        self.remember(Undo::Record(name.to_owned(), current.clone().map(Box::new)));
        let action = if current.is_some() { Action::Update } else { Action::Create };
        let Some((desired, kind)) = self.desired(bound, name, action)? else {
            return Err(self.failed(name, action, "the resource is not in the template"));
        };
        match current {
            None => self.make(bound, name, desired).await,
            Some(current) => {
                let properties = changed(&current.properties, &desired.properties);
                if properties.is_empty() && current.tags == desired.tags {
                    self.keep(name, &desired);
                    Ok(())
                } else if properties.iter().any(|property| kind.replaces(property)) {
                    self.replace(bound, name, (current, desired), kind).await
                } else {
                    self.change(name, current, desired).await
                }
            }
        }
    }

    /// The resource as the template describes it now; its failure is recorded where that cannot be told.
    fn desired(&self, bound: &Bound, name: &str, action: Action) -> Result<Option<(Resource, Type)>, Unfinished> {
        let Some(definition) = bound.definition(name) else { return Ok(None) };
        let Some(kind) = resource_type(&definition.type_name) else { return Ok(None) };
        let found = self.stack(|stack| (stack.known(), stack.source.tags.clone()));
        let (known, stack_tags) = found.ok_or(Unfinished)?;
        let mut resource = Resource {
            type_name: definition.type_name.clone(),
            kind: kind.kind,
            physical_id: None,
            attributes: Default::default(),
            properties: serde_json::json!({}),
            tags: stack_tags,
            dependencies: bound.dependencies().get(name).cloned().unwrap_or_default(),
            deletion_policy: definition.deletion_policy,
            update_replace_policy: definition.update_replace_policy,
            status: ResourceStatus::InProgress(action),
            reason: None,
            updated_ms: self.now_ms(),
        };
        match bound.properties(name, &known) {
            Ok(properties) => {
                resource.tags = merged_tags(&resource.tags, &properties);
                resource.properties = properties;
                Ok(Some((resource, kind)))
            }
            Err(error) => {
                self.stack(|stack| {
                    stack.resources.entry(name.to_owned()).or_insert(resource);
                });
                Err(self.failed(name, action, &error.to_string()))
            }
        }
    }

    async fn make(&self, bound: &Bound, name: &str, desired: Resource) -> Result<(), Unfinished> {
        self.remember(Undo::Made(name.to_owned()));
        self.stack(|stack| {
            stack.signals.remove(name);
            stack.resources.insert(name.to_owned(), desired.clone());
        });
        self.enter_resource(name, ResourceStatus::InProgress(Action::Create), None);
        self.provision(bound, name, &desired, Action::Create).await
    }

    /// Creates the real thing and waits for its signals.
    async fn provision(&self, bound: &Bound, name: &str, desired: &Resource, action: Action) -> Result<(), Unfinished> {
        let fail = |reason: String| self.failed(name, action, &reason);
        let policy = creation_policy(bound, name, desired).map_err(|error| fail(error.to_string()))?;
        let identify = |physical_id: &str| {
            self.stack(|stack| {
                if let Some(resource) = stack.resources.get_mut(name) {
                    resource.physical_id = Some(physical_id.to_owned());
                }
            });
            let initiated = Some("Resource creation Initiated".to_owned());
            self.enter_resource(name, ResourceStatus::InProgress(action), initiated);
        };
        let request = self.request(name, desired, &identify);
        let provisioned =
            provision::create(desired.kind, &request).await.map_err(|failure| fail(failure.to_string()))?;
        if let Some(policy) = policy {
            self.await_signals(name, policy).await.map_err(fail)?;
        }
        self.stack(|stack| stack.resources.get_mut(name).map(|resource| resource.refer_to(provisioned)));
        self.enter_resource(name, ResourceStatus::Complete(action), None);
        Ok(())
    }

    async fn change(&self, name: &str, current: Resource, mut desired: Resource) -> Result<(), Unfinished> {
        self.remember(Undo::Changed(name.to_owned(), Box::new(current.clone())));
        desired.physical_id.clone_from(&current.physical_id);
        desired.attributes.clone_from(&current.attributes);
        self.stack(|stack| stack.resources.insert(name.to_owned(), desired.clone()));
        self.enter_resource(name, ResourceStatus::InProgress(Action::Update), None);
        let request = self.request(name, &desired, &|_| {});
        match provision::update(desired.kind, &request, &existing(&current, &current.tags)).await {
            Ok(provisioned) => {
                self.stack(|stack| stack.resources.get_mut(name).map(|resource| resource.refer_to(provisioned)));
                self.enter_resource(name, ResourceStatus::Complete(Action::Update), None);
                Ok(())
            }
            Err(failure) => Err(self.failed(name, Action::Update, &failure.to_string())),
        }
    }

    async fn replace(
        &self,
        bound: &Bound,
        name: &str,
        (current, desired): (Resource, Resource),
        kind: Type,
    ) -> Result<(), Unfinished> {
        let keeps_name = kind.name.is_some_and(|property| {
            !desired.properties[property].is_null() && desired.properties[property] == current.properties[property]
        });
        if keeps_name {
            let text = format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."
            );
            return Err(self.failed(name, Action::Update, &text));
        }
        self.remember(Undo::Replaced(name.to_owned(), Box::new(current)));
        self.stack(|stack| {
            stack.signals.remove(name);
            stack.resources.insert(name.to_owned(), desired.clone());
        });
        let reason = "Requested update requires the creation of a new physical resource; hence creating one.";
        self.enter_resource(name, ResourceStatus::InProgress(Action::Update), Some(reason.to_owned()));
        self.provision(bound, name, &desired, Action::Update).await
    }

    /// Nothing to do but to note what only the stack itself uses.
    fn keep(&self, name: &str, desired: &Resource) {
        self.stack(|stack| {
            if let Some(resource) = stack.resources.get_mut(name) {
                resource.dependencies.clone_from(&desired.dependencies);
                resource.deletion_policy = desired.deletion_policy;
                resource.update_replace_policy = desired.update_replace_policy;
            }
        });
    }

    fn failed(&self, name: &str, action: Action, reason: &str) -> Unfinished {
        self.enter_resource(name, ResourceStatus::Failed(action), Some(reason.to_owned()));
        Unfinished
    }
}

/// Why an operation did not come to its end is in the resources that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfinished;

/// The signals a resource waits for: its creation policy's, or those of a wait condition with a handle.
fn creation_policy(
    bound: &Bound,
    name: &str,
    resource: &Resource,
) -> Result<Option<CreationPolicy>, crate::cloudformation::template::TemplateError> {
    let policy = bound.creation_policy(name)?;
    let with_handle =
        resource.type_name == "AWS::CloudFormation::WaitCondition" && !resource.properties["Handle"].is_null();
    Ok(policy.or_else(|| with_handle.then(|| CreationPolicy::of_wait_condition(&resource.properties))))
}
