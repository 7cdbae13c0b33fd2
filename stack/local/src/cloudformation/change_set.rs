//! What an update would do to each resource.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    provision::{Tags, changed, merged_tags, resource_type},
    stacks::{Resource, Source},
    template::{Bound, Known, ResourceDefinition, TemplateError, order},
};

/// A change set of a stack.
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) creates: bool,
    pub(crate) source: Source,
    /// Empty when the change set failed because there is nothing to change.
    pub(crate) changes: Vec<Change>,
    /// Outputs or tags differ, so that there is something to execute even without changes of resources.
    pub(crate) executable: bool,
    pub(crate) executed: bool,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) logical_id: String,
    pub(crate) type_name: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) kind: ChangeKind,
    /// The resource's properties before and after; null where there is no before or after.
    pub(crate) before: Value,
    pub(crate) after: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChangeKind {
    Add,
    Modify { properties: Vec<PropertyChange>, tags: bool },
    Remove,
}

/// A property that changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PropertyChange {
    pub(crate) name: String,
    pub(crate) replaces: bool,
}

impl Change {
    pub(crate) fn replaces(&self) -> bool {
        match &self.kind {
            ChangeKind::Modify { properties, .. } => properties.iter().any(|property| property.replaces),
            ChangeKind::Add | ChangeKind::Remove => false,
        }
    }
}

/// Compares what exists with what a template wants, in the order in which it would be done.
///
/// # Errors
/// When a property cannot be evaluated.
pub(crate) fn compare(
    existing: &BTreeMap<String, Resource>,
    mut known: BTreeMap<String, Known>,
    bound: &Bound,
    stack_tags: &Tags,
) -> Result<Vec<Change>, TemplateError> {
    let mut changes = Vec::new();
    for name in order(bound.dependencies()) {
        let Some(definition) = bound.definition(&name) else { continue };
        let after = bound.properties(&name, &known)?;
        let current = existing.get(&name).filter(|resource| !resource.status.is_gone());
        let change = compare_one(&name, current, definition, after, stack_tags);
        if change.as_ref().is_some_and(|change| change.kind == ChangeKind::Add || change.replaces()) {
            known.insert(name, Known::AfterApply);
        }
        changes.extend(change);
    }
    let removed = existing
        .iter()
        .filter(|(name, resource)| !bound.dependencies().contains_key(*name) && !resource.status.is_gone());
    changes.extend(removed.map(|(name, resource)| Change {
        logical_id: name.clone(),
        type_name: resource.type_name.clone(),
        physical_id: resource.physical_id.clone(),
        kind: ChangeKind::Remove,
        before: resource.properties.clone(),
        after: Value::Null,
    }));
    Ok(changes)
}

fn compare_one(
    name: &str,
    current: Option<&Resource>,
    definition: &ResourceDefinition,
    after: Value,
    stack_tags: &Tags,
) -> Option<Change> {
    let kind = match current {
        None => ChangeKind::Add,
        Some(current) => {
            let replaces =
                |property: &str| resource_type(&definition.type_name).is_some_and(|known| known.replaces(property));
            let properties: Vec<_> = changed(&current.properties, &after)
                .into_iter()
                .map(|name| PropertyChange { replaces: replaces(&name), name })
                .collect();
            let tags = merged_tags(stack_tags, &after) != current.tags;
            if properties.is_empty() && !tags {
                return None;
            }
            ChangeKind::Modify { properties, tags }
        }
    };
    Some(Change {
        logical_id: name.to_owned(),
        type_name: definition.type_name.clone(),
        physical_id: current.and_then(|current| current.physical_id.clone()),
        kind,
        before: current.map_or(Value::Null, |current| current.properties.clone()),
        after,
    })
}
