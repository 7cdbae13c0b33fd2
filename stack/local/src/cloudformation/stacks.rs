//! What CloudFormation remembers: stacks, their resources and their events.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    change_set::ChangeSet,
    provision::{Kind, Provisioned, Tags, inert_arn},
    status::{Action, ResourceStatus, StackStatus},
    template::{Bound, DeletionPolicy, Given, Known, OutputValue},
};
use crate::{service::AwsError, settings::Identity};

/// Source: the AWS quota "Stacks" per account and region.
const STACKS_MAX: usize = 2000;

/// How many deleted stacks are remembered; AWS remembers ninety days' worth.
const DELETED_STACKS_MAX: usize = 100;

/// How many events a stack keeps; the oldest go first. AWS keeps ninety days' worth.
const EVENTS_MAX: usize = 4000;

/// Every stack, by its id.
#[derive(Default)]
pub(crate) struct Stacks {
    stacks: BTreeMap<String, Stack>,
}

pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: StackStatus,
    pub(crate) reason: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: Option<u64>,
    pub(crate) deleted_ms: Option<u64>,
    /// What is deployed, or being deployed.
    pub(crate) source: Source,
    pub(crate) options: Options,
    pub(crate) outputs: Vec<OutputValue>,
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) change_sets: BTreeMap<String, ChangeSet>,
    /// Signals received, by resource and unique id; true for success.
    pub(crate) signals: BTreeMap<String, BTreeMap<String, bool>>,
    /// Stops the operation that is running.
    pub(crate) cancel: CancellationToken,
    /// How many operations there have been; only the last one may change the stack's state.
    pub(crate) operations: u64,
    /// Held by the operation that is running, so that the next one waits for its end.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    events: VecDeque<Event>,
    next_event: u64,
}

/// What a stack is made from.
#[derive(Clone, Default)]
pub(crate) struct Source {
    pub(crate) body: String,
    /// Nothing while the stack is only under review.
    pub(crate) bound: Option<Arc<Bound>>,
    pub(crate) given: Given,
    pub(crate) tags: Tags,
    pub(crate) capabilities: Vec<String>,
}

/// What a stack was told at its creation and can be told later.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) disable_rollback: bool,
    pub(crate) termination_protection: bool,
    pub(crate) timeout_minutes: Option<u64>,
    pub(crate) retain_except_on_create: bool,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) client_request_token: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) type_name: String,
    pub(crate) kind: Kind,
    pub(crate) physical_id: Option<String>,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) properties: Value,
    pub(crate) tags: Tags,
    pub(crate) dependencies: BTreeSet<String>,
    pub(crate) deletion_policy: DeletionPolicy,
    pub(crate) update_replace_policy: DeletionPolicy,
    pub(crate) status: ResourceStatus,
    pub(crate) reason: Option<String>,
    pub(crate) updated_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Counts a stack's events.
    pub(crate) sequence: u64,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) type_name: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
    pub(crate) at_ms: u64,
    pub(crate) token: Option<String>,
}

impl Resource {
    /// The ARN, where no other service than this one knows the resource.
    pub(crate) fn inert_arn(&self, identity: &Identity) -> Option<String> {
        match (self.kind, &self.physical_id) {
            (Kind::Inert(record), Some(physical_id)) => inert_arn(record, identity, physical_id),
            _ => None,
        }
    }

    pub(crate) fn refer_to(&mut self, provisioned: Provisioned) {
        self.physical_id = Some(provisioned.physical_id);
        self.attributes = provisioned.attributes;
    }
}

impl Stacks {
    /// Finds a stack by its id, or a stack that is not deleted by its name.
    pub(crate) fn find(&self, name_or_id: &str) -> Option<&Stack> {
        self.stacks.get(name_or_id).or_else(|| {
            self.stacks.values().find(|stack| stack.name == name_or_id && stack.status != StackStatus::DeleteComplete)
        })
    }

    pub(crate) fn find_mut(&mut self, name_or_id: &str) -> Option<&mut Stack> {
        let id = self.find(name_or_id)?.id.clone();
        self.stacks.get_mut(&id)
    }

    /// As [`Self::find_mut`], or CloudFormation's error.
    pub(crate) fn get_mut(&mut self, name_or_id: &str) -> Result<&mut Stack, AwsError> {
        self.find_mut(name_or_id).ok_or_else(|| missing(name_or_id))
    }

    /// As [`Self::find`], or CloudFormation's error.
    pub(crate) fn get(&self, name_or_id: &str) -> Result<&Stack, AwsError> {
        self.find(name_or_id).ok_or_else(|| missing(name_or_id))
    }

    /// Every stack, deleted ones too, the youngest first.
    pub(crate) fn all(&self) -> Vec<&Stack> {
        let mut all: Vec<_> = self.stacks.values().collect();
        all.sort_by_key(|stack| std::cmp::Reverse(stack.created_ms));
        all
    }

    pub(crate) fn insert(&mut self, stack: Stack) -> Result<(), AwsError> {
        let mut deleted: Vec<_> =
            self.stacks.values().filter_map(|stack| Some((stack.deleted_ms?, stack.id.clone()))).collect();
        if self.stacks.len() - deleted.len() >= STACKS_MAX {
            return Err(AwsError::new(
                "LimitExceededException",
                format!("Limit for stack has been exceeded: {STACKS_MAX}"),
            ));
        }
        deleted.sort();
        let surplus = (deleted.len() + 1).saturating_sub(DELETED_STACKS_MAX);
        for (_, id) in deleted.iter().take(surplus) {
            self.stacks.remove(id);
        }
        self.stacks.insert(stack.id.clone(), stack);
        Ok(())
    }
}

fn missing(name_or_id: &str) -> AwsError {
    AwsError::new("ValidationError", format!("Stack with id {name_or_id} does not exist"))
}

impl Stack {
    pub(crate) fn new(id: String, name: String, source: Source, options: Options, now_ms: u64) -> Self {
        Self {
            id,
            name,
            status: StackStatus::ReviewInProgress,
            reason: None,
            created_ms: now_ms,
            updated_ms: None,
            deleted_ms: None,
            source,
            options,
            outputs: Vec::new(),
            resources: BTreeMap::new(),
            change_sets: BTreeMap::new(),
            signals: BTreeMap::new(),
            cancel: CancellationToken::new(),
            operations: 0,
            turn: Arc::default(),
            events: VecDeque::new(),
            next_event: 0,
        }
    }

    /// Changes the stack's own state and records the event.
    pub(crate) fn enter(&mut self, status: StackStatus, reason: Option<String>, now_ms: u64, token: Option<&str>) {
        self.status = status;
        self.reason.clone_from(&reason);
        match status {
            StackStatus::DeleteComplete => self.deleted_ms = Some(now_ms),
            StackStatus::UpdateInProgress => self.updated_ms = Some(now_ms),
            _ => {}
        }
        self.record(Event {
            sequence: self.next_event,
            logical_id: self.name.clone(),
            physical_id: self.id.clone(),
            type_name: "AWS::CloudFormation::Stack".to_owned(),
            status: status.as_str(),
            reason,
            properties: None,
            at_ms: now_ms,
            token: token.map(str::to_owned),
        });
    }

    /// Changes a resource's state and records the event.
    pub(crate) fn enter_resource(
        &mut self,
        name: &str,
        status: ResourceStatus,
        reason: Option<String>,
        now_ms: u64,
        token: Option<&str>,
    ) {
        let Some(resource) = self.resources.get_mut(name) else { return };
        resource.status = status;
        resource.reason.clone_from(&reason);
        resource.updated_ms = now_ms;
        let resource = resource.clone();
        self.note(name, &resource, status, reason, now_ms, token);
    }

    /// Records an event of a resource that is no longer, or not, the stack's own.
    pub(crate) fn note(
        &mut self,
        name: &str,
        resource: &Resource,
        status: ResourceStatus,
        reason: Option<String>,
        now_ms: u64,
        token: Option<&str>,
    ) {
        self.record(Event {
            sequence: self.next_event,
            logical_id: name.to_owned(),
            physical_id: resource.physical_id.clone().unwrap_or_default(),
            type_name: resource.type_name.clone(),
            status: status.as_str(),
            reason,
            properties: Some(resource.properties.to_string()),
            at_ms: now_ms,
            token: token.map(str::to_owned),
        });
    }

    fn record(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.next_event += 1;
    }

    /// Events from the youngest to the oldest, those before `sequence` only.
    pub(crate) fn events_before(&self, sequence: u64) -> impl Iterator<Item = &Event> {
        self.events.iter().rev().filter(move |event| event.sequence < sequence)
    }

    /// What references can see of the resources that exist.
    pub(crate) fn known(&self) -> BTreeMap<String, Known> {
        let existing = self.resources.iter().filter(|(_, resource)| !resource.status.is_gone());
        existing
            .filter_map(|(name, resource)| {
                let physical_id = resource.physical_id.clone()?;
                let known = Known::Provisioned { physical_id, attributes: resource.attributes.clone() };
                Some((name.clone(), known))
            })
            .collect()
    }

    /// The names of the resources that failed to be created, updated or deleted.
    pub(crate) fn failed(&self, action: Action) -> Vec<String> {
        let failed = self.resources.iter().filter(|(_, resource)| resource.status == ResourceStatus::Failed(action));
        failed.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a resource's deletion policy keeps it when the stack lets it go.
    pub(crate) fn keeps(&self, resource: &Resource, rolling_back: bool) -> bool {
        match resource.deletion_policy {
            DeletionPolicy::Delete => false,
            DeletionPolicy::RetainExceptOnCreate => !rolling_back,
            DeletionPolicy::Retain => !(rolling_back && self.options.retain_except_on_create),
        }
    }
}
